#define XXH_INLINE_ALL
#include "lib/lmdb_checksum.hpp"

#include <xxhash.h>

#include <array>

#include "crdt/big_endian.hpp"

namespace loam::lmdb {

std::uint32_t checksum(BytesView key, BytesView value) noexcept {
  const XXH64_hash_t seed = XXH3_64bits(key.data(), key.size());
  return static_cast<std::uint32_t>(XXH3_64bits_withSeed(value.data(), value.size(), seed));
}

std::string entry_name(BytesView key) {
  std::array<std::byte, 8> hash{};
  store_u64(hash.data(), XXH3_64bits(key.data(), key.size()));
  return "entry " + to_hex(hash);
}

struct Checksum::State {
  XXH3_state_t state;
};

Checksum::Checksum(BytesView key) : state_(std::make_unique<State>()) {
  XXH3_INITSTATE(&state_->state);
  (void)XXH3_64bits_reset_withSeed(&state_->state, XXH3_64bits(key.data(), key.size()));
}

Checksum::~Checksum() = default;

void Checksum::add(BytesView part) noexcept {
  (void)XXH3_64bits_update(&state_->state, part.data(), part.size());
}

std::uint32_t Checksum::value() const noexcept {
  return static_cast<std::uint32_t>(XXH3_64bits_digest(&state_->state));
}

}  // namespace loam::lmdb
