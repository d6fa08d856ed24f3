#include "crdt/rules/match.hpp"

#include <algorithm>

namespace loam {
namespace {

Truth match_globs(const std::optional<std::vector<Glob>>& globs, const std::optional<std::string_view>& text) noexcept {
  if (!globs) return Truth::yes;
  if (!text) return Truth::maybe;
  const bool is_match = std::any_of(globs->begin(), globs->end(), [&](const Glob& glob) { return glob.matches(*text); });
  return is_match ? Truth::yes : Truth::no;
}

// All risks that the action may be of lie within the rule's, some do, or none.
Truth match_risk(const Rule& rule, const std::pair<Risk, Risk>& risk) noexcept {
  const Risk low = rule.risk_min.value_or(Risk::low);
  const Risk high = rule.risk_max.value_or(Risk::critical);
  if (risk.second < low || high < risk.first) return Truth::no;
  return low <= risk.first && risk.second <= high ? Truth::yes : Truth::maybe;
}

Truth match_time(const Rule& rule, std::int64_t at_ms) noexcept {
  const bool is_valid = rule.valid_from_ms <= at_ms && (rule.expires_at_ms == 0 || at_ms < rule.expires_at_ms);
  return is_valid ? Truth::yes : Truth::no;
}

// Calls `each` for every part of a rule with its name and how it matches, as long as that returns true.
template <class Each>
void for_each_part(const Rule& rule, const RuleRequest& request, const MatchPlace& place, Each&& each) {
  if (!each("enabled", rule.is_enabled ? Truth::yes : Truth::no)) return;
  if (!each("actions", match_globs(rule.actions, request.action))) return;
  if (!each("resources", match_globs(rule.resources, request.resource))) return;
  if (!each("subjects", match_globs(rule.subjects, request.subject))) return;
  if (!each("environments", match_globs(rule.environments, request.environment))) return;
  if (!each("risk", match_risk(rule, place.risk))) return;
  if (!each("time", match_time(rule, place.at_ms))) return;
  for (const Condition& condition : rule.conditions) {
    if (!each(std::string_view(condition.field), condition.holds(request.context))) return;
  }
}

}  // namespace

Truth matches(const Rule& rule, const RuleRequest& request, const MatchPlace& place) noexcept {
  Truth all = Truth::yes;
  for_each_part(rule, request, place, [&](std::string_view, Truth part) {
    all = std::min(all, part);
    return all != Truth::no;
  });
  return all;
}

std::string why_not(const Rule& rule, const RuleRequest& request, const MatchPlace& place) {
  std::string why;
  for_each_part(rule, request, place, [&](std::string_view name, Truth part) {
    if (part == Truth::yes) return true;
    why += (why.empty() ? "" : "; ") + std::string(name) + (part == Truth::no ? ": no match" : ": not known");
    return true;
  });
  return why;
}

}  // namespace loam
