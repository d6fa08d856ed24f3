#pragma once

#include <array>
#include <cstdint>

#include "crdt/id.hpp"

namespace loam {

/// Whose an actor is. The last 80 bits of an actor's id are a hash over its author and the nonce, the first 48
/// its birth in Unix milliseconds: so the claim proves itself, and nobody can claim an actor of somebody else
/// (that takes 2^80 hashes), whether or not it has written anything that is still there.
struct ActorClaim {
  using Nonce = std::array<std::byte, 8>;

  InstanceId author;
  Nonce nonce{};  ///< random; zero where nobody has to prove anything

  ActorClaim() = default;
  explicit ActorClaim(const InstanceId& by, const Nonce& random = {}) noexcept : author(by), nonce(random) {}

  auto operator<=>(const ActorClaim&) const = default;
};

/// The actor of a claim that is born at that time.
ActorId actor_of(const ActorClaim& claim, std::int64_t birth_ms);

/// Whether the claim is true of the actor.
bool is_true_of(const ActorId& actor, const ActorClaim& claim);

}  // namespace loam
