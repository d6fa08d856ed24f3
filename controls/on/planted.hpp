#pragma once

#include "controls/bug.hpp"

namespace loam {

/// The bug that this process makes. Set by a test while nothing else runs.
inline Bug planted_bug = Bug::none;

/// Whether the bug is to be made now.
inline bool planted(Bug bug) noexcept { return planted_bug == bug; }

}  // namespace loam
