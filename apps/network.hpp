#pragma once

#include "apps/commands.hpp"
#include "apps/instance.hpp"

/// Commands that touch the network. Each returns the exit code.
namespace loam::cli {

int run(const command::Serve& serve, const Shell& shell);
int run(const command::Sync& sync, const Shell& shell);

/// 0 when every peer was ok, 1 when only some were, 6 when none was; 4 or 9 when all of them
/// refused us as denied or untrusted. No peer at all is 6.
int sync_exit_code(const SyncReport& report);

}  // namespace loam::cli
