#include <algorithm>

#include "crdt/error.hpp"
#include "crdt/rules/rule.hpp"

namespace loam {
namespace {

// What stands in the field `must` may be any of these.
constexpr std::array<std::string_view, 16> known_rule_fields{
    "actions", "conditions", "effect",   "enabled",  "environments", "expires_at_ms", "must",     "priority",
    "reason",  "requirement", "resources", "risk_max", "risk_min",     "subjects",      "valid_from_ms", "id"};

/// Reads one rule and notes what it cannot. Each field that is no good is read as if it narrowed nothing.
class RuleReader {
 public:
  explicit RuleReader(const Map& map) : map_(map) {}

  Rule read() {
    read_effect();
    rule_.actions = globs("actions");
    rule_.resources = globs("resources");
    rule_.subjects = globs("subjects");
    rule_.environments = globs("environments");
    rule_.risk_min = risk("risk_min");
    rule_.risk_max = risk("risk_max");
    if (rule_.risk_min && rule_.risk_max && *rule_.risk_max < *rule_.risk_min) {
      defect("risk_max: lower than risk_min");
      rule_.risk_min.reset();
      rule_.risk_max.reset();
    }
    read_conditions();
    read_requirement();
    read_plain_fields();
    read_others();
    if (rule_.effect == Effect::allow && !rule_.actions) defect("actions: an allow names what it allows");
    return std::move(rule_);
  }

 private:
  void defect(std::string why) { rule_.defects.push_back(std::move(why)); }

  const Value* field(const char* name) const {
    const Value* value = find(map_, name);
    return value != nullptr && value->is_nil() ? nullptr : value;
  }

  void read_effect() {
    const Value* value = field("effect");
    const std::string* name = value ? value->get<std::string>() : nullptr;
    const auto effect = name ? parse_effect(*name) : std::nullopt;
    if (effect) {
      rule_.effect = *effect;
    } else {
      defect(value ? "effect: none of allow, notify, require_approval, deny" : "effect: missing");
    }
  }

  bool is_short(const std::string& text) const { return !text.empty() && text.size() <= rule_text_octets_max; }

  std::optional<std::vector<Glob>> globs(const char* name) {
    const Value* value = field(name);
    if (value == nullptr) return std::nullopt;
    const Array* list = value->get<Array>();
    const std::string what(name);
    if (list == nullptr || list->empty()) {
      defect(what + (list ? ": empty, so it would match nothing" : ": not a list of patterns"));
      return std::nullopt;
    }
    if (list->size() > rule_patterns_max) {
      defect(what + ": " + std::to_string(list->size()) + " patterns, limit " + std::to_string(rule_patterns_max));
      return std::nullopt;
    }
    std::vector<Glob> globs;
    for (const Value& each : *list) {
      const std::string* text = each.get<std::string>();
      auto glob = text && is_short(*text) ? Glob::parse(*text) : std::nullopt;
      if (!glob) {
        defect(what + ": not a pattern of 1 to " + std::to_string(rule_text_octets_max) +
               " octets with * only at the ends of a part");
        return std::nullopt;
      }
      globs.push_back(std::move(*glob));
    }
    return globs;
  }

  std::optional<Risk> risk(const char* name) {
    const Value* value = field(name);
    if (value == nullptr) return std::nullopt;
    const std::string* text = value->get<std::string>();
    const auto risk = text ? parse_risk(*text) : std::nullopt;
    if (!risk) defect(std::string(name) + ": none of low, medium, high, critical");
    return risk;
  }

  void read_conditions() {
    const Value* value = field("conditions");
    if (value == nullptr) return;
    const Array* list = value->get<Array>();
    if (list == nullptr) return defect("conditions: not a list");
    if (list->size() > rule_conditions_max) {
      return defect("conditions: " + std::to_string(list->size()) + ", limit " + std::to_string(rule_conditions_max));
    }
    for (const Value& each : *list) read_condition(each);
  }

  void read_condition(const Value& each) {
    Condition condition;
    condition.field = each.text("field");
    condition.op_name = each.text("op");
    if (!is_short(condition.field)) return defect("conditions: one without a field");
    const auto op = parse_condition_op(condition.op_name);
    const Value* value = each.find("value");
    if (!op) {
      defect("conditions: the operator " + (is_short(condition.op_name) ? condition.op_name : "(none)") + " is not known");
    } else if (*op == Condition::Op::exists || *op == Condition::Op::not_exists) {
      condition.op = *op;
    } else if (value == nullptr || !fits(*op, *value)) {
      defect("conditions: the value of " + condition.op_name + " is missing or of another kind");
    } else {
      condition.op = *op;
    }
    if (value != nullptr) condition.value = *value;
    rule_.conditions.push_back(std::move(condition));
  }

  static bool fits(Condition::Op op, const Value& value) {
    if (op == Condition::Op::in || op == Condition::Op::not_in) return value.get<Array>() != nullptr;
    if (op != Condition::Op::greater_than && op != Condition::Op::less_than) return true;
    return value.get<std::int64_t>() || value.get<std::uint64_t>() || value.get<double>();
  }

