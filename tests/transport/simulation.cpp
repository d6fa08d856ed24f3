#include "tests/transport/simulation.hpp"

#include <algorithm>

namespace test {
namespace {

using loam::Delta;
using loam::Dot;

const std::vector<Declared> declared{{"registry", loam::Kind::map},
                                     {"lessons", loam::Kind::set},
                                     {"notes", loam::Kind::set},
                                     {"goals", loam::Kind::map}};
const std::vector<std::string> names{"a", "b", "c", "d", "e", "f", "g"};

constexpr std::size_t no_component = ~std::size_t{0};
constexpr std::size_t links_at_once = 6;

template <class Visit>
void each_dot(const loam::Context& context, Visit&& visit) {
  for (const auto& [actor, ranges] : context) {
    for (const loam::Range& range : ranges) {
      for (std::uint64_t counter = range.first; counter <= range.last; ++counter) {
        visit(Dot{actor, counter});
      }
    }
  }
}

}  // namespace

Simulation::Simulation(Gen& gen, const SimulationRules& rules, Coverage& coverage)
    : gen_(gen), rules_(rules), coverage_(coverage) {
  actors_in_order_ = gen_.coin();
  refuses_ = gen_.one_in(3);
  writes_slowly_ = gen_.coin();
  choose_topology();
  choose_components();
  heard_.resize(peers_.size());
  backups_.resize(peers_.size());
  net_.keeps_frames = false;
  net_.watch = [this](const Sent& sent) { count(sent); };
  net_.before_apply = [this](const Peer& peer, const loam::Apply& change) {
    check_claims(peer, change);
    hear(index_of(peer), change.segment, change.delta);
  };
  net_.refuse = [this](const Peer&, const loam::Apply&) -> std::optional<std::string> {
    if (!refuses_ || !gen_.one_in(12)) return std::nullopt;
    ++coverage_["apply refused"];
    return "refused by the test";
  };
}

void Simulation::choose_topology() {
  const std::size_t count = 2 + gen_.index(4);
  const std::uint64_t shape = gen_.below(3);
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<Declared> segments;
    for (const Declared& segment : declared) {
      if (segments.empty() || !gen_.one_in(4)) segments.push_back(segment);
    }
    peers_.emplace_back(static_cast<unsigned>(i), i, segments);
    peers_.back().broken = rules_.broken;
    peers_.back().slices_overshoot = gen_.coin();
    peers_.back().become(fresh_actor());
    for (std::size_t j = 0; j < i; ++j) {
      const bool is_edge = shape == 0 ? j == 0 : shape == 1 ? j + 1 == i : true;
      if (is_edge) edges_.emplace_back(j, i);
    }
  }
}

void Simulation::choose_components() {
  for (const Declared& segment : declared) {
    std::vector<std::size_t>& component = component_[segment.name];
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      component.push_back(peers_[i].has(segment.name) ? i : no_component);
    }
    for (std::size_t pass = 0; pass < peers_.size(); ++pass) {
      for (const auto& [left, right] : edges_) {
        if (component[left] == no_component || component[right] == no_component) continue;
        component[left] = component[right] = std::min(component[left], component[right]);
      }
    }
  }
}

Truth& Simulation::truth(std::size_t peer, const std::string& segment) {
  return truth_[{segment, component_.at(segment)[peer]}];
}

