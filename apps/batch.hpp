#pragma once

#include "apps/commands.hpp"
#include "apps/instance.hpp"

namespace loam::cli {

/// Packets of one group, which is one commit.
inline constexpr std::size_t batch_group_packets = 1'000;

/// Octets of JSON of one group.
inline constexpr std::size_t batch_group_octets = std::size_t{8} << 20;

/// Octets of JSON of a batch that is written as a whole.
inline constexpr std::size_t atomic_octets_max = std::size_t{64} << 20;

/// Refusals that are listed; further ones are only counted.
inline constexpr std::size_t refusals_listed_max = 100'000;

/// `remember --batch`: returns the exit code.
int run_batch(const command::Remember& remember, const Shell& shell);

}  // namespace loam::cli
