#include "crdt/join.hpp"
#include "planted.hpp"

#include <algorithm>

namespace loam {
namespace {

using LiveIterator = std::map<Dot, Bytes>::const_iterator;

// The part of a set inside a range, without a walk over the rest: a context may have many gaps.
RangeSet inside(const RangeSet& set, Range range) {
  RangeSet part;
  auto held = std::partition_point(set.begin(), set.end(),
                                   [&](const Range& each) { return each.last < range.first; });
  for (; held != set.end() && held->first <= range.last; ++held) {
    part.insert(Range{std::max(held->first, range.first), std::min(held->last, range.last)});
  }
  return part;
}

// One live dot here that the delta accounts for: kept, dropped, or settled when contents differ.
void settle(DotStore& store, const Dot& dot, const LiveDot& here, const Bytes* there,
            const RecordHashes& hashes, Applied& result) {
  if (there == nullptr) {
    if (planted(Bug::removals_ignored)) return;
    store.drop(dot);
    if (!planted(Bug::removals_not_journalled)) result.changed.insert(dot);
    ++result.dropped;
    return;
  }
  const ContentHash& content = hashes.at(dot);
  if (content == here.content) return;
  result.equivocated.push_back(dot);
  if ((content < here.content) != planted(Bug::larger_hash_kept)) {
    store.replace(dot, *there, content);
    result.changed.insert(dot);
  } else {
    store.keep_aside(dot, *there);
  }
}

void apply_range(DotStore& store, const ActorId& actor, Range range, const RangeSet& covered,
                 const Delta& delta, const RecordHashes& hashes, Applied& result) {
  // Only dots that were already covered can be live here.
  std::vector<LiveDot> here;
  for (const Range& known : inside(covered, range)) {
    const auto some = store.live_in(actor, known);
    here.insert(here.end(), some.begin(), some.end());
  }
  for (const LiveDot& live : here) {
    const Dot dot{actor, live.counter};
    const auto there = delta.live.find(dot);
    settle(store, dot, live, there == delta.live.end() ? nullptr : &there->second, hashes, result);
  }
  const LiveIterator end = delta.live.upper_bound(Dot{actor, range.last});
  for (LiveIterator at = delta.live.lower_bound(Dot{actor, range.first}); at != end; ++at) {
    const bool is_live = std::any_of(here.begin(), here.end(), [&](const LiveDot& live) {
      return planted(Bug::seen_dot_written_again) && live.counter == at->first.counter;
    });
    const bool is_kept = is_live || !planted(Bug::seen_dot_written_again);
    if (covered.contains(at->first.counter) && is_kept) continue;
    store.insert(at->first, at->second, hashes.at(at->first));
    ++result.inserted;
  }
}

}  // namespace

Applied apply(DotStore& store, const Delta& delta) { return apply(store, delta, RecordHashes(delta.live)); }

Applied apply(DotStore& store, const Delta& delta, const RecordHashes& hashes) {
  Applied result;
  for (const auto& [actor, ranges] : delta.context) {
    const RangeSet covered = store.covered(actor);
    for (const Range& range : ranges) apply_range(store, actor, range, covered, delta, hashes, result);
    const RangeSet fresh = ranges.minus(covered);
    if (fresh.empty()) continue;
    store.cover(actor, fresh);
    if (planted(Bug::dead_context_not_journalled) && delta.live.empty()) continue;
    result.changed.insert(actor, fresh);
  }
  return result;
}

}  // namespace loam
