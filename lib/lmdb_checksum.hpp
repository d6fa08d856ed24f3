#pragma once

#include <memory>

#include "crdt/bytes.hpp"

namespace loam::lmdb {

/// Octets of the checksum at the end of every stored value.
inline constexpr std::size_t checksum_octets = 4;

/// The low 32 bits of XXH3-64 over a value, seeded with XXH3-64 of its key: a value under a wrong
/// key does not verify either.
std::uint32_t checksum(BytesView key, BytesView value) noexcept;

/// A key for messages: they get logged and keys may be private, so it is named by a hash.
std::string entry_name(BytesView key);

/// The same checksum of a value that comes in parts.
class Checksum {
 public:
  explicit Checksum(BytesView key);
  Checksum(const Checksum&) = delete;
  Checksum& operator=(const Checksum&) = delete;
  ~Checksum();

  void add(BytesView part) noexcept;
  std::uint32_t value() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace loam::lmdb
