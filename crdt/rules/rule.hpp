#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/rules/condition.hpp"
#include "crdt/rules/glob.hpp"
#include "crdt/value.hpp"

namespace loam {

/// What a rule says of an action. Ordered: a later one is stricter.
enum class Effect : std::uint8_t { allow, notify, require_approval, deny };

/// How much harm an action may do. Ordered.
enum class Risk : std::uint8_t { low, medium, high, critical };
inline constexpr std::size_t risks = 4;

std::string_view name_of(Effect effect) noexcept;
std::string_view name_of(Risk risk) noexcept;
std::optional<Effect> parse_effect(std::string_view name) noexcept;
std::optional<Risk> parse_risk(std::string_view name) noexcept;

/// The next stricter effect; of `deny` itself.
Effect stricter(Effect effect) noexcept;

/// What must be there before an action that requires approval: all of it. A lattice by its parts.
struct Requirement {
  std::uint32_t min_approvals = 1;
  std::set<std::string> approver_roles;  ///< an approval by somebody of each of these
  bool distinct_from_requester = false;  ///< who asks does not count as approving
  std::set<std::string> requires_all;    ///< `requires`: tests, runbook, rollback_plan, …

  bool operator==(const Requirement&) const = default;

  /// Both must hold.
  void join(const Requirement& other);

  /// Whether what meets this meets the other.
  bool is_at_least(const Requirement& other) const noexcept;
};

/// An approval rule: an entry of the segment `approval_rules`, under its id.
///
/// A rule *restricts* by its effect whatever it may match, and *lifts* the default of what it surely matches when its
/// effect is `allow`, or `notify` for named actions. What a request does not say (a resource, a field of the context)
/// may match. Absent lists match everything.
struct Rule {
  Effect effect = Effect::deny;
  std::optional<std::vector<Glob>> actions;
  std::optional<std::vector<Glob>> resources;
  std::optional<std::vector<Glob>> subjects;
  std::optional<std::vector<Glob>> environments;
  std::optional<Risk> risk_min;
  std::optional<Risk> risk_max;
  std::vector<Condition> conditions;  ///< all of them
  Requirement requirement;            ///< counts when the effect is `require_approval`
  std::string reason;
  bool is_enabled = true;
  std::int64_t priority = 0;          ///< for display only
  std::int64_t valid_from_ms = 0;     ///< 0: since ever
  std::int64_t expires_at_ms = 0;     ///< 0: never
  Map others;                         ///< fields that this version does not know, kept

  /// What could not be read, in words; the rest was read as strictly as it can be, and nothing is lifted.
  std::vector<std::string> defects;

  bool operator==(const Rule&) const = default;

  /// Whether it can lift a default at all.
  bool lifts() const noexcept;
};

/// Greatest number of patterns in a list, of conditions, of roles and requirements; of octets of a pattern or a name;
/// greatest min_approvals; greatest time (the year 9999).
inline constexpr std::size_t rule_patterns_max = 256;
inline constexpr std::size_t rule_conditions_max = 64;
inline constexpr std::size_t rule_names_max = 64;
inline constexpr std::size_t rule_text_octets_max = 400;
inline constexpr std::int64_t rule_approvals_max = 100;
inline constexpr std::int64_t rule_time_ms_max = 253'402'300'799'999;

/// The strictest reading of a stored value; never throws. What is no map is a rule that denies everything.
///
/// A field `must` names fields without which the rule would say something else: when one of them is not known, it denies
/// what it matches as far as it was understood.
Rule read_rule(const Value& value);

/// A rule of which nothing can be read: it denies everything, and says why.
Rule unreadable_rule(std::string why);

/// A rule as somebody writes it. Throws Error(invalid) for what `read_rule` would find a defect, naming it;
/// Error(limit) when there is too much of something.
Rule check_rule(const Value& value);

/// The value of a rule: what differs from a rule without anything, and what was not known.
Map map_of(const Rule& rule);

/// The value of a requirement.
Map map_of(const Requirement& requirement);

}  // namespace loam
