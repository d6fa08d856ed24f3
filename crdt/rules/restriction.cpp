#include "crdt/rules/restriction.hpp"

#include <algorithm>

namespace loam {
namespace {

using Globs = std::optional<std::vector<Glob>>;

// Every text that the second list matches, the first does; absent lists match everything.
bool covers(const Globs& wide, const Globs& narrow) {
  if (!wide) return true;
  if (!narrow) {
    return std::any_of(wide->begin(), wide->end(), [](const Glob& glob) { return glob.text() == "*"; });
  }
  return std::all_of(narrow->begin(), narrow->end(), [&](const Glob& each) {
    return std::any_of(wide->begin(), wide->end(), [&](const Glob& glob) { return glob.covers(each); });
  });
}

// What is not said may match any list, so a list of everything is wider than none only there where it is not: an absent
// list surely matches what is not said, and a list does not.
bool covers_surely(const Globs& wide, const Globs& narrow) { return !wide || (narrow && covers(wide, narrow)); }

bool has_all(const std::vector<Condition>& conditions, const std::vector<Condition>& others) {
  return std::all_of(others.begin(), others.end(), [&](const Condition& each) {
    return std::find(conditions.begin(), conditions.end(), each) != conditions.end();
  });
}

bool covers_times(const Rule& wide, const Rule& narrow) {
  if (wide.valid_from_ms > narrow.valid_from_ms) return false;
  return wide.expires_at_ms == 0 || (narrow.expires_at_ms != 0 && wide.expires_at_ms >= narrow.expires_at_ms);
}

bool covers_risks(const Rule& wide, const Rule& narrow) {
  const auto low = [](const Rule& rule) { return rule.risk_min.value_or(Risk::low); };
  const auto high = [](const Rule& rule) { return rule.risk_max.value_or(Risk::critical); };
  return low(wide) <= low(narrow) && high(wide) >= high(narrow);
}

// Wherever the narrow one may match, the wide one may.
bool may_match_all_of(const Rule& wide, const Rule& narrow) {
  return covers(wide.actions, narrow.actions) && covers(wide.resources, narrow.resources) &&
         covers(wide.subjects, narrow.subjects) && covers(wide.environments, narrow.environments) &&
         covers_risks(wide, narrow) && covers_times(wide, narrow) && has_all(narrow.conditions, wide.conditions);
}

// Wherever the narrow one surely matches, the wide one surely does.
bool surely_matches_all_of(const Rule& wide, const Rule& narrow) {
  return covers_surely(wide.actions, narrow.actions) && covers_surely(wide.resources, narrow.resources) &&
         covers_surely(wide.subjects, narrow.subjects) && covers_surely(wide.environments, narrow.environments) &&
         covers_risks(wide, narrow) && covers_times(wide, narrow) && has_all(narrow.conditions, wide.conditions);
}

bool restricts(const Rule* rule) { return rule != nullptr && rule->is_enabled && rule->effect > Effect::allow; }

// Where the other restricts, so does it, and as much.
bool restricts_as_much(const Rule* rule, const Rule* other) {
  if (!restricts(other)) return true;
  if (!restricts(rule) || rule->effect < other->effect) return false;
  const bool asks_as_much = rule->effect != Effect::require_approval || other->effect != Effect::require_approval ||
                            rule->requirement.is_at_least(other->requirement);
  return asks_as_much && may_match_all_of(*rule, *other);
}

// What it lifts, the other lifts.
bool lifts_no_more(const Rule* rule, const Rule* other) {
  if (rule == nullptr || !rule->lifts()) return true;
  return other != nullptr && other->lifts() && surely_matches_all_of(*other, *rule);
}

}  // namespace

RuleComparison compare(const Rule* rule, const Rule* other) {
  // What a later version says of either is not known here, nor what it would compare.
  const bool is_whole = (rule == nullptr || rule->others.empty()) && (other == nullptr || other->others.empty());
  if (!is_whole) return {};
  return {restricts_as_much(rule, other), lifts_no_more(rule, other)};
}

}  // namespace loam
