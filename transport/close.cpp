#include "transport/close.hpp"

#include <algorithm>

#include "crdt/codec.hpp"

namespace loam {

std::string close_reason_of(std::string text) {
  if (!is_utf8(text)) {
    for (char& c : text) c = static_cast<unsigned char>(c) < 0x80 ? c : '?';
  }
  auto size = std::min(text.size(), close_reason_octets_max);
  while (size < text.size() && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  text.resize(size);
  return text;
}

std::string peer_close_text(std::uint16_t code, std::string_view reason) {
  auto text = "closed by the peer: " + std::to_string(code);
  if (!reason.empty()) text.append(" ").append(reason);
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, '?');
  return text;
}

}  // namespace loam
