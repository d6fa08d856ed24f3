#pragma once

#include "apps/commands.hpp"
#include "apps/instance.hpp"

/// Commands about records of set segments. Each returns the exit code.
namespace loam::cli {

int run(const command::Remember& remember, const Shell& shell);
int run(const command::Recall& recall, const Shell& shell);
int run(const command::Get& get, const Shell& shell);
int run(const command::List& list, const Shell& shell);
int run(const command::Revise& revise, const Shell& shell);
int run(const command::Forget& forget, const Shell& shell);

}  // namespace loam::cli