loam::SessionLimits Simulation::choose_limits() {
  loam::SessionLimits limits;
  if (gen_.one_in(4)) return limits;
  limits.chunk_octets = gen_.between(1, 400);
  limits.chunk_records = gen_.between(1, 8);
  limits.part_actors = gen_.between(1, 4);
  limits.part_octets = gen_.between(1, 300);
  limits.actors_page = gen_.between(1, 4);
  limits.journal_page_dots = gen_.between(1, 8);
  limits.summaries = gen_.between(1, 3);
  limits.frame_ranges = gen_.between(1, 3);
  limits.window_octets = gen_.between(1, 1'000);
  limits.burst_octets = gen_.between(1, 1'000);
  return limits;
}

loam::ActorId Simulation::fresh_actor() {
  loam::ActorId actor{loam::hash128("sim actor", {loam::bytes_of(std::to_string(++minted_))})};
  if (actors_in_order_) {
    actor.bytes[0] = static_cast<std::byte>(minted_ >> 8);
    actor.bytes[1] = static_cast<std::byte>(minted_ & 255);
  }
  return actor;
}

std::size_t Simulation::index_of(const Peer& peer) const {
  return static_cast<std::size_t>(&peer - peers_.data());
}

std::string Simulation::run() {
  for (std::uint64_t left = 20 + gen_.below(180); left > 0 && failure_.empty(); --left) step();
  if (failure_.empty()) heal();
  return failure_;
}

// ---------------------------------------------------------------- phase 1

void Simulation::step() {
  switch (gen_.below(16)) {
    case 0:
    case 1:
    case 2: return write();
    case 3: return connect();
    case 4: return gen_.one_in(3) ? lose_link() : travel();
    case 5: return gen_.one_in(2) ? shorten_journal() : travel();
    case 6: return gen_.one_in(2) ? back_up_or_restore() : travel();
    case 7:
      if (gen_.one_in(6)) net_.pass(std::chrono::seconds(gen_.between(1, 20)));
      return check_closes();
    case 8: {
      if (!gen_.one_in(3)) return travel();
      Peer& peer = peers_[gen_.index(peers_.size())];
      return peer.become(fresh_actor());
    }
    default: return travel();
  }
}

void Simulation::write() {
  const std::size_t index = gen_.index(peers_.size());
  Peer& peer = peers_[index];
  const std::string segment = gen_.pick(peer.segments());
  clock_ms_ += static_cast<std::int64_t>(gen_.below(3));
  const bool is_map = peer.store(segment).kind() == loam::Kind::map;
  const Delta delta = is_map ? write_map(peer, segment) : write_set(peer, segment);
  Truth& known = truth(index, segment);
  each_dot(delta.context, [&](const Dot& dot) {
    const auto live = delta.live.find(dot);
    if (live == delta.live.end()) {
      expect(known.written.contains(dot), "a write removes a dot that nobody wrote");
      known.removed.insert(dot);
    } else {
      expect(known.written.emplace(*live).second, "a dot was issued twice");
    }
  });
  hear(index, segment, delta);
  check_peer(index);
  if (gen_.one_in(4)) return;  // the sessions hear of it with the next change
  net_.changed(peer);
}

Delta Simulation::write_set(Peer& peer, const std::string& segment) {
  const Note note{gen_.pick(names), std::to_string(minted_++), clock_ms_};
  const std::string& other = gen_.pick(names);
  return peer.write(segment, [&](Replica& replica) {
    const std::uint64_t choice = gen_.below(16);
    if (choice < 3) return replica.remove(other);
    if (choice < 6) return replica.revise(other, note);
    if (choice == 6) return replica.clear();
    return replica.add(note);
  });
}

Delta Simulation::write_map(Peer& peer, const std::string& segment) {
  const Note note{gen_.pick(names), std::to_string(minted_++), clock_ms_};
  return peer.write(segment, [&](Replica& replica) {
    return gen_.one_in(4) ? replica.erase(note) : replica.put(note);
  });
}

void Simulation::connect() {
  std::erase_if(open_links_, [&](const auto& open) { return net_.is_over(open.first); });
  if (open_links_.size() >= links_at_once) return;
  const std::size_t edge = gen_.index(edges_.size());
  for (const auto& [link, other] : open_links_) {
    if (other == edge) ++coverage_["two links to one peer"];
  }
  auto [dialler, listener] = edges_[edge];
  if (gen_.coin()) std::swap(dialler, listener);
  Meeting meeting;
  meeting.once = {gen_.one_in(3), gen_.one_in(8)};
  open_links_.emplace_back(meet(dialler, listener, meeting), edge);
}

std::size_t Simulation::meet(std::size_t dialler, std::size_t listener, Meeting meeting) {
  meeting.limits = choose_limits();
  windows_.push_back(meeting.limits.window_octets);
  return net_.connect(peers_[dialler], peers_[listener], meeting);
}

void Simulation::travel() {
  if (open_links_.empty()) return connect();
  if (gen_.one_in(12)) {
    net_.run();
  } else {
    const std::size_t link = gen_.pick(open_links_).first;
    for (std::uint64_t left = gen_.between(1, 6); left > 0; --left) {
      const int side = gen_.coin() ? 1 : 0;
      if (gen_.one_in(writes_slowly_ ? 12 : 3)) {
        net_.commit(link, side);
      } else if (!net_.deliver(link, side)) {
        net_.wake(link, side);
      }
    }
  }
  check_closes();
}

void Simulation::lose_link() {
  if (open_links_.empty()) return;
  const std::size_t link = gen_.pick(open_links_).first;
  if (gen_.one_in(5) && net_.is_up(link)) {
    ++coverage_["link left"];
    const int side = net_.end(link, 0).is_up() ? 0 : 1;
    return net_.leave(link, side, "enough");
  }
  const bool loses = gen_.coin();
  if (loses && !net_.end(link, 0).applies.empty()) ++coverage_["applies lost"];
  net_.cut(link, loses);
  ++coverage_["link cut"];
}

void Simulation::shorten_journal() {
  Peer& peer = peers_[gen_.index(peers_.size())];
  const std::string segment = gen_.pick(peer.segments());
  if (gen_.one_in(5)) {
    ++coverage_["journal dropped"];
    return peer.drop_journal(segment, journal_id_of(++minted_));
  }
  const loam::SegmentState state = peer.state(segment);
  if (state.floor == state.head) return;
  ++coverage_["journal truncated"];
  peer.truncate(segment, gen_.between(state.floor + 1, state.head));
}

void Simulation::back_up_or_restore() {
  const std::size_t index = gen_.index(peers_.size());
  if (!backups_[index] || gen_.coin()) {
    backups_[index] = Backup{peers_[index], heard_[index]};
    return;
  }
  if (!rules_.restores) return;
  for (std::size_t link = 0; link < net_.links(); ++link) {  // that process has ended
    for (int side = 0; side < 2; ++side) {
      if (net_.end(link, side).peer != &peers_[index]) continue;
      net_.cut(link);
      net_.end(link, side).applies.clear();
    }
  }
  peers_[index] = backups_[index]->peer;
  heard_[index] = backups_[index]->heard;
  peers_[index].become(fresh_actor());
  const bool is_new = gen_.coin();
  if (is_new) peers_[index].become_store(store_id_of(++minted_));
  ++coverage_[is_new ? "restored as a new store" : "restored as the same store"];
}

// ---------------------------------------------------------------- phase 2

void Simulation::heal() {
  refuses_ = false;
  const bool loses = gen_.coin();
  for (std::size_t link = 0; link < net_.links(); ++link) {
    net_.cut(link, loses);
    for (int side = 0; side < 2; ++side) {
      while (net_.commit(link, side)) {
      }
    }
  }
  std::map<std::pair<std::string, std::size_t>, std::set<Dot>> expected;
  for (const auto& [segment, component] : component_) {
    for (const std::size_t one : component) {
      if (one != no_component) expected[{segment, one}] = merged(segment, one);
    }
  }
  gen_.coin() ? heal_by_rounds() : heal_by_links();
  for (const auto& [key, dots] : expected) check_survival(key.first, key.second, dots);
  check_end();
}

void Simulation::heal_by_rounds() {
  for (std::size_t pass = 0; pass <= peers_.size() && failure_.empty(); ++pass) {
    for (const auto& [left, right] : edges_) {
      const std::size_t link = meet(left, right, {.once = {true, gen_.one_in(4)}});
      net_.pass(std::chrono::seconds(9));
      expect(net_.is_over(link), "a round does not end");
      if (!failure_.empty()) return;
      const auto& report = net_.end(link, 0).session->report();
      expect(report.problem.empty(), "a round ends with a problem: " + report.problem);
      expect(report.converged, "a round ends without having converged");
      expect(net_.end(link, 1).session->report().converged, "the listener has not converged");
      expect(is_equal(peers_[left], peers_[right]), "a round leaves two peers different");
    }
    if (all_equal()) break;
  }
}

void Simulation::heal_by_links() {
  for (const auto& [left, right] : edges_) meet(left, right, {});
  net_.run();
  if (!rules_.restores && !rules_.may_alarm) expect(all_equal(), "live links leave peers different");
  for (int pass = 0; pass < 5; ++pass) net_.pass(std::chrono::seconds(16));
}

bool Simulation::is_equal(const Peer& left, const Peer& right) const {
  const auto segments = left.segments();
  return std::all_of(segments.begin(), segments.end(), [&](const std::string& segment) {
    return !right.has(segment) || left.store(segment).roots() == right.store(segment).roots();
  });
}

bool Simulation::all_equal() const {
  return std::all_of(edges_.begin(), edges_.end(), [&](const auto& edge) {
    return is_equal(peers_[edge.first], peers_[edge.second]);
  });
}

// What a merge of all states of a component holds, by sets alone.
std::set<Dot> Simulation::merged(const std::string& segment, std::size_t component) const {
  std::set<Dot> live;
  std::set<Dot> dead;
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    if (component_.at(segment)[i] != component) continue;
    const loam::MemoryStore& store = peers_[i].store(segment);
    each_dot(store.context(), [&](const Dot& dot) {
      (store.live().contains(dot) ? live : dead).insert(dot);
    });
  }
  for (const Dot& dot : dead) live.erase(dot);
  return live;
}

void Simulation::check_survival(const std::string& segment, std::size_t component,
                                const std::set<Dot>& expected) {
  const Truth& known = truth_[{segment, component}];
  if (!rules_.restores) {
    std::set<Dot> wanted;
    for (const auto& [dot, record] : known.written) {
      if (!known.removed.contains(dot)) wanted.insert(dot);
    }
    expect(wanted == expected, segment + ": before healing the peers hold other dots than were written");
  }
  const Peer* first = nullptr;
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    if (component_.at(segment)[i] != component) continue;
    const loam::MemoryStore& store = peers_[i].store(segment);
    std::set<Dot> live;
    for (const auto& [dot, record] : store.live()) live.insert(dot);
    expect(live == expected, segment + ": other dots are live than were written and not removed");
    if (first == nullptr) first = &peers_[i];
    expect(store.roots() == first->store(segment).roots(), segment + ": roots differ");
    expect(store.canonical() == first->store(segment).canonical(), segment + ": states differ");
  }
}

