#pragma once

#include <memory>
#include <span>

#include "crdt/key.hpp"

namespace loam {

/// The secret half of an instance's key, in memory that is locked, guarded, left out of core dumps and wiped
/// (libsodium's sodium_malloc). It has no text and no octets to be read. Copies share it; any thread.
class SigningKey {
 public:
  /// Octets of the seed that it is made of.
  static constexpr std::size_t seed_octets = 32;

  /// None: signs nothing.
  SigningKey() = default;

  /// Throws Error(failed) when there is no memory for it.
  explicit SigningKey(std::span<const unsigned char, seed_octets> seed);

  explicit operator bool() const noexcept { return secret_ != nullptr; }

  /// Asserts that there is one.
  const PublicKey& public_key() const;

  /// A signature of the message for one purpose (`signed_octets`). Asserts that there is a key.
  Signature sign(std::string_view domain, BytesView message) const;

 private:
  struct Secret;
  std::shared_ptr<const Secret> secret_;
};

}  // namespace loam
