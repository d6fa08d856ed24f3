#pragma once

#include <vector>

#include "crdt/admission.hpp"
#include "lib/shared_tables.hpp"

namespace loam {

/// Of the assignments of one key of a governed segment those that stand: their author had the right, no fence makes
/// them void, and no other that counts supersedes them. In the order in which they were given.
std::vector<StoredDot> standing_dots(const SharedReader& reader, const Registry& registry,
                                     const AdmissionPlace& place, SegmentNumber segment,
                                     const std::vector<StoredDot>& dots);

}  // namespace loam
