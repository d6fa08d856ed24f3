#include <algorithm>
#include <utility>

#include "crdt/error.hpp"
#include "tests/sim/random_stream.hpp"
#include "tests/sim/world.hpp"

namespace loam::sim {
namespace {

constexpr std::size_t links_at_once = 12;
constexpr std::size_t inbox_slack_octets = std::size_t{256} << 10;

SessionLimits small_limits(Gen& gen) {
  SessionLimits limits;
  limits.chunk_octets = gen.between(1, 600);
  limits.chunk_records = gen.between(1, 8);
  limits.part_actors = gen.between(1, 4);
  limits.part_octets = gen.between(1, 300);
  limits.journal_page_dots = gen.between(1, 8);
  limits.frame_sets = gen.between(1, 3);
  limits.listed_actors = gen.below(8);
  limits.first_cells = gen.between(1, 12);
  limits.many_actors = gen.between(1, 6);
  limits.set_counters = gen.between(1, 8);
  limits.frame_ranges = gen.between(1, 3);
  limits.window_octets = gen.between(1, 2'000);
  limits.burst_octets = gen.between(1, 2'000);
  return limits;
}

std::size_t octets_of(const std::deque<Bytes>& frames) {
  std::size_t octets = 0;
  for (const Bytes& frame : frames) octets += frame.size();
  return octets;
}

}  // namespace

// ---------------------------------------------------------------- connections

Link* World::connect(std::size_t edge, Gen& gen, bool is_once) {
  auto [dialler, listener] = edges_[edge];
  if (gen.coin()) std::swap(dialler, listener);
  const bool has_both =
      !replicas_[dialler]->processes.empty() && !replicas_[listener]->processes.empty();
  if (!has_both) return nullptr;
  std::erase_if(links_, [](const auto& link) { return link->is_over(); });
  if (links_.size() >= links_at_once && !is_healing_) return nullptr;
  for (const auto& link : links_) {
    if (link->edge == edge) trace_.met("two links between one pair");
  }
  Link& link = *links_.emplace_back(std::make_unique<Link>());
  link.number = ++links_made_;
  link.edge = edge;
  link.is_once = is_once;
  link.is_skewed = replicas_[dialler]->is_ahead != replicas_[listener]->is_ahead;
  const SessionLimits limits = scenario_.setup.small_limits ? small_limits(gen) : SessionLimits{};
  trace_.line("connect r" + std::to_string(dialler) + " to r" + std::to_string(listener) +
              (is_once ? " for one round" : ""));
  for (int side = 0; side < 2; ++side) {
    End& end = link.ends[static_cast<std::size_t>(side)];
    end.replica = side == 0 ? dialler : listener;
    Process& process = process_of(*replicas_[end.replica], gen);
    end.process = &process;
    end.limits = limits;
    end.limits.removals_min = process.replica.config.silent_removals_max;
    end.limits.removals_percent = process.replica.config.silent_removals_percent_max;
    SessionConfig config;
    config.role = side == 0 ? Role::dialler : Role::listener;
    config.once = is_once && side == 0;
    config.limits = end.limits;
    config.hello.federation = process.shared.identity().federation;
    config.hello.instance = process.shared.instance();
    config.hello.store = process.shared.id();
    config.hello.name = process.shared.identity().name;
    config.hello.nonce = mint_packet_id(process.now_ms()).bytes;
    if (process.gate) {
      config.hello.key = process.replica.key.public_key();
      config.gate = &*process.gate;
    }
    if (is_strong()) config.voting = &process.voting;
    end.session = std::make_unique<Session>(std::move(config), process.source);
  }
  for (int side = 0; side < 2; ++side) {
    perform(link, side, link.ends[static_cast<std::size_t>(side)].session->connected(now_));
  }
  return &link;
}

Link* World::any_link(Gen& gen) {
  std::vector<Link*> open;
  for (const auto& link : links_) {
    if (!link->is_over()) open.push_back(link.get());
  }
  return open.empty() ? nullptr : gen.pick(open);
}

void World::cut(Link& link, bool loses_inbox) {
  trace_.line("cut r" + std::to_string(link.ends[0].replica) + " - r" +
              std::to_string(link.ends[1].replica));
  link.is_broken = true;
  for (End& end : link.ends) {
    if (!end.inbox.empty()) trace_.met("frames were lost with their link");
    if (loses_inbox || !end.is_up()) end.inbox.clear();
    if (end.inbox.empty()) end.is_cut = true;
    end.is_stalled = false;
  }
}

// ---------------------------------------------------------------- what sessions say

void World::perform(Link& link, int side, std::vector<Action> actions) {
  End& end = link.ends[static_cast<std::size_t>(side)];
  for (Action& action : actions) {
    if (auto* said = std::get_if<Send>(&action)) {
      send(link, side, std::move(said->frame));
    } else if (auto* change = std::get_if<Apply>(&action)) {
      apply(link, side, std::move(*change));
    } else if (const auto* wake = std::get_if<WakeAt>(&action)) {
      end.wake = wake->when;
    } else if (const auto* removal = std::get_if<Hold>(&action)) {
      hold(end, *removal);
    } else if (const auto* alarm = std::get_if<Alarm>(&action)) {
      check_alarm(*replicas_[end.replica], alarm->text);
    } else if (const auto* answer = std::get_if<Voted>(&action)) {
      if (is_strong()) voted(end, answer->vote);
    } else {
      end.close = std::get<Close>(action);
      trace_.line("r" + std::to_string(end.replica) +
                  " closes: " + std::to_string(end.close->code) + " " + end.close->reason);
      check_close(link, side);
    }
  }
}

void World::send(Link& link, int side, Bytes frame) {
  End& from = link.ends[static_cast<std::size_t>(side)];
  End& to = link.ends[static_cast<std::size_t>(1 - side)];
  check_frame(link, side, frame);
  if (replicas_[from.replica]->is_hostile) frame = corrupted(link, side, frame);
  trace_.octets(frame);
  if (frame.empty() || !to.is_up() || link.is_broken) return;
  to.inbox.push_back(std::move(frame));
  const std::size_t bound = from.limits.window_octets + from.limits.burst_octets +
                            from.limits.chunk_octets + inbox_slack_octets;
  trace_.expect(octets_of(to.inbox) <= bound || is_tainted(), "an inbox grows without bound");
}

void World::apply(Link& link, int side, Apply change) {
  End& end = link.ends[static_cast<std::size_t>(side)];
  Process& process = *end.process;
  trace_.expect(!link.is_skewed, "something of another version is stored");
  check_claims(process.replica, change);
  check_silence(end, change);
  const std::size_t from = link.ends[static_cast<std::size_t>(1 - side)].replica;
  auto told = std::make_shared<ApplyOutcome>();
  const StoreId peer = end.peer->store;
  Todo todo;
  todo.what = "apply to " + change.segment;
  todo.effect = [this, change, peer, from, told, nonce = end.peer->nonce](Judgement& now) -> std::optional<ErrorCode> {
    if (has_trust()) {
      std::uint64_t left_out = 0;
      const bool is_lie = replicas_[from]->is_hostile;
      const Apply admitted = is_lie ? as_hostile_is_admitted(now, change, from, left_out)
                                    : as_admitted(now, change, from, left_out);
      for (const auto& [actor, claim] : admitted.authors) now.shared.authors.emplace(actor, claim.author);
      if (!admitted.delta.empty()) hear(now, admitted, peer, *told);
      const std::pair stream{nonce, change.segment};
      if (left_out > 0) left_out_.emplace(stream, change.ticket);
      const auto gap = left_out_.find(stream);
      const bool has_all = gap == left_out_.end() || change.ticket < gap->second;
      if (change.position) {
        now.shared.positions[{peer, change.segment}] = has_all ? *change.position : Position{};
      }
      return std::nullopt;
    }
    if (!change.delta.empty()) {
      for (const auto& [actor, claim] : change.authors) {
        const auto known = now.shared.authors.emplace(actor, claim.author).first;
        if (known->second != claim.author) return ErrorCode::untrusted;
      }
      hear(now, change, peer, *told);
    }
    if (change.position) now.shared.positions[{peer, change.segment}] = *change.position;
    return std::nullopt;
  };
  todo.then = [this, number = link.number, side, told, segment = change.segment,
               index = end.replica](const Todo::Outcome&) {
    if (told->cloned) alarms_due_.insert("copy of this running instance");
    if (const auto text = clone_alarm(segment, *told)) check_alarm(*replicas_[index], *text);
    trace_.expect(alarms_due_.empty(), "no alarm was raised of a clone");
    const auto found = std::find_if(links_.begin(), links_.end(),
                                    [&](const auto& each) { return each->number == number; });
    if (found == links_.end()) return;
    End& at = (*found)->ends[static_cast<std::size_t>(side)];
    if (!at.is_up()) return;
    if (told->refused) trace_.met("a chunk was refused");
    if (told->equivocated > 0 && !told->refused) alarms_due_.insert("two contents");
    perform(**found, side, at.session->applied(*told, now_));
    trace_.expect(alarms_due_.empty(), "no alarm was raised of two contents");
  };
  std::vector<CheckedApply> pieces;
  pieces.push_back(check_apply(process.shared, std::move(change)));
  todo.job = std::move(apply_jobs(process.shared, peer, end.peer->instance, std::move(pieces),
                                  process.refusals.of(end.peer->nonce),
                                  [told](const ApplyOutcome& outcome) { *told = outcome; })
                           .front());
  process.queue.push_back(std::move(todo));
}

// ---------------------------------------------------------------- what sessions hear

// The next frame arrives at one side. False: there was none.
bool World::deliver(Link& link, int side) {
  End& end = link.ends[static_cast<std::size_t>(side)];
  End& far = link.ends[static_cast<std::size_t>(1 - side)];
  if (!end.is_up() || end.is_stalled) return false;
  if (end.inbox.empty()) {
    if (!far.is_up() || link.is_broken) end.is_cut = true;
    return false;
  }
  const Bytes frame = as_it_is_heard(link, side, std::move(end.inbox.front()));
  end.inbox.pop_front();
  if (!end.peer) {
    try {
      const Frame first = decode_frame(frame);
      if (const auto* hello = std::get_if<Hello>(&first)) end.peer = *hello;
    } catch (const Error&) {  // the session refuses it too
    }
  }
  const bool is_damaged = end.was_truncated;
  perform(link, side, end.session->received(frame, now_));
  ask_peer(link, side);
  if (link.is_skewed) check_skewed(link, side, frame);
  if (is_damaged) {
    // A hostile side may have sent another frame in its place.
    // It is not even read where the rights of the two have changed since the frame before.
    const bool is_left = end.close && end.close->reason == "leaving: rights have changed";
    const bool is_refused = end.close && (end.close->code != 1000 || is_left);
    trace_.expect(is_refused || is_tainted(), "a truncated frame was not refused");
  }
  return true;
}

bool World::wake(Link& link, int side) {
  End& end = link.ends[static_cast<std::size_t>(side)];
  if (!end.is_up() || !end.wake || *end.wake > now_) return false;
  end.wake.reset();
  perform(link, side, end.session->woke(now_));
  return true;
}

void World::tell_changed(Process& process) {
  for (std::size_t i = 0; i < links_.size(); ++i) {
    for (int side = 0; side < 2; ++side) {
      End& end = links_[i]->ends[static_cast<std::size_t>(side)];
      if (end.process == &process && end.is_up()) {
        perform(*links_[i], side, end.session->changed(now_));
      }
    }
  }
  refresh_calls(process);
}

// Frames arrive faster than the disk takes them: several parts of one stream wait together.
void World::arrive(Process& process, Gen& gen) {
  for (std::size_t i = 0; i < links_.size(); ++i) {
    for (int side = 0; side < 2; ++side) {
      if (links_[i]->ends[static_cast<std::size_t>(side)].process != &process) continue;
      std::uint64_t left = gen.between(0, 12);
      while (left-- > 0 && deliver(*links_[i], side)) {
      }
    }
  }
}

// ---------------------------------------------------------------- events

void World::network(Step step, Gen& gen) {
  if (step == Step::connect) {
    (void)connect(gen.index(edges_.size()), gen, gen.one_in(3));
    return;
  }
  if (step == Step::settle) return settle(gen);
  if (step == Step::pass_time) {
    (void)advance(now_ + std::chrono::milliseconds(gen.between(1, gen.coin() ? 500 : 20'000)), gen);
    return;
  }
  if (step == Step::poll) {
    if (Process* process = any_process(gen)) tell_changed(*process);
    return;
  }
  Link* link = any_link(gen);
  if (link == nullptr) {
    if (step == Step::travel) (void)connect(gen.index(edges_.size()), gen, gen.one_in(3));
    return;
  }
  const int side = gen.coin() ? 1 : 0;
  End& end = link->ends[static_cast<std::size_t>(side)];
  switch (step) {
    case Step::travel: return travel(*link, gen);
    case Step::cut: return cut(*link, gen.coin());
    case Step::truncate:
      if (end.inbox.empty() || end.inbox.front().size() < 2) return;
      trace_.met("a frame was truncated");
      end.inbox.front().resize(gen.between(1, end.inbox.front().size() - 1));
      end.was_truncated = true;
      return;
    case Step::stall:
      trace_.met("one direction of a link stalls");
      end.is_stalled = true;
      return;
    case Step::resume:
      for (End& each : link->ends) each.is_stalled = false;
      return;
    case Step::leave:
      if (!end.is_up()) return;
      trace_.met("a session left");
      return perform(*link, side, end.session->leave("enough", now_));
    case Step::flap:
      trace_.met("a link flapped");
      for (std::uint64_t left = gen.between(2, 5); left > 0; --left) {
        const std::size_t edge = link->edge;
        cut(*link, true);
        link = connect(edge, gen, gen.coin());
        if (link == nullptr) return;
        travel(*link, gen);
      }
      return;
    default: trace_.met("a second link was opened"); (void)connect(link->edge, gen, gen.one_in(3));
  }
}

void World::travel(Link& link, Gen& gen) {
  for (std::uint64_t left = gen.between(1, 8); left > 0; --left) {
    const int side = gen.coin() ? 1 : 0;
    if (deliver(link, side)) continue;
    if (wake(link, side)) continue;
    End& end = link.ends[static_cast<std::size_t>(side)];
    Process* process = end.process;
    if (process != nullptr && !process->queue.empty() && gen.one_in(3)) {
      commit(*process, 100, Fate::normal, gen);
    }
  }
}

// What another process of the same store has committed is seen before long.
bool World::poll(Process& process) {
  if (process.replica.processes.size() < 2) return false;
  const std::uint64_t now = process.shared.env().last_transaction();
  if (std::exchange(process.seen, now) == now) return false;
  trace_.met("a process saw what another of its store has committed");
  tell_changed(process);
  return true;
}

// Everything that can happen at this moment.
void World::settle(Gen& gen) {
  for (bool more = true; more && !trace_.has_failed();) {
    more = false;
    for (std::size_t i = 0; i < links_.size(); ++i) {
      for (int side = 0; side < 2; ++side) {
        while (deliver(*links_[i], side)) more = true;
        more = wake(*links_[i], side) || more;
      }
    }
    for (const auto& replica : replicas_) {
      for (std::size_t i = 0; i < replica->processes.size(); ++i) {
        Process& process = *replica->processes[i];
        more = poll(process) || more;
        if (process.queue.empty()) continue;
        commit(process, 100, Fate::normal, gen);
        more = true;
      }
    }
  }
}

// Lets time pass; whoever asked to be woken is. False: nobody wanted to be before then.
bool World::advance(Time until, Gen& gen) {
  bool any = false;
  settle(gen);
  while (!trace_.has_failed()) {
    std::optional<Time> next;
    for (const auto& link : links_) {
      for (const End& end : link->ends) {
        if (end.is_up() && end.wake && (!next || *end.wake < *next)) next = end.wake;
      }
    }
    if (!next || *next > until) break;
    any = true;
    now_ = std::max(now_, *next);
    settle(gen);
  }
  now_ = until;
  return any;
}

}  // namespace loam::sim
