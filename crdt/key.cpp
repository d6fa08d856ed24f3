#include "crdt/key.hpp"

#include <sodium.h>

#include <cassert>

#include "crdt/error.hpp"
#include "crdt/hash.hpp"

namespace loam {
namespace {

const unsigned char* octets_of(BytesView view) {
  return reinterpret_cast<const unsigned char*>(view.data());
}

template <class Fixed>
std::optional<Fixed> fixed_from(BytesView view) noexcept {
  Fixed fixed;
  if (view.size() != fixed.bytes.size()) return std::nullopt;
  std::memcpy(fixed.bytes.data(), view.data(), view.size());
  return fixed;
}

// libsodium: on the curve, canonical, not of small order, in the prime-order subgroup.
bool is_sound(const PublicKey& key) {
  return crypto_core_ed25519_is_valid_point(octets_of(key.view())) == 1;
}

}  // namespace

std::optional<PublicKey> PublicKey::from(BytesView view) noexcept { return fixed_from<PublicKey>(view); }

std::optional<Signature> Signature::from(BytesView view) noexcept { return fixed_from<Signature>(view); }

std::optional<PublicKey> PublicKey::parse(std::string_view text) noexcept {
  PublicKey key;
  std::size_t size = 0;
  if (text.size() != 2 * key.bytes.size()) return std::nullopt;
  const int code = sodium_hex2bin(reinterpret_cast<unsigned char*>(key.bytes.data()), key.bytes.size(),
                                  text.data(), text.size(), nullptr, &size, nullptr);
  if (code != 0 || size != key.bytes.size()) return std::nullopt;
  return key;
}

std::string PublicKey::text() const { return to_hex(view()); }

InstanceId instance_of(const PublicKey& key) { return {hash128("loam instance 1", {key.view()})}; }

void check_public_key(const PublicKey& key) {
  if (!is_sound(key)) throw Error(ErrorCode::untrusted, "key " + key.text() + ": not a sound Ed25519 key");
}

Bytes signed_octets(std::string_view domain, BytesView message) {
  assert(domain.find('\0') == std::string_view::npos);
  Bytes octets;
  octets.reserve(domain.size() + 1 + message.size());
  const BytesView name = bytes_of(domain);
  octets.insert(octets.end(), name.begin(), name.end());
  octets.push_back(std::byte{0});
  octets.insert(octets.end(), message.begin(), message.end());
  return octets;
}

bool is_signed_by(const PublicKey& key, std::string_view domain, BytesView message,
                  const Signature& signature) {
  const Bytes octets = signed_octets(domain, message);
  return crypto_sign_verify_detached(octets_of(signature.view()), octets_of(octets), octets.size(),
                                     octets_of(key.view())) == 0;
}

}  // namespace loam
