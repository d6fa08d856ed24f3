#pragma once

#include <cstddef>
#include <vector>

#include "transport/action.hpp"

namespace loam {

/// What one piece of a change takes at most, counted in records; a batch counts as so many more, for its signature.
/// Some milliseconds of a thread.
inline constexpr std::size_t piece_records_max = 1'024;
inline constexpr std::size_t piece_records_of_batch = 16;

/// Cuts a change that a peer brings into pieces, so that no thread is long with one peer: each has whole batches, and
/// exactly the context of their records. Joined one after the other, in any order and with anything between them, they
/// make what the change makes at once, as joins do. The last one has what no batch brings, that is removals, and the
/// position. A small change, and one of the registry (of which what comes together may rest on one another), is one
/// piece. At least one. Pure.
std::vector<Apply> pieces_of(Apply change);

}  // namespace loam
