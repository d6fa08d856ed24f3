#pragma once

#include <array>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "crdt/rules/rule.hpp"

namespace loam {

/// Keys of the segment `governance_meta` that mean something here; values of others are kept.
namespace meta_key {
inline constexpr std::string_view risk_classes = "risk_classes";      ///< {action: risk}
inline constexpr std::string_view defaults = "defaults";              ///< {risk: effect}
inline constexpr std::string_view roles = "roles";                    ///< {role: [subject]}
inline constexpr std::string_view max_rule_age_ms = "max_rule_age_ms";  ///< {risk: milliseconds}
}  // namespace meta_key

/// Greatest number of entries in one of them.
inline constexpr std::size_t meta_entries_max = 4'096;

/// The risk of an action that no class names.
inline constexpr Risk risk_unknown = Risk::high;

/// The risk of actions, as one version says it.
struct RiskClasses {
  std::map<std::string, Risk, std::less<>> risks;
  Risk of_others = risk_unknown;  ///< `critical` when what is there cannot be read

  Risk of(std::string_view action) const noexcept;
  bool operator==(const RiskClasses&) const = default;
};

/// What applies where no rule lifts it, by risk; never less for a greater risk.
struct Defaults {
  std::array<Effect, risks> effects{Effect::allow, Effect::require_approval, Effect::require_approval,
                                    Effect::require_approval};

  Effect of(Risk risk) const noexcept { return effects[static_cast<std::size_t>(risk)]; }
  bool operator==(const Defaults&) const = default;
};

/// How old rules may be, by risk, in milliseconds; never more for a greater risk. The greatest number: any age.
struct RuleAges {
  static constexpr std::int64_t any = INT64_MAX;
  std::array<std::int64_t, risks> ms{any, any, any, any};

  std::int64_t of(Risk risk) const noexcept { return ms[static_cast<std::size_t>(risk)]; }
  bool operator==(const RuleAges&) const = default;
};

/// Strictest readings of stored values; they never throw. Null: nothing was ever said. What could not be read is told
/// in `defects`.
RiskClasses read_risk_classes(const Value* value, std::vector<std::string>& defects);
Defaults read_defaults(const Value* value, std::vector<std::string>& defects);
RuleAges read_rule_ages(const Value* value, std::vector<std::string>& defects);

/// Throws Error(invalid) for what they could not read, what would be looser for a greater risk than for a lesser, or
/// roles that are none; Error(limit) for too many entries.
void check_meta(std::string_view key, const Value& value);

/// Whether one value of such a key, in the place of another, provably never makes any answer looser. Null: none.
bool is_at_least_as_restrictive(std::string_view key, const Value* value, const Value* other);

}  // namespace loam
