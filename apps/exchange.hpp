#pragma once

#include "apps/commands.hpp"
#include "apps/instance.hpp"

/// Commands that move records in and out. Each returns the exit code.
namespace loam::cli {

int run(const command::Export& exported, const Shell& shell);
int run(const command::Import& imported, const Shell& shell);
int run(const command::Journal& journal, const Shell& shell);

}  // namespace loam::cli
