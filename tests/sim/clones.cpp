// Copies of running processes: two that write under one actor, until one of them notices.
#include <algorithm>
#include <utility>

#include "tests/sim/random_stream.hpp"
#include "tests/sim/world.hpp"

namespace loam::sim {

bool Truth::has(const Dot& dot, const Bytes& record) const {
  const auto at = written.find(dot);
  if (at == written.end()) return false;
  if (at->second == record) return true;
  const auto others = rivals.find(dot);
  return others != rivals.end() && others->second.contains(record);
}

// A machine that is copied while it runs: both go on as the same process, under the same actor.
void World::twin(Replica& from, Process& copy, Gen& gen) {
  Process& original = *gen.pick(from.processes);
  if (is_governor(from)) return;  // docs/SECURITY.md says what would follow
  if (!original.minted) {  // nor would the copies of its randomness differ
    original.mint_stream = gen.bits();
    original.mint_ms = original.now_ms();
    seed_randomness(original.mint_stream);
    original.actor = original.minted = original.shared.own_actor(original.mint_ms, 0);
  }
  seed_randomness(original.mint_stream);
  const ActorId actor = copy.shared.own_actor(original.mint_ms, 0);
  // Where the first random octets of that commit were for something else, it is no twin.
  if (actor != *original.minted) return copy.shared.renew_actor();
  trace_.met("a running process was cloned");
  original.actor = copy.actor = copy.minted = actor;
  original.may_have_renewed = false;
  copy.mint_stream = original.mint_stream;
  copy.mint_ms = original.mint_ms;
  twins_.insert(actor);
}

// Only copies of one running process write under one dot, and then one content wins for all.
void World::note_written(Truth& truth, const std::string& segment, const Dot& dot,
                         const Bytes& record) {
  const auto [at, is_first] = truth.written.emplace(dot, record);
  if (is_first) return;
  trace_.expect(twins_.contains(dot.actor), segment + ": a dot was issued twice");
  if (at->second == record) return;
  trace_.met("one dot was written twice");
  const bool wins = content_hash(record) < content_hash(at->second);
  truth.rivals[dot].insert(wins ? std::exchange(at->second, record) : record);
}

// What a join does in the models. Whoever hears of a dot of its own actor that its store does not
// know, or of another content for one, knows that it was copied, and gives the actor up.
void World::hear(Judgement& now, const Apply& change, const StoreId& peer,
                 const ApplyOutcome& told) {
  SegmentModel& segment = now.shared.segments.at(change.segment);
  const Dots claimed = dots_of(change.delta.context);
  bool is_cloned = false;
  if (now.actor && claimed.contains(*now.actor)) {
    const auto known = segment.covered.find(*now.actor);
    is_cloned =
        known == segment.covered.end() || !known->second.contains(claimed.at(*now.actor));
    if (is_cloned) trace_.met("a clone was noticed by its counter");
  }
  std::vector<std::pair<Dot, Bytes>> clashes;
  insert(now.changes[{change.segment, peer}], join(segment, change.delta, clashes));
  for (const auto& [dot, loser] : clashes) {
    trace_.met("one dot with two contents");
    if (!is_tainted()) trace_.met("a second content was kept aside");
    now.shared.kept_aside.emplace(change.segment, dot, loser);
    if (!is_tainted() && !twins_.contains(dot.actor)) now.problem = "one dot has two contents";
    if (now.actor != dot.actor) continue;
    if (!is_cloned) trace_.met("a clone was noticed by its content");
    is_cloned = true;
  }
  if (is_cloned) now.actor.reset();
  if (told.refused || now.may_have_renewed) return;
  if (told.cloned != is_cloned) {
    now.problem = is_cloned ? "a clone was not noticed" : "a clone was noticed that is none";
  }
  if (told.equivocated != clashes.size()) now.problem = "dots with two contents were not told";
}

// Whether some dot has two contents. Then it may take two comparisons until states are equal, with
// an alarm between them: one that finds a removal does not see another content beside it.
bool World::has_rivals() const {
  return std::any_of(truth_.begin(), truth_.end(),
                     [](const auto& segment) { return !segment.second.rivals.empty(); });
}

// Whether everything that was acknowledged is still known somewhere: live, kept aside, or dead.
void World::check_known(const std::string& segment) {
  const Truth& truth = truth_[segment];
  for (const auto& write : truth.acknowledged) {
    const Dot& dot = write.first;
    const ContentHash& content = write.second;
    const bool is_plain = !truth.rivals.contains(dot);
    const bool is_known =
        std::any_of(replicas_.begin(), replicas_.end(), [&](const auto& replica) {
          if (replica->is_hostile || !replica->has(segment)) return false;
          return is_plain ? contains(replica->shared.segments.at(segment).covered, dot)
                          : knows(replica->shared, segment, dot, content);
        });
    trace_.expect(is_known || truth.lost.contains(write),
                  segment + ": an acknowledged write is nowhere");
  }
}

// Copies of one process that go on: by now one of them at most still writes under the actor that
// they had in common and have written under.
void World::write_as_twins(Gen& gen) {
  for (const auto& replica : replicas_) {
    for (std::size_t i = 0; i < replica->processes.size() && !trace_.has_failed(); ++i) {
      Process& process = *replica->processes[i];
      for (int writes = 0; writes < 3; ++writes) add(process, gen);
      while (!process.queue.empty()) commit(process, 100, Fate::normal, gen);
    }
  }
}

}  // namespace loam::sim
