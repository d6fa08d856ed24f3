#include "lib/signing_key.hpp"

#include <sodium.h>

#include <cassert>

#include "crdt/error.hpp"

namespace loam {

struct SigningKey::Secret {
  Secret() {
    if (sodium_init() < 0) throw Error(ErrorCode::failed, "libsodium: cannot start");  // it may be called again
    octets = static_cast<unsigned char*>(sodium_malloc(crypto_sign_SECRETKEYBYTES));
    if (octets == nullptr) throw Error(ErrorCode::failed, "instance key: no memory that can be locked for it");
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { sodium_free(octets); }

  unsigned char* octets = nullptr;
  PublicKey public_key;
};

SigningKey::SigningKey(std::span<const unsigned char, seed_octets> seed) {
  static_assert(seed_octets == crypto_sign_SEEDBYTES);
  const auto secret = std::make_shared<Secret>();
  crypto_sign_seed_keypair(reinterpret_cast<unsigned char*>(secret->public_key.bytes.data()), secret->octets,
                           seed.data());
  sodium_mprotect_readonly(secret->octets);
  secret_ = secret;
}

const PublicKey& SigningKey::public_key() const {
  assert(secret_);
  return secret_->public_key;
}

Signature SigningKey::sign(std::string_view domain, BytesView message) const {
  assert(secret_);
  const Bytes octets = signed_octets(domain, message);
  Signature signature;
  crypto_sign_detached(reinterpret_cast<unsigned char*>(signature.bytes.data()), nullptr,
                       reinterpret_cast<const unsigned char*>(octets.data()), octets.size(), secret_->octets);
  return signature;
}

}  // namespace loam