  std::set<std::string> names(const Map& map, const char* name) {
    std::set<std::string> names;
    const Value* value = find(map, name);
    if (value == nullptr || value->is_nil()) return names;
    const Array* list = value->get<Array>();
    const std::string what = "requirement." + std::string(name);
    if (list == nullptr || list->size() > rule_names_max) {
      defect(what + ": not a list of at most " + std::to_string(rule_names_max) + " names");
      rule_.effect = Effect::deny;
      return names;
    }
    for (const Value& each : *list) {
      const std::string* text = each.get<std::string>();
      if (text && is_short(*text)) {
        names.insert(*text);
      } else {
        defect(what + ": not a name of 1 to " + std::to_string(rule_text_octets_max) + " octets");
        rule_.effect = Effect::deny;
      }
    }
    return names;
  }

  // What must be there and cannot be read, nobody can meet.
  void read_requirement() {
    const Value* value = field("requirement");
    if (value == nullptr) return;
    const Map* map = value->get<Map>();
    if (map == nullptr) {
      rule_.effect = Effect::deny;
      return defect("requirement: not a map");
    }
    if (const Value* least = find(*map, "min_approvals"); least && !least->is_nil()) {
      const auto* number = least->get<std::int64_t>();
      if (number && *number >= 1 && *number <= rule_approvals_max) {
        rule_.requirement.min_approvals = static_cast<std::uint32_t>(*number);
      } else {
        defect("requirement.min_approvals: not a number from 1 to " + std::to_string(rule_approvals_max));
        rule_.effect = Effect::deny;
      }
    }
    if (const Value* distinct = find(*map, "distinct_from_requester"); distinct && !distinct->is_nil()) {
      const bool* truth = distinct->get<bool>();
      if (!truth) defect("requirement.distinct_from_requester: not true or false");
      rule_.requirement.distinct_from_requester = truth == nullptr || *truth;
    }
    rule_.requirement.approver_roles = names(*map, "approver_roles");
    rule_.requirement.requires_all = names(*map, "requires");
    for (const auto& [key, unused] : *map) {
      if (key == "min_approvals" || key == "distinct_from_requester" || key == "approver_roles" || key == "requires") {
        continue;
      }
      defect("requirement: a field that is not known");
      rule_.effect = Effect::deny;
    }
  }

  std::int64_t time(const char* name) {
    const Value* value = field(name);
    if (value == nullptr) return 0;
    const auto* ms = value->get<std::int64_t>();
    if (ms && *ms >= 0 && *ms <= rule_time_ms_max) return *ms;
    defect(std::string(name) + ": not a time in milliseconds from 0 to the year 9999");
    return 0;
  }

  void read_plain_fields() {
    if (const Value* value = field("enabled")) {
      const bool* truth = value->get<bool>();
      if (!truth) defect("enabled: not true or false");
      rule_.is_enabled = truth == nullptr || *truth;
    }
    if (const Value* value = field("reason")) {
      const std::string* text = value->get<std::string>();
      if (text) rule_.reason = *text;
      if (!text) defect("reason: not a text");
    }
    if (const Value* value = field("priority")) {
      const auto* number = value->get<std::int64_t>();
      if (number) rule_.priority = *number;
      if (!number) defect("priority: not a number");
    }
    rule_.valid_from_ms = time("valid_from_ms");
    rule_.expires_at_ms = time("expires_at_ms");
    if (rule_.expires_at_ms != 0 && rule_.expires_at_ms <= rule_.valid_from_ms) {
      defect("expires_at_ms: not after valid_from_ms");
      rule_.valid_from_ms = rule_.expires_at_ms = 0;
    }
  }

  static bool is_known(std::string_view name) {
    return std::find(known_rule_fields.begin(), known_rule_fields.end(), name) != known_rule_fields.end();
  }

  void read_others() {
    for (const auto& [key, value] : map_) {
      if (!is_known(key) || key == "must") rule_.others.emplace(key, value);
    }
    const Value* must = field("must");
    if (must == nullptr) return;
    const Array* fields = must->get<Array>();
    const bool is_understood = fields && std::all_of(fields->begin(), fields->end(), [](const Value& each) {
      const std::string* name = each.get<std::string>();
      return name && is_known(*name);
    });
    if (is_understood) return;
    defect("must: a field without which the rule says something else is not known: it is of a later version");
    rule_.effect = Effect::deny;
    rule_.is_enabled = true;
    rule_.valid_from_ms = rule_.expires_at_ms = 0;
  }

  const Map& map_;
  Rule rule_;
};

}  // namespace

Rule read_rule(const Value& value) {
  const Map* map = value.get<Map>();
  return map ? RuleReader(*map).read() : unreadable_rule("not a map");
}

Rule unreadable_rule(std::string why) {
  Rule rule;
  rule.defects.push_back(std::move(why));
  return rule;
}

Rule check_rule(const Value& value) {
  Rule rule = read_rule(value);
  if (rule.defects.empty()) return rule;
  const std::string& first = rule.defects.front();
  const bool is_limit = first.find(", limit ") != std::string::npos;
  throw Error(is_limit ? ErrorCode::limit : ErrorCode::invalid, "rule: " + first);
}

}  // namespace loam
