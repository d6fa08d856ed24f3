#pragma once

#include "apps/commands.hpp"
#include "apps/shell.hpp"

namespace loam::cli {

/// Each returns the exit code; throws Error. `check` and `explain` end in 5 where approval is required, 4 for a deny.
int run(const command::Rules& rules, const Shell& shell);

}  // namespace loam::cli
