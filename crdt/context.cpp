#include "crdt/context.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace loam {
namespace {

bool touches_from_below(const Range& lower, std::uint64_t counter) {
  return lower.last >= counter || lower.last + 1 == counter;
}

}  // namespace

// Behind all others, which it does not touch.
void RangeSet::append(Range range) {
  if (!many_.empty()) {
    many_.push_back(range);
  } else if (empty()) {
    one_ = range;
  } else {
    many_ = {one_, range};
    one_ = {};
  }
}

void RangeSet::insert(Range range) {
  assert(range.first >= 1 && range.first <= range.last);
  if (empty()) return append(range);
  Range& back = many_.empty() ? one_ : many_.back();
  if (back.first <= range.first) {  // the usual case: at the end
    if (!touches_from_below(back, range.first)) return append(range);
    back.last = std::max(back.last, range.last);
    return;
  }
  if (many_.empty()) many_ = {std::exchange(one_, {})};
  auto at = std::partition_point(many_.begin(), many_.end(), [&](const Range& held) {
    return !touches_from_below(held, range.first);
  });
  auto stop = at;
  while (stop != many_.end() && (stop->first <= range.last || stop->first == range.last + 1)) {
    range.first = std::min(range.first, stop->first);
    range.last = std::max(range.last, stop->last);
    ++stop;
  }
  at = many_.erase(at, stop);
  many_.insert(at, range);
  if (many_.size() > 1) return;
  one_ = many_.front();
  many_.clear();
}

void RangeSet::insert(const RangeSet& other) {
  if (empty()) {
    *this = other;
    return;
  }
  for (const Range& range : other) insert(range);
}

bool RangeSet::operator==(const RangeSet& other) const noexcept {
  return std::equal(begin(), end(), other.begin(), other.end());
}

bool RangeSet::contains(std::uint64_t counter) const noexcept {
  const auto at = std::partition_point(begin(), end(),
                                       [&](const Range& held) { return held.last < counter; });
  return at != end() && at->first <= counter;
}

bool RangeSet::contains(const RangeSet& other) const noexcept {
  return std::all_of(other.begin(), other.end(), [&](const Range& range) {
    const auto at = std::partition_point(
        begin(), end(), [&](const Range& held) { return held.last < range.first; });
    return at != end() && at->first <= range.first && range.last <= at->last;
  });
}

std::uint64_t RangeSet::count() const noexcept {
  std::uint64_t total = 0;
  for (const Range& range : *this) total += range.last - range.first + 1;
  return total;
}

RangeSet RangeSet::minus(const RangeSet& other) const {
  RangeSet result;
  auto cut = other.begin();
  for (const Range& range : *this) {
    std::uint64_t first = range.first;
    while (cut != other.end() && cut->last < first) ++cut;
    auto inner = cut;
    bool swallowed = false;
    while (inner != other.end() && inner->first <= range.last) {
      if (inner->first > first) result.append({first, inner->first - 1});
      if (inner->last >= range.last) {
        swallowed = true;
        break;
      }
      first = inner->last + 1;
      ++inner;
    }
    if (!swallowed) result.append({first, range.last});
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
    if (first <= last) result.append({first, last});
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
