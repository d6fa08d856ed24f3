// Removals that only a peer's silence tells, and that are kept until somebody confirms them.
#include "lib/removals.hpp"
#include "tests/sim/world.hpp"

namespace loam::sim {

// A session asks to keep what its peer has removed without saying so: that must be more than may be
// believed, removed indeed, and found by a comparison. Nothing of it dies.
void World::hold(End& end, const Hold& removal) {
  trace_.met("a removal was held");
  has_held_ = true;
  const std::uint64_t dots = removal.dots.count();
  const bool are_many = end.silent[removal.segment] + dots > end.limits.removals_min;
  trace_.expect(scenario_.setup.fuse && are_many,
                "removals are held although they are few");
  trace_.expect(end.compared.contains(removal.segment),
                "removals are held that the journal has told");
  const Dots held = dots_of(removal.dots);
  for (const auto& [actor, counters] : held) {
    for (const auto& [first, last] : counters.spans()) {
      for (std::uint64_t counter = first; counter <= last; ++counter) {
        const bool is_removed = truth_[removal.segment].removed.contains({actor, counter});
        trace_.expect(is_removed || is_tainted(), "a removal is held that nobody has made");
      }
    }
  }
  const StoreId peer = end.peer->store;
  Effect effect = [held, peer, segment = removal.segment](Judgement& now) {
    Dots& row = now.shared.held_removals[{segment, peer}] = held;
    std::erase_if(row, [&](const auto& each) { return !now.shared.authors.contains(each.first); });
    return std::optional<ErrorCode>{};
  };
  enqueue(*end.process, hold_job(end.process->shared, peer, removal), std::move(effect),
          "hold " + std::to_string(dots) + " of " + removal.segment);
}

// What a side drops because the other has it no more, and did not say so, is no more than it may.
void World::check_silence(End& end, const Apply& change) {
  const bool is_silent = change.authors.empty() && change.delta.live.empty();
  if (!is_silent) return;
  std::uint64_t& dots = end.silent[change.segment];
  dots += change.delta.context.count();
  trace_.expect(!scenario_.setup.fuse || dots <= end.limits.removals_min,
                change.segment + ": silence removes more than it may");
}

void World::confirm(Process& process, const StoreId& peer) {
  Effect effect = [this, peer](Judgement& now) -> std::optional<ErrorCode> {
    const auto component = components();
    bool any = false;
    for (auto at = now.shared.held_removals.begin(); at != now.shared.held_removals.end();) {
      const auto& [segment, of] = at->first;
      if (of != peer) {
        ++at;
        continue;
      }
      any = true;
      auto& live = now.shared.segments.at(segment).live;
      for (auto record = live.begin(); record != live.end();) {
        const Dot dot = (record++)->first;
        if (!contains(at->second, dot)) continue;
        trace_.met("a held removal was confirmed");
        live.erase(dot);
        // It may have come back elsewhere, from a backup; then this removes it there, too.
        const std::size_t where = component.at(segment)[now.process.replica.index];
        const auto expected = expected_.find({segment, where});
        if (expected != expected_.end()) expected->second.erase(dot);
        now.removed.emplace_back(segment, dot);
        insert(now.changes[{segment, StoreId{}}], dot);
      }
      at = now.shared.held_removals.erase(at);
    }
    return any ? std::nullopt : std::optional(ErrorCode::not_found);
  };
  enqueue(process, confirm_job(peer.text(), std::make_shared<std::uint64_t>(0)), std::move(effect),
          "confirm what " + peer.text() + " has removed");
}

// Somebody looks at what waits in one store, and confirms what one peer has removed.
void World::confirm_any(Gen& gen) {
  Process* const process = any_process(gen);
  if (process == nullptr) return;
  const HeldRemovals& held = process->replica.shared.held_removals;
  if (held.empty()) return;
  auto at = held.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(gen.index(held.size())));
  confirm(*process, at->first.second);
}

// False: nothing waits anywhere.
bool World::confirm_all(Gen& gen) {
  bool any = false;
  for (const auto& replica : replicas_) {
    if (replica->is_apart()) continue;
    std::set<StoreId> peers;
    for (const auto& [where, dots] : replica->shared.held_removals) peers.insert(where.second);
    Process& process = *replica->processes.front();
    for (const StoreId& peer : peers) confirm(process, peer);
    while (!process.queue.empty()) commit(process, 100, Fate::normal, gen);
    any = any || !peers.empty();
  }
  return any;
}

}  // namespace loam::sim
