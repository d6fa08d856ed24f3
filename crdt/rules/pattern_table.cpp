#include "crdt/rules/pattern_table.hpp"

#include <algorithm>
#include <cstring>
#include <functional>

namespace loam {
namespace {

std::uint64_t hash_of_text(std::string_view text) noexcept { return std::hash<std::string_view>()(text); }

// The first eight octets, zeros where there are fewer.
std::uint64_t beginning_of(std::string_view text) noexcept {
  std::uint64_t bits = 0;
  std::memcpy(&bits, text.data(), std::min<std::size_t>(text.size(), sizeof bits));
  return bits;
}

}  // namespace

void PatternTable::add(const Glob& glob, std::uint32_t rule) {
  const std::string_view text = glob.text();
  if (glob.is_literal()) {
    literals_.push_back({~std::uint64_t{0}, hash_of_text(text), rule});
    return;
  }
  const std::string_view fixed = text.substr(0, text.find('*'));
  constexpr std::string_view ones = "\xff\xff\xff\xff\xff\xff\xff\xff";
  patterns_.push_back({beginning_of(ones.substr(0, std::min(fixed.size(), ones.size()))), beginning_of(fixed), rule});
}

void PatternTable::find(std::string_view text, RuleNumbers& into) const {
  const std::uint64_t hash = literals_.empty() ? 0 : hash_of_text(text);
  for (const Row& row : literals_) {
    if (row.bits == hash) into.push_back(row.rule);
  }
  const std::uint64_t beginning = beginning_of(text);
  for (const Row& row : patterns_) {
    if ((beginning & row.mask) == row.bits) into.push_back(row.rule);
  }
}

void PatternTable::all(RuleNumbers& into) const {
  for (const Row& row : literals_) into.push_back(row.rule);
  for (const Row& row : patterns_) into.push_back(row.rule);
}

}  // namespace loam
