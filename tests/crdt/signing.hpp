#pragma once

#include <sodium.h>

#include "crdt/key.hpp"
#include "tests/support/gen.hpp"

namespace test {

/// A key whose secret is a number: for tests only.
class SigningKey {
 public:
  explicit SigningKey(std::uint64_t number) {
    std::array<unsigned char, crypto_sign_SEEDBYTES> seed{};
    for (std::size_t i = 0; i < 8; ++i) seed[i] = static_cast<unsigned char>(number >> (8 * i));
    crypto_sign_seed_keypair(reinterpret_cast<unsigned char*>(public_.bytes.data()), secret_.data(), seed.data());
  }

  const loam::PublicKey& key() const noexcept { return public_; }
  loam::InstanceId instance() const { return loam::instance_of(public_); }

  loam::Signature sign(std::string_view domain, loam::BytesView message) const {
    const loam::Bytes octets = loam::signed_octets(domain, message);
    loam::Signature signature;
    crypto_sign_detached(reinterpret_cast<unsigned char*>(signature.bytes.data()), nullptr,
                         reinterpret_cast<const unsigned char*>(octets.data()), octets.size(), secret_.data());
    return signature;
  }

 private:
  loam::PublicKey public_;
  std::array<unsigned char, crypto_sign_SECRETKEYBYTES> secret_{};
};

}  // namespace test
