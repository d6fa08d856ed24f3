#include "crdt/context.hpp"

#include <algorithm>
#include <cassert>

namespace loam {
namespace {

bool touches_from_below(const Range& lower, std::uint64_t counter) {
  return lower.last >= counter || lower.last + 1 == counter;
}

}  // namespace

// Not inline: where gcc 12 sees through them, it warns of reads that cannot happen.
RangeSet::RangeSet() noexcept = default;
RangeSet::RangeSet(const RangeSet& other) = default;
RangeSet::RangeSet(RangeSet&& other) noexcept = default;
RangeSet& RangeSet::operator=(const RangeSet& other) = default;
RangeSet& RangeSet::operator=(RangeSet&& other) noexcept = default;
RangeSet::~RangeSet() = default;

void RangeSet::insert(Range range) {
  assert(range.first >= 1 && range.first <= range.last);
  if (!ranges_.empty() && ranges_.back().first <= range.first) {  // the usual case: at the end
    Range& back = ranges_.back();
    if (touches_from_below(back, range.first)) {
      back.last = std::max(back.last, range.last);
    } else {
      ranges_.push_back(range);
    }
    return;
  }
  auto at = std::partition_point(ranges_.begin(), ranges_.end(), [&](const Range& held) {
    return !touches_from_below(held, range.first);
  });
  auto stop = at;
  while (stop != ranges_.end() &&
         (stop->first <= range.last || stop->first == range.last + 1)) {
    range.first = std::min(range.first, stop->first);
    range.last = std::max(range.last, stop->last);
    ++stop;
  }
  at = ranges_.erase(at, stop);
  ranges_.insert(at, range);
}

void RangeSet::insert(const RangeSet& other) {
  if (empty()) {
    ranges_ = other.ranges_;
    return;
  }
  for (const Range& range : other) insert(range);
}

bool RangeSet::contains(std::uint64_t counter) const noexcept {
  const auto at = std::partition_point(ranges_.begin(), ranges_.end(),
                                       [&](const Range& held) { return held.last < counter; });
  return at != ranges_.end() && at->first <= counter;
}

bool RangeSet::contains(const RangeSet& other) const noexcept {
  return std::all_of(other.begin(), other.end(), [&](const Range& range) {
    const auto at =
        std::partition_point(ranges_.begin(), ranges_.end(),
                             [&](const Range& held) { return held.last < range.first; });
    return at != ranges_.end() && at->first <= range.first && range.last <= at->last;
  });
}

std::uint64_t RangeSet::count() const noexcept {
  std::uint64_t total = 0;
  for (const Range& range : ranges_) total += range.last - range.first + 1;
  return total;
}

RangeSet RangeSet::minus(const RangeSet& other) const {
  RangeSet result;
  auto cut = other.begin();
  for (const Range& range : ranges_) {
    std::uint64_t first = range.first;
    while (cut != other.end() && cut->last < first) ++cut;
    auto inner = cut;
    bool swallowed = false;
    while (inner != other.end() && inner->first <= range.last) {
      if (inner->first > first) result.ranges_.push_back({first, inner->first - 1});
      if (inner->last >= range.last) {
        swallowed = true;
        break;
      }
      first = inner->last + 1;
      ++inner;
    }
    if (!swallowed) result.ranges_.push_back({first, range.last});
  }
  return result;
}

RangeSet RangeSet::intersect(const RangeSet& other) const {
  RangeSet result;
  auto left = begin();
  auto right = other.begin();
  while (left != end() && right != other.end()) {
    const std::uint64_t first = std::max(left->first, right->first);
    const std::uint64_t last = std::min(left->last, right->last);
    if (first <= last) result.ranges_.push_back({first, last});
    (left->last < right->last) ? ++left : ++right;
  }
  return result;
}

void Context::insert(const ActorId& actor, const RangeSet& ranges) {
  if (!ranges.empty()) actors_[actor].insert(ranges);
}

void Context::insert(const Context& other) {
  for (const auto& [actor, ranges] : other) insert(actor, ranges);
}

bool Context::contains(const Dot& dot) const noexcept {
  return of(dot.actor).contains(dot.counter);
}

std::uint64_t Context::count() const noexcept {
  std::uint64_t total = 0;
  for (const auto& [actor, ranges] : actors_) total += ranges.count();
  return total;
}

const RangeSet& Context::of(const ActorId& actor) const noexcept {
  static const RangeSet none;
  const auto at = actors_.find(actor);
  return at == actors_.end() ? none : at->second;
}

}  // namespace loam
