#include "crdt/name.hpp"

#include <algorithm>

namespace loam {
namespace {

bool is_name_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

}  // namespace

bool is_name(std::string_view text) noexcept {
  if (text.empty() || text.size() > name_length_max) return false;
  if (text.front() == '_' || text.front() == '-') return false;
  return std::all_of(text.begin(), text.end(), is_name_character);
}

}  // namespace loam
