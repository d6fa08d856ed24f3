#include "crdt/id.hpp"

namespace loam {
namespace {

constexpr std::string_view alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::size_t text_length = 26;

constexpr std::uint8_t no_digit = 0xff;

// What each character stands for: both cases, and `o`, `i`, `l` for what they are mistaken for.
constexpr std::array<std::uint8_t, 256> digit_of = [] {
  std::array<std::uint8_t, 256> table{};
  table.fill(no_digit);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    const auto c = static_cast<unsigned char>(alphabet[i]);
    const auto digit = static_cast<std::uint8_t>(i);
    table[c] = digit;
    if (c >= 'a') table[c - 'a' + 'A'] = digit;
  }
  for (const char c : {'o', 'O'}) table[static_cast<unsigned char>(c)] = 0;
  for (const char c : {'i', 'I', 'l', 'L'}) table[static_cast<unsigned char>(c)] = 1;
  return table;
}();

}  // namespace

std::string to_base32(const std::array<std::byte, 16>& id) {
  // 26 digits hold 130 bits: the two bits in front are zero.
  std::string text(text_length, '0');
  std::size_t at = 0;
  unsigned window = 0;
  int bits = 2;
  for (const std::byte octet : id) {
    window = (window << 8) | std::to_integer<unsigned>(octet);
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text[at++] = alphabet[(window >> bits) & 31U];
    }
    window &= (1U << bits) - 1;
  }
  return text;
}

std::optional<std::array<std::byte, 16>> from_base32(std::string_view text) {
  if (text.size() != text_length) return std::nullopt;
  std::array<std::byte, 16> id{};
  unsigned window = 0;
  int bits = -2;
  std::size_t at = 0;
  for (const char c : text) {
    const unsigned digit = digit_of[static_cast<unsigned char>(c)];
    if (digit == no_digit) return std::nullopt;
    window = (window << 5) | digit;
    bits += 5;
    if (bits < 8) {
      if (at == 0 && bits == 3 && digit > 7) return std::nullopt;
      continue;
    }
    bits -= 8;
    id[at++] = static_cast<std::byte>((window >> bits) & 255U);
    window &= (1U << bits) - 1;
  }
  return id;
}

std::string to_hex(BytesView bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::byte octet : bytes) {
    text.push_back(digits[std::to_integer<unsigned>(octet) >> 4]);
    text.push_back(digits[std::to_integer<unsigned>(octet) & 15U]);
  }
  return text;
}

}  // namespace loam