void Simulation::check_end() {
  for (std::size_t i = 0; i < peers_.size(); ++i) check_peer(i);
  check_closes();
  for (const std::string& alarm : net_.alarms()) {
    const bool is_differ = alarm.find("differ") != std::string::npos;
    if (is_differ) ++coverage_["alarm: differ"];
    expect(is_differ && (rules_.restores || rules_.may_alarm), "an alarm was raised: " + alarm);
  }
}

// ---------------------------------------------------------------- oracle

void Simulation::hear(std::size_t peer, const std::string& segment, const Delta& delta) {
  Heard& heard = heard_[peer][segment];
  each_dot(delta.context, [&](const Dot& dot) {
    (delta.live.contains(dot) ? heard.live : heard.dead).insert(dot);
  });
}

// What travels is true: nothing is invented, nothing dies that nobody removed.
void Simulation::check_claims(const Peer& peer, const loam::Apply& change) {
  const Truth& known = truth(index_of(peer), change.segment);
  each_dot(change.delta.context, [&](const Dot& dot) {
    const auto written = known.written.find(dot);
    expect(written != known.written.end(), change.segment + ": a chunk accounts for a dot that nobody wrote");
    if (written == known.written.end()) return;
    const auto live = change.delta.live.find(dot);
    if (live != change.delta.live.end()) {
      expect(live->second == written->second, change.segment + ": a record has changed on its way");
    } else {
      expect(known.removed.contains(dot), change.segment + ": a chunk kills what nobody removed");
    }
  });
}

