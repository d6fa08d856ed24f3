#pragma once

#include <functional>
#include <vector>

#include "crdt/clock.hpp"
#include "crdt/dot.hpp"
#include "crdt/fingerprint.hpp"
#include "crdt/value.hpp"

namespace loam {

/// An assignment that another had seen: its dot, and the hash of its record. So nobody can say that they had seen what
/// had not been written yet.
struct SeenAssignment {
  Dot dot;
  ContentHash content;

  auto operator<=>(const SeenAssignment&) const = default;
};

/// Greatest number of them in one assignment. What they had seen is seen, too.
inline constexpr std::size_t seen_assignments_max = 256;

/// What an entry of `approval_rules` or `governance_meta` holds: the value that was assigned, and what its author had
/// seen. Octets without meaning make each record a new one, whose hash nobody can tell before.
struct RuleAssignment {
  std::optional<Value> value;  ///< absent: removed
  std::vector<SeenAssignment> seen;
  std::uint64_t salt = 0;

  bool operator==(const RuleAssignment&) const = default;
};

/// The value of such an entry. Throws Error(limit) for more than `seen_assignments_max`.
Bytes encode(const RuleAssignment& assignment);

/// Absent: it is none. What is there then is a value as it was assigned before there were links, or anything else.
std::optional<RuleAssignment> decode_rule_assignment(BytesView octets);

/// An assignment of one register, as the fold sees it.
struct RuleVersion {
  Dot dot;
  ContentHash content;
  Hlc stamp;
  std::vector<SeenAssignment> seen;

  /// Its author had, by all that it had seen, the right to loosen, and no fence makes it void.
  bool may_loosen = false;
};

/// A version that is in force.
struct RuleHead {
  std::size_t version = 0;  ///< its place in what was given
  bool lifts = false;       ///< what it says may be looser than if it were not there

  bool operator==(const RuleHead&) const = default;
};

/// What a version provably does in the place of another.
struct RuleComparison {
  bool restricts = false;      ///< at least as much, wherever the other does
  bool lifts_no_more = false;  ///< nothing that the other does not
};
using CompareRules = std::function<RuleComparison(std::size_t version, std::size_t other)>;

/// The versions of one register that are in force, the LWW winner first: a pure function of the set of versions.
///
/// A version displaces another if it has seen it, itself or through others, and either may loosen or restricts at least
/// as much. What nothing displaces is in force. A version lifts if it may loosen, or if all that was in force of what it
/// had seen lifts, and it restricts at least as much and lifts no more than each of that.
///
/// So a version that comes in beside others never makes the strictest of them looser, nor does one whose author may not
/// loosen, nor one that loses its right. Compares only what was in force of what an author who may not loosen had seen.
std::vector<RuleHead> heads_of(const std::vector<RuleVersion>& versions, const CompareRules& compare);

}  // namespace loam
