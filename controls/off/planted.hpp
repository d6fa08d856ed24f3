#pragma once

#include "controls/bug.hpp"

namespace loam {

/// Whether the bug is to be made: never, in this build.
constexpr bool planted(Bug) noexcept { return false; }

}  // namespace loam
