#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "crdt/bytes.hpp"

namespace test {

/// The octets of hexadecimal text; blanks between them are skipped. Throws std::invalid_argument
/// for anything else, because the text is part of a test.
inline loam::Bytes from_hex(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  loam::Bytes result;
  bool is_half = false;
  for (const char c : text) {
    if (c == ' ') continue;
    const auto digit = digits.find(c);
    if (digit == std::string_view::npos) throw std::invalid_argument("hex: " + std::string(text));
    if (is_half) {
      result.back() |= static_cast<std::byte>(digit);
    } else {
      result.push_back(static_cast<std::byte>(digit << 4));
    }
    is_half = !is_half;
  }
  if (is_half) throw std::invalid_argument("hex: half an octet: " + std::string(text));
  return result;
}

}  // namespace test
