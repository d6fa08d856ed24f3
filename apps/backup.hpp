#pragma once

#include "apps/commands.hpp"
#include "apps/shell.hpp"

namespace loam::cli {

int run(const command::Backup& backup, const Shell& shell);
int run(const command::Restore& restore, const Shell& shell);

}  // namespace loam::cli
