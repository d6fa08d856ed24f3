#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crdt/admission.hpp"
#include "crdt/rules/heads.hpp"
#include "crdt/rules/rule.hpp"
#include "lib/segment.hpp"
#include "lib/shared_tables.hpp"

namespace loam {

inline constexpr std::string_view rules_segment = "approval_rules";
inline constexpr std::string_view meta_segment = "governance_meta";

/// Whether the entries of a segment are assignments that name what they had seen (crdt/rules/heads.hpp).
inline bool holds_rules(const Segment& segment) { return segment.name == rules_segment || segment.name == meta_segment; }

/// An assignment of a rule or of a key of `governance_meta`, as it stands in the store.
struct StoredRule {
  std::uint64_t sequence = 0;
  RuleVersion version;          ///< `may_loosen` is not known yet
  InstanceId author;
  std::vector<Dot> frontier;    ///< what its author had seen of the registry
  bool is_signed = false;
  std::optional<Value> value;   ///< absent: removed, or it cannot be read
  std::optional<Rule> rule;     ///< of `approval_rules`: its strictest reading; absent: removed
  std::string defect;           ///< not empty: it cannot be read, and why
  bool is_damaged = false;      ///< for its record is damaged here
};

/// All assignments of a key, those included that fences make void. Never throws for what one of them holds.
std::vector<std::shared_ptr<const StoredRule>> stored_rules(const SharedReader& reader, SegmentNumber segment,
                                                            std::string_view key, bool are_rules);

/// One, whose row of table `reg` this is.
std::shared_ptr<const StoredRule> stored_rule(const SharedReader& reader, const RegisterKey& at, std::uint64_t sequence,
                                              bool is_rule);

/// What the authors of a segment's assignments may. Asks the registry once for each author and what it had seen.
class RuleRights {
 public:
  /// Null: nobody's rights are asked. `registry` outlives it.
  RuleRights(const Registry* registry, AdmissionPlace place) : registry_(registry), place_(std::move(place)) {}

  struct Answer {
    bool may_loosen = true;
    bool is_void = false;
  };
  Answer of(const StoredRule& rule);

 private:
  const Registry* registry_;
  AdmissionPlace place_;
  std::map<std::pair<InstanceId, std::vector<Dot>>, Answer> known_;  ///< without fences
};

/// A register folded.
struct FoldedRule {
  struct Head {
    std::shared_ptr<const StoredRule> stored;
    bool lifts = false;
    bool is_void = false;
  };
  std::vector<Head> heads;              ///< the LWW winner first
  std::vector<std::pair<Dot, RuleRights::Answer>> rights;  ///< of all
};

FoldedRule fold_rule(std::string_view key, const std::vector<std::shared_ptr<const StoredRule>>& stored,
                     RuleRights& rights, bool are_rules);

/// What a value, in the place of another, provably does; what cannot be read is the strictest.
RuleComparison compare(std::string_view key, const StoredRule& rule, const StoredRule& other, bool are_rules);

}  // namespace loam
