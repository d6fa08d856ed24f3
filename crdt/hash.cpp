#include "crdt/hash.hpp"

#include <sodium.h>

#include <cassert>

namespace loam {

std::array<std::byte, 16> hash128(std::string_view domain,
                                  std::initializer_list<BytesView> parts) {
  assert(!domain.empty() && domain.size() <= crypto_generichash_blake2b_KEYBYTES_MAX);
  // The key is padded to the least length that libsodium recommends; domains have no trailing NUL.
  std::array<unsigned char, crypto_generichash_blake2b_KEYBYTES_MAX> key{};
  std::memcpy(key.data(), domain.data(), domain.size());

  crypto_generichash_blake2b_state state;
  std::array<std::byte, 16> digest{};
  crypto_generichash_blake2b_init(&state, key.data(), key.size(), digest.size());
  for (const BytesView part : parts) {
    crypto_generichash_blake2b_update(
        &state, reinterpret_cast<const unsigned char*>(part.data()), part.size());
  }
  crypto_generichash_blake2b_final(&state, reinterpret_cast<unsigned char*>(digest.data()),
                                   digest.size());
  return digest;
}

}  // namespace loam
