#pragma once

#include <cstddef>
#include <cstdint>

namespace loam {

/// Big-endian integers, so that octets sort as the numbers do.
inline void store_u64(std::byte* at, std::uint64_t value) noexcept {
  for (int i = 7; i >= 0; --i, value >>= 8) at[i] = static_cast<std::byte>(value & 255U);
}

inline std::uint64_t load_u64(const std::byte* at) noexcept {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = (value << 8) | std::to_integer<std::uint64_t>(at[i]);
  return value;
}

inline void store_u32(std::byte* at, std::uint32_t value) noexcept {
  for (int i = 3; i >= 0; --i, value >>= 8) at[i] = static_cast<std::byte>(value & 255U);
}

inline std::uint32_t load_u32(const std::byte* at) noexcept {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = (value << 8) | std::to_integer<std::uint32_t>(at[i]);
  return value;
}

inline void store_u16(std::byte* at, std::uint16_t value) noexcept {
  at[0] = static_cast<std::byte>(value >> 8);
  at[1] = static_cast<std::byte>(value & 255U);
}

inline std::uint16_t load_u16(const std::byte* at) noexcept {
  return static_cast<std::uint16_t>((std::to_integer<unsigned>(at[0]) << 8) |
                                    std::to_integer<unsigned>(at[1]));
}

}  // namespace loam
