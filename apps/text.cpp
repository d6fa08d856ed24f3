#include "apps/text.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "crdt/codec.hpp"

namespace loam::cli {
namespace {

/// One character of a text, or one octet that is not part of any.
struct Piece {
  std::string_view octets;
  char32_t character = 0;
  bool is_valid = false;
};

std::size_t length_by_lead(unsigned char lead) noexcept {
  if (lead < 0x80) return 1;
  if (lead < 0xe0) return 2;
  if (lead < 0xf0) return 3;
  return 4;
}

Piece first_piece(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::string_view octets = text.substr(0, length_by_lead(lead));
  if (!is_utf8(octets)) return {text.substr(0, 1), 0, false};
  constexpr std::array<char32_t, 5> lead_bits{0, 0x7f, 0x1f, 0x0f, 0x07};
  char32_t character = lead & lead_bits.at(octets.size());
  for (const char next : octets.substr(1)) {
    character = (character << 6) | (static_cast<unsigned char>(next) & 0x3fU);
  }
  return {octets, character, true};
}

template <class Take>
void for_each_piece(std::string_view text, Take&& take) {
  while (!text.empty()) {
    const Piece piece = first_piece(text);
    text.remove_prefix(piece.octets.size());
    take(piece);
  }
}

/// Moves the cursor, changes the terminal's state or the writing direction, or hides itself.
bool is_unsafe(char32_t character) noexcept {
  if (character < 0x20 || (character >= 0x7f && character < 0xa0)) return true;
  if (character >= 0x200b && character <= 0x200f) return true;
  if (character >= 0x2028 && character <= 0x202e) return true;
  if (character >= 0x2060 && character <= 0x206f) return true;
  if (character >= 0xe0000 && character <= 0xe007f) return true;
  return character == 0x061c || character == 0xfeff;
}

std::string escaped(const Piece& piece) {
  if (piece.is_valid && piece.character == '\n') return "\\n";
  if (piece.is_valid && piece.character == '\t') return "\\t";
  if (piece.is_valid && piece.character == '\r') return "\\r";
  std::array<char, 16> text{};
  const int size =
      piece.is_valid
          ? std::snprintf(text.data(), text.size(), "\\u{%x}",
                          static_cast<unsigned>(piece.character))
          : std::snprintf(text.data(), text.size(), "\\x%02x",
                          static_cast<unsigned>(static_cast<unsigned char>(piece.octets.front())));
  return {text.data(), static_cast<std::size_t>(size)};
}

std::string shown(const Piece& piece) {
  if (!piece.is_valid || is_unsafe(piece.character)) return escaped(piece);
  return std::string(piece.octets);
}

std::size_t characters_of(std::string_view text) {
  std::size_t count = 0;
  for_each_piece(text, [&](const Piece&) { ++count; });
  return count;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  for_each_piece(text, [&](const Piece& piece) { out += shown(piece); });
  return out;
}

std::string printable_block(std::string_view text) {
  std::string out = "  ";
  for_each_piece(text, [&](const Piece& piece) {
    if (piece.is_valid && piece.character == '\n') {
      out += "\n  ";
    } else if (piece.is_valid && piece.character == '\t') {
      out += "    ";
    } else {
      out += shown(piece);
    }
  });
  return out;
}

std::string printable_start(std::string_view text, std::size_t characters) {
  std::string out;
  std::size_t taken = 0;
  while (!text.empty()) {
    if (taken++ == characters) return out + "…";
    const Piece piece = first_piece(text);
    text.remove_prefix(piece.octets.size());
    out += piece.is_valid && piece.character == '\n' ? std::string(" ") : shown(piece);
  }
  return out;
}

std::string as_utf8(std::string_view text) {
  if (is_utf8(text)) return std::string(text);
  std::string out;
  for_each_piece(text, [&](const Piece& piece) {
    out += piece.is_valid ? piece.octets : std::string_view("\xef\xbf\xbd");
  });
  return out;
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], characters_of(row[i]));
    }
  }
  std::string out;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] + 2 - characters_of(row[i]), ' ');
    }
    out += '\n';
  }
  return out;
}

}  // namespace loam::cli
