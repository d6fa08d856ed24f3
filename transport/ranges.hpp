#pragma once

#include "crdt/context.hpp"

namespace loam {

/// The part of a set that its first `max` ranges make up.
inline RangeSet first_ranges(const RangeSet& set, std::size_t max) {
  if (set.ranges().size() <= max) return set;
  RangeSet part;
  for (const Range& range : set) {
    if (max-- == 0) break;
    part.insert(range);
  }
  return part;
}

inline std::uint64_t distance(std::uint64_t left, std::uint64_t right) noexcept {
  return left > right ? left - right : right - left;
}

}  // namespace loam
