#include "crdt/rules/pattern_table.hpp"

#include <algorithm>

namespace loam {
namespace {

// FNV-1a, so that the hash of each beginning of a text comes on the way to that of the text. Two texts with one hash
// cost a look at a rule that does not match.
constexpr std::uint64_t hash_begin = 0xcbf29ce484222325U;

std::uint64_t hash_on(std::uint64_t hash, char octet) noexcept {
  return (hash ^ static_cast<unsigned char>(octet)) * 0x100000001b3U;
}

std::uint64_t hash_of_text(std::string_view text) noexcept {
  std::uint64_t hash = hash_begin;
  for (const char octet : text) hash = hash_on(hash, octet);
  return hash;
}

}  // namespace

void PatternTable::add(const Glob& glob, std::uint32_t rule) {
  if (glob.is_literal()) {
    literals_.push_back({hash_of_text(glob.text()), rule});
    return;
  }
  const std::string_view text = glob.text();
  const std::string_view fixed = text.substr(0, text.find('*'));
  beginnings_.push_back({hash_of_text(fixed), rule});
  lengths_.push_back(fixed.size());
}

void PatternTable::seal() {
  std::sort(literals_.begin(), literals_.end());
  std::sort(beginnings_.begin(), beginnings_.end());
  std::sort(lengths_.begin(), lengths_.end());
  lengths_.erase(std::unique(lengths_.begin(), lengths_.end()), lengths_.end());
}

void PatternTable::take(const std::vector<Row>& rows, std::uint64_t hash, RuleNumbers& into) {
  for (auto at = std::lower_bound(rows.begin(), rows.end(), Row{hash, 0}); at != rows.end() && at->hash == hash; ++at) {
    into.push_back(at->rule);
  }
}

void PatternTable::find(std::string_view text, RuleNumbers& into) const {
  std::uint64_t hash = hash_begin;
  std::size_t read = 0;
  for (const std::size_t length : lengths_) {
    if (length > text.size()) break;
    for (; read < length; ++read) hash = hash_on(hash, text[read]);
    take(beginnings_, hash, into);
  }
  if (literals_.empty()) return;
  for (; read < text.size(); ++read) hash = hash_on(hash, text[read]);
  take(literals_, hash, into);
}

void PatternTable::all(RuleNumbers& into) const {
  for (const Row& row : literals_) into.push_back(row.rule);
  for (const Row& row : beginnings_) into.push_back(row.rule);
}

}  // namespace loam
