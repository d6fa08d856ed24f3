#pragma once

#include <vector>

#include "crdt/context.hpp"

namespace test {

/// The ranges of a set, to compare.
inline std::vector<loam::Range> ranges_of(const loam::RangeSet& set) { return {set.begin(), set.end()}; }

}  // namespace test
