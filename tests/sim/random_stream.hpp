#pragma once

#include <cstdint>

namespace loam::sim {

/// Everything that the product draws from libsodium comes from this seed from now on: ids of
/// actors, stores, journals and packets, nonces. For the whole process; one thread only.
void seed_randomness(std::uint64_t seed);

/// A number that depends on all of its arguments.
std::uint64_t mixed(std::uint64_t left, std::uint64_t right) noexcept;

}  // namespace loam::sim
