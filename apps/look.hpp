#pragma once

#include "apps/commands.hpp"
#include "apps/instance.hpp"

/// Commands that make an instance or look at it. Each returns the exit code.
namespace loam::cli {

/// The peers as a table.
std::string peers_text(const Status& status);

/// One line; who votes on strong reads and writes.
std::string voters_text(const VoterStatus& voters);

int run(const command::Init& init, const Shell& shell);
int run(const command::Id& id, const Shell& shell);
int run(const command::Status& status, const Shell& shell);
int run(const command::Digest& digest, const Shell& shell);
int run(const command::Peers& peers, const Shell& shell);
int run(const command::Route& route, const Shell& shell);

}  // namespace loam::cli
