#include "crdt/rules/rule.hpp"

#include <algorithm>

namespace loam {
namespace {

constexpr std::array<std::string_view, 4> effect_names{"allow", "notify", "require_approval", "deny"};
constexpr std::array<std::string_view, risks> risk_names{"low", "medium", "high", "critical"};

template <class Enum, std::size_t size>
std::optional<Enum> parse_name(const std::array<std::string_view, size>& names, std::string_view name) noexcept {
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end()) return std::nullopt;
  return static_cast<Enum>(at - names.begin());
}

Value texts_of(const std::set<std::string>& texts) { return Array(texts.begin(), texts.end()); }

void put_globs(Map& map, const char* name, const std::optional<std::vector<Glob>>& globs) {
  if (!globs) return;
  Array texts;
  for (const Glob& glob : *globs) texts.emplace_back(glob.text());
  map.emplace(name, std::move(texts));
}

Value value_of(const Condition& condition) {
  Map map{{"field", condition.field}, {"op", condition.op_name}};
  if (condition.op != Condition::Op::exists && condition.op != Condition::Op::not_exists) {
    map.emplace("value", condition.value);
  }
  return map;
}

}  // namespace

std::string_view name_of(Effect effect) noexcept { return effect_names[static_cast<std::size_t>(effect)]; }
std::string_view name_of(Risk risk) noexcept { return risk_names[static_cast<std::size_t>(risk)]; }
std::optional<Effect> parse_effect(std::string_view name) noexcept { return parse_name<Effect>(effect_names, name); }
std::optional<Risk> parse_risk(std::string_view name) noexcept { return parse_name<Risk>(risk_names, name); }

Effect stricter(Effect effect) noexcept {
  return effect == Effect::deny ? effect : static_cast<Effect>(static_cast<std::uint8_t>(effect) + 1);
}

void Requirement::join(const Requirement& other) {
  min_approvals = std::max(min_approvals, other.min_approvals);
  approver_roles.insert(other.approver_roles.begin(), other.approver_roles.end());
  distinct_from_requester = distinct_from_requester || other.distinct_from_requester;
  requires_all.insert(other.requires_all.begin(), other.requires_all.end());
}

bool Requirement::is_at_least(const Requirement& other) const noexcept {
  return min_approvals >= other.min_approvals && (distinct_from_requester || !other.distinct_from_requester) &&
         std::includes(approver_roles.begin(), approver_roles.end(), other.approver_roles.begin(),
                       other.approver_roles.end()) &&
         std::includes(requires_all.begin(), requires_all.end(), other.requires_all.begin(),
                       other.requires_all.end());
}

bool Rule::lifts() const noexcept {
  if (!is_enabled || !defects.empty()) return false;
  return (effect == Effect::allow || effect == Effect::notify) && actions && !actions->empty();
}

Map map_of(const Requirement& requirement) {
  Map map{{"min_approvals", std::int64_t{requirement.min_approvals}}};
  if (!requirement.approver_roles.empty()) map.emplace("approver_roles", texts_of(requirement.approver_roles));
  if (requirement.distinct_from_requester) map.emplace("distinct_from_requester", true);
  if (!requirement.requires_all.empty()) map.emplace("requires", texts_of(requirement.requires_all));
  return map;
}

Map map_of(const Rule& rule) {
  Map map = rule.others;
  map.insert_or_assign("effect", std::string(name_of(rule.effect)));
  put_globs(map, "actions", rule.actions);
  put_globs(map, "resources", rule.resources);
  put_globs(map, "subjects", rule.subjects);
  put_globs(map, "environments", rule.environments);
  if (rule.risk_min) map.insert_or_assign("risk_min", std::string(name_of(*rule.risk_min)));
  if (rule.risk_max) map.insert_or_assign("risk_max", std::string(name_of(*rule.risk_max)));
  if (!rule.conditions.empty()) {
    Array conditions;
    for (const Condition& condition : rule.conditions) conditions.push_back(value_of(condition));
    map.insert_or_assign("conditions", std::move(conditions));
  }
  if (rule.requirement != Requirement{}) map.insert_or_assign("requirement", map_of(rule.requirement));
  if (!rule.reason.empty()) map.insert_or_assign("reason", rule.reason);
  if (!rule.is_enabled) map.insert_or_assign("enabled", false);
  if (rule.priority != 0) map.insert_or_assign("priority", rule.priority);
  if (rule.valid_from_ms != 0) map.insert_or_assign("valid_from_ms", rule.valid_from_ms);
  if (rule.expires_at_ms != 0) map.insert_or_assign("expires_at_ms", rule.expires_at_ms);
  return map;
}

}  // namespace loam
