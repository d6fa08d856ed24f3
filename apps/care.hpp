#pragma once

#include "apps/commands.hpp"
#include "apps/shell.hpp"

/// Commands that look after the stores. Each returns the exit code.
namespace loam::cli {

int run(const command::Verify& verify, const Shell& shell);
int run(const command::Doctor& doctor, const Shell& shell);

}  // namespace loam::cli