// A peer is what it has heard: removed dots are dead for ever, the others are live.
void Simulation::check_peer(std::size_t index) {
  const Peer& peer = peers_[index];
  for (const std::string& segment : peer.segments()) {
    const Heard& heard = heard_[index][segment];
    const auto& live = peer.store(segment).live();
    std::size_t alive = 0;
    for (const Dot& dot : heard.live) {
      if (heard.dead.contains(dot)) continue;
      ++alive;
      expect(live.contains(dot), segment + ": a record was lost");
    }
    for (const auto& [dot, record] : live) {
      expect(!heard.dead.contains(dot), segment + ": a removed record is back");
    }
    expect(alive == live.size(), segment + ": a record is live that was never heard of");
  }
}

void Simulation::check_closes() {
  for (const auto& [link, edge] : open_links_) {
    for (int side = 0; side < 2; ++side) {
      const auto& end = net_.end(link, side);
      if (!end.close || end.close->code == 1000) continue;
      if (end.close->reason.starts_with("refused")) continue;
      expect(false, "a session closed with " + std::to_string(end.close->code) + " " + end.close->reason);
    }
  }
  for (std::size_t i = 0; i < peers_.size(); ++i) check_peer(i);
}

void Simulation::count(const Sent& sent) {
  const loam::Frame frame = sent.frame();
  expect(loam::encode_frame(frame) == sent.bytes, "a frame is not encoded as it was decoded");
  if (const auto* delta = std::get_if<loam::DeltaFrame>(&frame)) {
    if (delta->delta.empty()) ++coverage_["delta: position only"];
    if (!delta->upto) ++coverage_["delta: without a position"];
    if (delta->delta.context.actors().size() > 1) ++coverage_["delta: several actors"];
    const std::uint64_t flying = chunk_octets_[{sent.link, sent.from}] += sent.bytes.size();
    if (flying - acked_octets_[{sent.link, sent.from}] >= windows_.at(sent.link)) ++coverage_["window closed"];
  } else if (const auto* context = std::get_if<loam::ContextFrame>(&frame)) {
    if (context->last) ++coverage_["context: a part with more to come"];
    if (!context->last && !context->after) ++coverage_["context: in one part"];
  } else if (const auto* compared = std::get_if<loam::ComparedFrame>(&frame)) {
    if (!compared->summaries.empty()) ++coverage_["compared: with summaries"];
    if (!compared->end) ++coverage_["compared: with more to come"];
  } else if (std::holds_alternative<loam::AskFrame>(frame)) {
    ++coverage_["ask"];
  } else if (const auto* sets = std::get_if<loam::SetsFrame>(&frame)) {
    ++coverage_["sets"];
    if (sets->live.empty()) ++coverage_["sets: nothing live"];
  } else if (const auto* state = std::get_if<loam::StateFrame>(&frame)) {
    if (state->compare) ++coverage_["state: journal gone in mid-stream"];
    if (state->wanted) ++coverage_["state: asked for"];
  } else if (const auto* ack = std::get_if<loam::AckFrame>(&frame)) {
    acked_octets_[{sent.link, 1 - sent.from}] = ack->octets;
  } else if (std::holds_alternative<loam::Ping>(frame)) {
    ++coverage_["ping"];
  }
}

void Simulation::expect(bool holds, const std::string& what) {
  if (!holds && failure_.empty()) failure_ = what;
}

std::string simulate(Gen& gen, const SimulationRules& rules, Coverage& coverage) {
  return Simulation(gen, rules, coverage).run();
}

}  // namespace test
