#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace loam {

/// Owned octets: an encoded record, a frame, a stored value.
using Bytes = std::vector<std::byte>;

/// Borrowed octets. Never outlives the call that received it.
using BytesView = std::span<const std::byte>;

/// The octets of a text, borrowed.
inline BytesView bytes_of(std::string_view text) noexcept {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

/// Octets read as text, borrowed. Says nothing about UTF-8.
inline std::string_view text_of(BytesView bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A copy of borrowed octets.
inline Bytes copy_of(BytesView bytes) { return {bytes.begin(), bytes.end()}; }

inline bool equal(BytesView left, BytesView right) noexcept {
  return left.size() == right.size() &&
         (left.empty() || std::memcmp(left.data(), right.data(), left.size()) == 0);
}

/// Lower-case hexadecimal, two characters an octet.
std::string to_hex(BytesView bytes);

}  // namespace loam
