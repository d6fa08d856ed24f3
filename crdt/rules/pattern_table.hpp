#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "crdt/rules/glob.hpp"
#include "crdt/small_list.hpp"

namespace loam {

/// Numbers of rules that may be concerned, in no order, some perhaps twice.
using RuleNumbers = SmallList<std::uint32_t, 1'024>;

/// Which of many rules have a pattern that may match a text: by what each pattern begins with, or is. One that it leaves
/// out does not match. Filled, then sealed; immutable from then on, any thread.
class PatternTable {
 public:
  void add(const Glob& glob, std::uint32_t rule);

  /// Nothing is added any more.
  void seal();

  /// O(length of the text, and of distinct lengths of beginnings × log of their number).
  void find(std::string_view text, RuleNumbers& into) const;

  /// All rules with a pattern.
  void all(RuleNumbers& into) const;

 private:
  struct Row {
    std::uint64_t hash = 0;
    std::uint32_t rule = 0;
    auto operator<=>(const Row&) const = default;
  };
  static void take(const std::vector<Row>& rows, std::uint64_t hash, RuleNumbers& into);

  std::vector<Row> literals_;          ///< by a hash of the text
  std::vector<Row> beginnings_;        ///< by a hash of what stands before the first star
  std::vector<std::size_t> lengths_;   ///< of beginnings, ascending
};

}  // namespace loam
