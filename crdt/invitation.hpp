#pragma once

#include "crdt/registry.hpp"

namespace loam {

/// What a governor gives to somebody who is to join: whom to believe, where to connect, and a secret that
/// works once. It is as good as a password until it is used or expires.
struct Invitation {
  FederationRoot root;
  PublicKey governor;    ///< who invites; the other end of the connection must hold this key
  std::string endpoint;
  std::string name;      ///< of the new instance
  std::array<std::byte, 16> secret{};
  std::int64_t expires_ms = 0;

  bool operator==(const Invitation&) const = default;
};

/// Longest endpoint of an invitation, in octets.
inline constexpr std::size_t invitation_endpoint_max = 255;

/// One line: `loam-`, then letters and digits. Four octets of a hash at the end show that some are missing or
/// wrong.
std::string token_of(const Invitation& invitation);

/// Throws Error(invalid) for a text that is not whole, Error(untrusted) for a key that is not sound. White space
/// around it does not count.
Invitation parse_token(std::string_view token);

/// What a governor keeps instead of the secret.
std::array<std::byte, 16> secret_hash(const std::array<std::byte, 16>& secret);

}  // namespace loam
