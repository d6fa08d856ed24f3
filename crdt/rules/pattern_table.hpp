#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "crdt/rules/glob.hpp"
#include "crdt/small_list.hpp"

namespace loam {

/// Numbers of rules that may be concerned, in no order, some perhaps twice.
using RuleNumbers = SmallList<std::uint32_t, 1'024>;

/// Which of many rules have a pattern that may match a text: looks at each pattern, at eight octets of it. One that it
/// leaves out does not match. Immutable once filled; any thread.
class PatternTable {
 public:
  void add(const Glob& glob, std::uint32_t rule);

  void find(std::string_view text, RuleNumbers& into) const;

  /// All rules with a pattern.
  void all(RuleNumbers& into) const;

 private:
  struct Row {
    std::uint64_t mask = 0;
    std::uint64_t bits = 0;
    std::uint32_t rule = 0;
  };
  std::vector<Row> literals_;  ///< by a hash of the whole text
  std::vector<Row> patterns_;  ///< by the beginning
};

}  // namespace loam
