#pragma once

#include <stdexcept>

#include "tests/lib/scratch.hpp"

namespace loam::test {

/// Damages a closed store: one octet inside a text, wherever in the file it stands. Throws when it
/// stands nowhere.
inline void damage_text(const std::filesystem::path& store, const std::string& text) {
  const auto file = store / "data.mdb";
  std::string octets = read_file(file);
  std::size_t found = 0;
  for (std::size_t at = 0; (at = octets.find(text, at)) != std::string::npos; at += text.size()) {
    octets[at + text.size() / 2] = static_cast<char>(octets[at + text.size() / 2] ^ 4);
    ++found;
  }
  if (found == 0) throw std::runtime_error("no such text");
  write_file(file, octets);
}

}  // namespace loam::test
