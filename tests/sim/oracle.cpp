#include <algorithm>

#include "crdt/error.hpp"
#include "tests/lib/scratch.hpp"
#include "tests/lib/store_walk.hpp"
#include "tests/sim/world.hpp"

namespace loam::sim {
namespace {

constexpr std::int64_t clock_follow_ms = 60'000;

// Each of the eight segments may have one chunk open, and one that it did not fit into, when the
// window closes. Answers may go beyond it by one frame, and the last of them is one more.
constexpr std::size_t overshoot_frames = 8 * 2 + 2;

std::string shown(const Dot& dot) {
  return "dot " + std::to_string(dot.counter) + " of " + dot.actor.text().substr(20);
}

}  // namespace

// ---------------------------------------------------------------- after every commit

void World::check_store(Process& process, const Judgement& judgement) {
  Replica& replica = process.replica;
  const Readback& stored = judgement.stored;
  const std::string what = difference(judgement.shared, stored.model);
  trace_.expect(what.empty(), "r" + std::to_string(replica.index) + " committed: " + what);
  const std::string priv = difference(judgement.priv, read_private(process));
  trace_.expect(priv.empty(), "committed: " + priv);
  for (const auto& [name, journal] : stored.journals) {
    const std::uint64_t kept = journal.head - journal.floor;
    trace_.expect(kept <= replica.config.journal_entries_max, name + ": a journal is too long");
  }
  check_journal(replica, judgement);
  if (!is_tainted()) check_positions(replica, judgement);
  const std::int64_t bound = std::max<std::int64_t>(wall_ms(replica), 0) + clock_follow_ms + 1;
  const std::int64_t before = replica.clock_ms;
  trace_.expect(stored.clock.ms() <= std::max(before + 1, bound),
                "the clock has followed another for more than a minute");
  replica.clock_ms = std::max(before, stored.clock.ms());
}

// What one commit changed stands in the journal, under the store that it came from, all of it.
void World::check_journal(Replica& replica, const Judgement& judgement) {
  for (const auto& [name, journal] : judgement.stored.journals) {
    const std::uint64_t known = replica.heads[name];
    for (std::uint64_t i = std::max(known, journal.floor) + 1; i <= journal.head; ++i) {
      trace_.expect(journal.entries.contains(i), name + ": a journal entry is missing");
    }
    if (journal.id != replica.journals[name] || journal.floor > known) continue;
    std::map<StoreId, Dots> entered;
    for (const auto& [number, entry] : journal.entries) {
      insert(entered[entry.origin], entry.changed);
    }
    std::map<StoreId, Dots> changed;
    for (const auto& [where, dots] : judgement.changes) {
      if (where.first == name && !dots.empty()) changed.emplace(where.second, dots);
    }
    trace_.expect(entered == changed, name + ": the journal says other than what was changed");
  }
}

// A position in a peer's journal stands for everything up to it.
void World::check_positions(const Replica& replica, const Judgement& judgement) {
  if (has_rolled_back_) return;
  for (const auto& [where, position] : judgement.shared.positions) {
    const auto before = replica.shared.positions.find(where);
    if (before != replica.shared.positions.end() && before->second == position) continue;
    const auto log = journal_log_.find(position.journal);
    if (log == journal_log_.end()) continue;
    const SegmentModel& segment = judgement.shared.segments.at(where.second);
    for (const auto& [number, dots] : log->second) {
      if (number > position.sequence) break;
      trace_.expect(contains(segment.covered, dots),
                    where.second + ": a position runs ahead of its records");
    }
  }
}

// ---------------------------------------------------------------- what travels

// Nothing is invented, nothing dies that nobody removed, nothing changes on its way.
void World::check_claims(const Replica& replica, const Apply& change) {
  if (is_tainted()) return;
  const Truth& truth = truth_[change.segment];
  const std::string where = "r" + std::to_string(replica.index) + " " + change.segment + ": ";
  for (const auto& [actor, counters] : dots_of(change.delta.context)) {
    for (const auto& [first, last] : counters.spans()) {
      for (std::uint64_t counter = first; counter <= last; ++counter) {
        const Dot dot{actor, counter};
        const auto written = truth.written.find(dot);
        if (!trace_.expect(written != truth.written.end(),
                           where + shown(dot) + " was claimed, and nobody wrote it")) {
          return;
        }
        const auto live = change.delta.live.find(dot);
        if (live != change.delta.live.end()) {
          trace_.expect(truth.has(dot, live->second),
                        where + shown(dot) + " has changed on its way");
        } else {
          trace_.expect(truth.removed.contains(dot),
                        where + shown(dot) + " is to die, and nobody removed it");
        }
      }
    }
  }
}

namespace {

// Parts of a comparison count against the window as chunks do.
bool is_counted_part(const Frame& frame) {
  return std::holds_alternative<CompareFrame>(frame) ||
         std::holds_alternative<ContextFrame>(frame) || std::holds_alternative<LiveFrame>(frame);
}

}  // namespace

void World::meet_part(const Frame& frame) {
  if (const auto* compare = std::get_if<CompareFrame>(&frame)) {
    trace_.met(compare->cells.empty() ? "actors were listed" : "actors were sketched");
  } else if (const auto* context = std::get_if<ContextFrame>(&frame)) {
    if (!context->end) trace_.met("a context in parts");
    if (!context->named.empty()) trace_.met("actors were named");
  } else if (const auto* live = std::get_if<LiveFrame>(&frame)) {
    if (live->form == LiveFrame::Form::sets) trace_.met("live sets were told");
    if (live->form == LiveFrame::Form::sketch) trace_.met("live dots were sketched");
    if (live->form == LiveFrame::Form::all) trace_.met("all live dots were sketched");
  }
}

// What is not acknowledged is no more than the window and a few frames.
void World::check_window(End& from, std::size_t octets) {
  const std::uint64_t flying = from.counted_octets - from.acked_octets + octets;
  from.largest_frame = std::max(from.largest_frame, octets);
  from.counted_octets += octets;
  const std::uint64_t window = from.limits.window_octets;
  trace_.expect(flying <= window + overshoot_frames * from.largest_frame || is_tainted(),
                "a chunk or a part was sent although the window was closed");
  if (flying >= window) trace_.met("a window closed");
}

void World::check_frame(Link& link, int side, const Bytes& octets) {
  End& from = link.ends[static_cast<std::size_t>(side)];
  End& to = link.ends[static_cast<std::size_t>(1 - side)];
  const std::string form = scanner_.found_in(octets);
  trace_.expect(form.empty(), "private text leaves in a frame: " + form);
  trace_.expect(octets.size() <= message_octets_max, "a frame is too long");
  const Frame frame = decode_frame(octets);
  trace_.expect(encode_frame(frame) == octets, "a frame is not encoded as it was decoded");
  const bool is_first = std::holds_alternative<Hello>(frame) || std::holds_alternative<Bye>(frame);
  trace_.expect(is_first || !link.is_skewed, "something is told to a peer of another version");
  if (const auto* state = std::get_if<StateFrame>(&frame)) {
    from.segments[state->index] = state->segment;
    check_egress(link, side, state->segment);
    if (state->compare) trace_.met("a journal was gone in mid-stream");
    if (state->wanted) trace_.met("states were asked for");
  } else if (const auto* delta = std::get_if<DeltaFrame>(&frame)) {
    check_window(from, octets.size());
    check_egress(link, side, from.segments[delta->index]);
    if (delta->delta.context.actors().size() > 1) trace_.met("a chunk of several actors");
    check_chunk(from, from.segments[delta->index], delta->delta);
  } else if (is_counted_part(frame)) {
    check_window(from, octets.size());
    std::visit(
        [&](const auto& part) {
          if constexpr (requires { part.index; }) check_egress(link, side, from.segments[part.index]);
          if constexpr (requires { part.number; part.index; }) {
            from.compared.insert(from.segments[part.index]);
            to.compared.insert(from.segments[part.index]);
          }
        },
        frame);
    meet_part(frame);
  } else if (const auto* ack = std::get_if<AckFrame>(&frame)) {
    to.acked_octets = ack->octets;
  } else if (std::holds_alternative<Ping>(frame)) {
    trace_.met("a ping");
  }
}

// What leaves a store is in a transaction that was committed: the model is as of the last commit. A
// chunk that waited for its window may bring what has been removed since; the removal follows it.
void World::check_chunk(const End& from, const std::string& name, const Delta& delta) {
  const Replica& replica = *replicas_[from.replica];
  if (replica.is_hostile) return;
  const auto at = replica.shared.segments.find(name);
  if (!trace_.expect(at != replica.shared.segments.end(), "a chunk of no segment")) return;
  const SegmentModel& segment = at->second;
  const Dots claimed = dots_of(delta.context);
  trace_.expect(contains(segment.covered, claimed),
                name + ": a chunk claims what its sender has not made durable");
  for (const auto& [dot, record] : delta.live) {
    trace_.expect(truth_[name].has(dot, record) || is_tainted(),
                  name + ": a record was sent that is not durable");
    trace_.expect(contains(claimed, dot), name + ": a record outside of its chunk's context");
  }
  for (const auto& [dot, record] : segment.live) {
    trace_.expect(!contains(claimed, dot) || delta.live.contains(dot),
                  name + ": a chunk claims more than it brings");
  }
}

void World::check_close(const Link& link, int side) {
  const End& end = link.ends[static_cast<std::size_t>(side)];
  if (!end.close || end.close->code == 1000 || end.was_truncated || is_tainted()) return;
  const std::string& reason = end.close->reason;
  if (link.is_skewed && reason.starts_with("incompatible")) return;
  if (has_trust() && reason.starts_with("untrusted")) return check_refusal(link, side);
  const bool is_quiet = reason.starts_with("leaving");  // a silent peer
  const bool may_refuse = scenario_.setup.small_maps || has_disk_failed_;
  const bool is_refused = may_refuse && reason.starts_with("refused");
  trace_.expect(is_quiet || is_refused,
                "a session closed with " + std::to_string(end.close->code) + " " + reason);
}

void World::check_alarm(const Replica& replica, const std::string& text) {
  trace_.line("alarm of r" + std::to_string(replica.index) + ": " + text);
  for (const std::string& due : alarms_due_) {
    if (text.find(due) == std::string::npos) continue;
    alarms_due_.erase(due);
    return;
  }
  const bool is_differ = text.find("differ") != std::string::npos;
  if (is_differ) trace_.met("two sides followed each other to the end and differ");
  // Where rights differ, one side may not be told all.
  const bool may_differ = has_rolled_back_ || has_held_ || has_rivals() || has_trust();
  trace_.expect(is_tainted() || (is_differ && may_differ), "an alarm was raised: " + text);
}

// ---------------------------------------------------------------- the end

// What a merge of everything that is there would hold, by sets alone; and whether all that was
// acknowledged is still somewhere.
void World::expected_at_end() {
  for (const auto& [segment, component] : components()) {
    std::map<std::size_t, std::map<Dot, Bytes>> live;
    std::map<std::size_t, std::set<Dot>> dead;
    for (const auto& replica : replicas_) {
      const std::size_t where = component[replica->index];
      if (replica->is_apart() || !replica->has(segment)) continue;
      const SegmentModel& held = replica->shared.segments.at(segment);
      for (const auto& [dot, record] : held.live) {
        Bytes& wins = live[where].emplace(dot, record).first->second;
        if (content_hash(record) < content_hash(wins)) wins = record;
      }
      for (const auto& [dot, record] : truth_[segment].written) {
        if (contains(held.covered, dot) && !held.live.contains(dot)) dead[where].insert(dot);
      }
    }
    for (auto& [where, dots] : live) {
      for (const Dot& dot : dead[where]) dots.erase(dot);
      expected_[{segment, where}] = dots;
    }
    if (is_tainted()) continue;
    check_known(segment);
    const Truth& truth = truth_[segment];
    for (const auto& [where, dots] : dead) {
      for (const Dot& dot : dots) {
        trace_.expect(truth.removed.contains(dot), segment + ": a record died unremoved");
      }
    }
  }
}

void World::check_end() {
  const auto component = components();
  std::map<std::pair<std::string, std::size_t>, const Replica*> first;
  for (const auto& replica : replicas_) {
    check_files(*replica);
    if (replica->is_apart()) continue;
    Process& process = *replica->processes.front();
    const std::string walked = test::walk(process.shared);
    trace_.expect(walked.empty(), "a store does not agree with itself: " + walked);
    const Readback stored = read_back(process.shared, replica->heads);
    has_trust() ? check_visible(process) : check_winners(process);
    check_rules(process);
    for (const auto& [name, segment] : stored.model.segments) {
      const std::pair key{name, component.at(name)[replica->index]};
      trace_.expect(is_tainted() || segment.live == expected_[key],
                    name + ": other records live at the end than were written and not removed");
      if (!is_tainted()) check_known(name);
      const Replica*& other = first[key];
      if (other == nullptr) other = replica.get();
      trace_.expect(segment == other->shared.segments.at(name),
                    name + ": states differ at the end");
      const Readback theirs = read_back(other->processes.front()->shared, other->heads);
      trace_.expect(stored.roots.at(name) == theirs.roots.at(name),
                    name + ": roots differ at the end");
    }
  }
}

void World::check_winners(Process& process) {
  for (const auto& each : process.replica.shared.segments) {
    const std::string& name = each.first;
    const SegmentModel& segment = each.second;
    if (segment.kind != Kind::map) continue;
    std::set<std::string> keys;
    for (const auto& [dot, record] : segment.live) keys.insert(decode_map_record(record).key);
    for (const std::string& key : keys) {
      const auto found = process.shared.read([&](const SharedReader& reader) {
        return reader.dots_of(process.shared.number(name), key);
      });
      if (found.size() > 1) trace_.met("a key with several assignments");
      trace_.expect(!found.empty() && found.back().dot == winner_of(segment, key),
                    name + ": another assignment wins");
    }
  }
}

void World::check_files(const Replica& replica) {
  const std::string file = test::read_file(replica.dir + "/shared/data.mdb");
  const std::string form = scanner_.found_in(bytes_of(file));
  trace_.expect(form.empty(), "private text is in a shared file: " + form);
}

}  // namespace loam::sim
