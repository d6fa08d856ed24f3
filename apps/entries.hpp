#pragma once

#include "apps/commands.hpp"
#include "apps/instance.hpp"

/// Commands about entries of map segments. Each returns the exit code.
namespace loam::cli {

int run(const command::Put& put, const Shell& shell);
int run(const command::Show& show, const Shell& shell);
int run(const command::Keys& keys, const Shell& shell);
int run(const command::Erase& erase, const Shell& shell);

}  // namespace loam::cli
