#include "crdt/rules/meta.hpp"

#include <algorithm>

#include "crdt/error.hpp"

namespace loam {
namespace {

// Absent: not a map of so many entries at most.
const Map* entries_of(const Value& value, std::string_view key, std::vector<std::string>& defects) {
  const Map* map = value.get<Map>();
  if (map == nullptr) {
    defects.push_back(std::string(key) + ": not a map");
  } else if (map->size() > meta_entries_max) {
    defects.push_back(std::string(key) + ": " + std::to_string(map->size()) + " entries, limit " +
                      std::to_string(meta_entries_max));
    map = nullptr;
  }
  return map;
}

std::optional<Risk> risk_from(const Value& value) {
  const std::string* name = value.get<std::string>();
  return name ? parse_risk(*name) : std::nullopt;
}

std::optional<Effect> effect_from(const Value& value) {
  const std::string* name = value.get<std::string>();
  return name ? parse_effect(*name) : std::nullopt;
}

void check_roles(const Value& value, std::vector<std::string>& defects) {
  const Map* map = entries_of(value, meta_key::roles, defects);
  if (map == nullptr) return;
  for (const auto& [role, subjects] : *map) {
    const Array* list = subjects.get<Array>();
    const bool are_texts = list && std::all_of(list->begin(), list->end(), [](const Value& each) {
      const std::string* text = each.get<std::string>();
      return text && !text->empty();
    });
    if (!are_texts) defects.push_back("roles: subjects that are no list of texts");
  }
}

bool is_subset(const Value& less, const Value& more) {
  const Array* list = less.get<Array>();
  const Array* others = more.get<Array>();
  if (list == nullptr || others == nullptr) return less == more;
  return std::all_of(list->begin(), list->end(), [&](const Value& each) {
    return std::find(others->begin(), others->end(), each) != others->end();
  });
}

// No role has a subject that it did not have.
bool has_no_more_subjects(const Value* value, const Value* other) {
  const Map* map = value ? value->get<Map>() : nullptr;
  const Map* before = other ? other->get<Map>() : nullptr;
  if (map == nullptr || before == nullptr) return false;
  return map->size() == before->size() && std::all_of(map->begin(), map->end(), [&](const auto& role) {
    const auto at = before->find(role.first);
    return at != before->end() && is_subset(role.second, at->second);
  });
}

}  // namespace

Risk RiskClasses::of(std::string_view action) const noexcept {
  const auto at = risks.find(action);
  return at == risks.end() ? of_others : at->second;
}

RiskClasses read_risk_classes(const Value* value, std::vector<std::string>& defects) {
  RiskClasses classes;
  if (value == nullptr) return classes;
  const Map* map = entries_of(*value, meta_key::risk_classes, defects);
  if (map == nullptr) {
    classes.of_others = Risk::critical;
    return classes;
  }
  for (const auto& [action, named] : *map) {
    const auto risk = risk_from(named);
    if (!risk) defects.push_back("risk_classes: a risk that is none of low, medium, high, critical");
    classes.risks.emplace(action, risk.value_or(Risk::critical));
  }
  return classes;
}

Defaults read_defaults(const Value* value, std::vector<std::string>& defects) {
  Defaults defaults;
  if (value == nullptr) return defaults;
  const Map* map = entries_of(*value, meta_key::defaults, defects);
  if (map == nullptr) {
    defaults.effects.fill(Effect::deny);
    return defaults;
  }
  for (const auto& [name, named] : *map) {
    const auto risk = parse_risk(name);
    const auto effect = effect_from(named);
    if (!risk) {
      defects.push_back("defaults: a risk that is none of low, medium, high, critical");
      continue;
    }
    if (!effect) defects.push_back("defaults: an effect that is none of allow, notify, require_approval, deny");
    defaults.effects[static_cast<std::size_t>(*risk)] = effect.value_or(Effect::deny);
  }
  for (std::size_t i = 1; i < risks; ++i) defaults.effects[i] = std::max(defaults.effects[i], defaults.effects[i - 1]);
  return defaults;
}

RuleAges read_rule_ages(const Value* value, std::vector<std::string>& defects) {
  RuleAges ages;
  if (value == nullptr) return ages;
  const Map* map = entries_of(*value, meta_key::max_rule_age_ms, defects);
  if (map == nullptr) {
    ages.ms.fill(0);
    return ages;
  }
  for (const auto& [name, age] : *map) {
    const auto risk = parse_risk(name);
    const auto* ms = age.get<std::int64_t>();
    if (!risk) {
      defects.push_back("max_rule_age_ms: a risk that is none of low, medium, high, critical");
      continue;
    }
    if (!ms || *ms < 0) defects.push_back("max_rule_age_ms: not a number of milliseconds");
    ages.ms[static_cast<std::size_t>(*risk)] = ms && *ms >= 0 ? *ms : 0;
  }
  for (std::size_t i = 1; i < risks; ++i) ages.ms[i] = std::min(ages.ms[i], ages.ms[i - 1]);
  return ages;
}

namespace {

// What a greater risk would have is said of a lesser one only to be overruled: whoever writes it means something else.
void check_defaults(const Value& value, std::vector<std::string>& defects) {
  const Defaults read = read_defaults(&value, defects);
  if (!defects.empty()) return;
  for (const auto& [name, named] : *value.get<Map>()) {
    const Risk risk = *parse_risk(name);
    if (read.of(risk) == *effect_from(named)) continue;
    defects.push_back("defaults: " + name + " would be looser than a lesser risk, for which there is " +
                      std::string(name_of(read.of(risk))));
  }
}

void check_ages(const Value& value, std::vector<std::string>& defects) {
  const RuleAges read = read_rule_ages(&value, defects);
  if (!defects.empty()) return;
  for (const auto& [name, age] : *value.get<Map>()) {
    const Risk risk = *parse_risk(name);
    if (read.of(risk) == *age.get<std::int64_t>()) continue;
    defects.push_back("max_rule_age_ms: " + name + " would be longer than for a lesser risk, " +
                      std::to_string(read.of(risk)));
  }
}

}  // namespace

void check_meta(std::string_view key, const Value& value) {
  std::vector<std::string> defects;
  if (key == meta_key::risk_classes) (void)read_risk_classes(&value, defects);
  if (key == meta_key::defaults) check_defaults(value, defects);
  if (key == meta_key::max_rule_age_ms) check_ages(value, defects);
  if (key == meta_key::roles) check_roles(value, defects);
  if (defects.empty()) return;
  const bool is_limit = defects.front().find(", limit ") != std::string::npos;
  throw Error(is_limit ? ErrorCode::limit : ErrorCode::invalid, "governance_meta " + defects.front());
}

bool is_at_least_as_restrictive(std::string_view key, const Value* value, const Value* other) {
  if (value == other || (value && other && *value == *other)) return true;
  std::vector<std::string> unused;
  if (key == meta_key::defaults) {
    const Defaults mine = read_defaults(value, unused);
    const Defaults theirs = read_defaults(other, unused);
    return std::equal(mine.effects.begin(), mine.effects.end(), theirs.effects.begin(), std::greater_equal<>());
  }
  if (key == meta_key::max_rule_age_ms) {
    const RuleAges mine = read_rule_ages(value, unused);
    const RuleAges theirs = read_rule_ages(other, unused);
    return std::equal(mine.ms.begin(), mine.ms.end(), theirs.ms.begin(), std::less_equal<>());
  }
  if (key == meta_key::roles) return has_no_more_subjects(value, other);
  // A class that rises escapes the rules that are there up to the risk that it was of: nothing is proven but by both
  // standing, one beside the other.
  return false;
}

}  // namespace loam
