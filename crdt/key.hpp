#pragma once

#include <array>
#include <compare>
#include <optional>
#include <string>

#include "crdt/id.hpp"

namespace loam {

/// The public key of an instance: Ed25519 (RFC 8032).
struct PublicKey {
  std::array<std::byte, 32> bytes{};

  auto operator<=>(const PublicKey&) const = default;
  BytesView view() const noexcept { return bytes; }

  /// Absent unless the view has exactly 32 octets.
  static std::optional<PublicKey> from(BytesView view) noexcept;

  /// Absent unless the text is 64 hexadecimal digits.
  static std::optional<PublicKey> parse(std::string_view text) noexcept;

  /// 64 hexadecimal digits, lower case.
  std::string text() const;
};

/// An Ed25519 signature.
struct Signature {
  std::array<std::byte, 64> bytes{};

  bool operator==(const Signature&) const = default;
  BytesView view() const noexcept { return bytes; }

  /// Absent unless the view has exactly 64 octets.
  static std::optional<Signature> from(BytesView view) noexcept;
};

/// The instance that has this key: the first 16 octets of BLAKE2b over it, domain-separated.
InstanceId instance_of(const PublicKey& key);

/// Throws Error(untrusted) unless the key is the canonical encoding of a point of the large subgroup: with
/// another, a signature may be good for messages that nobody signed.
void check_public_key(const PublicKey& key);

/// What is signed of a message: the domain, an octet 0, the message. So that a signature made for one purpose
/// is good for no other. The domain has no octet 0.
Bytes signed_octets(std::string_view domain, BytesView message);

/// Whether the holder of the key, which `check_public_key` has accepted, signed the message for that purpose.
/// Only libsodium decides it: libraries differ in what they accept. It refuses a signature whose number is not
/// reduced, and keys of small order. Any thread.
bool is_signed_by(const PublicKey& key, std::string_view domain, BytesView message,
                  const Signature& signature);

}  // namespace loam
