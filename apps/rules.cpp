#include "apps/rules.hpp"

#include <boost/json/value.hpp>

#include <algorithm>

#include "apps/input.hpp"
#include "apps/instance.hpp"
#include "apps/output.hpp"
#include "apps/rule_shapes.hpp"
#include "apps/shapes.hpp"
#include "apps/text.hpp"
#include "apps/time_text.hpp"
#include "crdt/codec.hpp"
#include "lib/json_value.hpp"

namespace loam::cli {
namespace {

namespace json = boost::json;

RuleRequest request_of(const command::Rules::Request& given) {
  RuleRequest request{.action = given.action};
  if (given.resource) request.resource = *given.resource;
  if (given.subject) request.subject = *given.subject;
  if (given.environment) request.environment = *given.environment;
  request.risk = given.risk;
  request.context = given.context;
  request.at_ms = given.at_ms;
  return request;
}

int code_of(Effect effect) {
  if (effect == Effect::deny) return exit_code(ErrorCode::denied);
  return effect == Effect::require_approval ? exit_code(ErrorCode::approval_required) : 0;
}

// ---------------------------------------------------------------- files

Value read_json(const std::string& file) { return parse_json(read_whole(file, line_octets_max)); }

const Map& object_of(const Value& value, const char* what) {
  const Map* map = value.get<Map>();
  if (map == nullptr) throw Error(ErrorCode::invalid, std::string(what) + ": not a JSON object");
  return *map;
}

struct NamedRule {
  std::string id;
  Map rule;
};

NamedRule named_rule(const Value& value) {
  NamedRule named{{}, object_of(value, "rule")};
  named.id = text_at(named.rule, "id");
  if (named.id.empty()) throw Error(ErrorCode::invalid, "rule: needs an \"id\"");
  named.rule.erase("id");
  return named;
}

std::vector<NamedRule> named_rules(const Value& value) {
  std::vector<NamedRule> rules;
  if (const Array* list = value.get<Array>()) {
    for (const Value& each : *list) rules.push_back(named_rule(each));
  } else {
    rules.push_back(named_rule(value));
  }
  return rules;
}

PacketEnvelope packet_of(NamedRule rule) {
  PacketEnvelope packet;
  packet.packet_type = "approval_rule";
  packet.segment = std::string("approval_rules");
  packet.payload = {{"key", std::move(rule.id)}, {"value", std::move(rule.rule)}};
  return packet;
}

// ---------------------------------------------------------------- commands

int set(Memory& memory, const command::Rules& wanted, const Shell& shell) {
  const Value given = read_json(wanted.file);
  std::vector<PacketEnvelope> packets;
  for (NamedRule& rule : named_rules(given)) packets.push_back(packet_of(std::move(rule)));
  if (packets.empty()) throw Error(ErrorCode::invalid, "rule: the list is empty");
  const auto receipts = memory.write(packets, wanted.call);
  if (!given.get<Array>()) {
    answer(shell, receipts.front());
    return 0;
  }
  json::array items;
  std::string text;
  for (const Receipt& receipt : receipts) {
    items.push_back(shape(receipt));
    text += printable(receipt.id) + "\n";
  }
  answer(shell, {{"items", std::move(items)}}, text);
  return 0;
}

int list(const Memory& memory, const command::Rules& wanted, const Shell& shell) {
  const Rules rules = memory.rules(wanted.call);
  json::array items;
  std::vector<std::vector<std::string>> rows{{"rule", "effect", "actions", "by", "versions", "reason"}};
  for (const RuleRegister& rule : rules.set().registers()) {
    const RuleVersionInForce& winner = rule.heads.front();
    if (!winner.rule && rule.heads.size() == 1) continue;
    items.push_back(listed_shape(rule));
    rows.push_back({printable(rule.id), winner.rule ? std::string(name_of(winner.rule->effect)) : "(removed)",
                    winner.rule && winner.rule->actions ? globs_text(*winner.rule->actions) : "*",
                    printable(winner.author), std::to_string(rule.heads.size()),
                    winner.rule ? printable_start(winner.rule->reason, 60) : ""});
  }
  json::object meta;
  for (const MetaRegister& each : rules.set().meta()) {
    if (each.heads.front().value) meta[each.key] = to_json(*each.heads.front().value);
  }
  json::array defects;
  for (const std::string& defect : rules.set().defects()) defects.emplace_back(defect);
  std::string text = table(rows);
  for (const std::string& defect : rules.set().defects()) text += "cannot be read: governance_meta " + defect + "\n";
  answer(shell,
         {{"items", std::move(items)}, {"next", nullptr}, {"meta", std::move(meta)}, {"defects", std::move(defects)},
          {"rules_digest", rules.digest()}},
         text + "digest " + rules.digest() + "\n");
  return 0;
}

std::string heads_text(const RuleRegister& rule) {
  std::vector<std::vector<std::string>> rows;
  for (const RuleVersionInForce& head : rule.heads) {
    rows.push_back({print_time(head.at_ms), printable(head.author), head.is_void ? "void" : head.lifts ? "" : "restricts only",
                    head.rule ? printable(serialized(to_json(map_of(*head.rule)))) : "(removed)"});
  }
  return table(rows);
}

int show(const Memory& memory, const command::Rules& wanted, const Shell& shell) {
  const Rules rules = memory.rules(wanted.call);
  const RuleRegister* rule = rules.set().find(wanted.id);
  if (rule == nullptr || (rule->heads.size() == 1 && !rule->heads.front().rule)) {
    throw Error(ErrorCode::not_found, "rule " + wanted.id + ": there is none");
  }
  const RuleVersionInForce& winner = rule->heads.front();
  json::object out{{"rule", rule_value(winner)}, {"effective", effective_shape(*rule)}};
  std::string text = winner.rule ? printable(serialized(to_json(map_of(*winner.rule)))) + "\n" : "(removed)\n";
  if (rule->heads.size() > 1 && !wanted.heads) {
    text += std::to_string(rule->heads.size()) + " versions are in force, and the strictest counts: --heads shows them\n";
  }
  if (wanted.heads) {
    out["heads"] = versions_shape(*rule);
    text = heads_text(*rule);
  }
  answer(shell, out, text);
  return 0;
}

std::string decision_text(const Decision& decision) {
  std::string text = std::string(name_of(decision.effect));
  if (decision.effect == Effect::require_approval) text += "  " + requirement_text(decision.requirement);
  if (decision.defaulted) text += "  (the default of risk " + std::string(name_of(decision.risk)) + ")";
  if (decision.stale) text += "  (one step stricter: the rules are " + std::to_string(decision.age_ms / 1'000) + " s old)";
  if (!decision.reason.empty()) text += "  (" + decision.reason + ")";
  text += "\n";
  for (const MatchedRule& rule : decision.matched) {
    text += "  " + printable(rule.rule) + ": " + std::string(name_of(rule.effect)) + " by " + printable(rule.author);
    if (!rule.is_sure) text += ", may match";
    if (!rule.reason.empty()) text += ": " + printable_start(rule.reason, 200);
    if (!rule.defects.empty()) text += "; cannot be read whole: " + printable_start(rule.defects, 200);
    text += "\n";
  }
  for (const std::string_view id : decision.conflicts) text += "  " + printable(id) + " has several versions in force\n";
  return text;
}

int check(const Memory& memory, const command::Rules& wanted, const Shell& shell) {
  const Decision decision = memory.rules(wanted.call).check(request_of(wanted.request));
  answer(shell, shape(decision), decision_text(decision));
  return code_of(decision.effect);
}

int explain(const Memory& memory, const command::Rules& wanted, const Shell& shell) {
  const RuleRequest request = request_of(wanted.request);
  const Rules rules = memory.rules(wanted.call);
  const Decision decision = rules.check(request);
  json::object out = shape(decision);
  json::array all;
  std::vector<std::vector<std::string>> rows;
  for (const ConsideredRule& rule : rules.explain(request)) {
    all.push_back(shape(rule));
    rows.push_back({printable(rule.rule.rule), std::string(name_of(rule.rule.effect)), printable(rule.rule.author),
                    std::string(truth_name(rule.matches)), printable(rule.why)});
  }
  out["considered"] = std::move(all);
  answer(shell, out, decision_text(decision) + table(rows));
  return code_of(decision.effect);
}

int diff(const Memory& memory, const command::Rules& wanted, const Shell& shell) {
  const auto before = memory.rules_with_digest(wanted.id);
  if (!before) throw Error(ErrorCode::not_found, "digest " + wanted.id + ": this instance never had such rules");
  const Rules now = memory.rules();
  json::array items;
  std::string text;
  for (const RuleDifference& difference : now.since(*before)) {
    json::array old;
    json::array fresh;
    text += printable(difference.id) + "\n";
    for (const Map& version : difference.before) {
      old.push_back(to_json(version));
      text += "  - " + printable(serialized(to_json(version))) + "\n";
    }
    for (const Map& version : difference.after) {
      fresh.push_back(to_json(version));
      text += "  + " + printable(serialized(to_json(version))) + "\n";
    }
    items.push_back(json::object{{"id", difference.id}, {"before", std::move(old)}, {"after", std::move(fresh)}});
  }
  answer(shell, {{"from", before->digest()}, {"to", now.digest()}, {"items", std::move(items)}}, text);
  return 0;
}

int conflicts(const Memory& memory, const command::Rules& wanted, const Shell& shell) {
  const Rules rules = memory.rules(wanted.call);
  json::array items;
  std::string text;
  for (const RuleRegister& rule : rules.set().registers()) {
    if (rule.heads.size() < 2) continue;
    items.push_back(json::object{{"id", rule.id}, {"effective", effective_shape(rule)}, {"heads", versions_shape(rule)}});
    text += printable(rule.id) + "\n" + heads_text(rule);
  }
  for (const MetaRegister& meta : rules.set().meta()) {
    if (meta.heads.size() < 2) continue;
    items.push_back(json::object{{"id", "governance_meta/" + meta.key}, {"heads", versions_shape(meta)}});
    text += "governance_meta/" + printable(meta.key) + ": " + std::to_string(meta.heads.size()) + " versions\n";
  }
  answer(shell, {{"items", std::move(items)}, {"next", nullptr}}, text.empty() ? "none\n" : text);
  return 0;
}

// ---------------------------------------------------------------- trying rules

// The rules in force with others laid over them, as somebody who may loosen would have written them.
std::shared_ptr<const RuleSet> overlaid(const RuleSet& now, const Map& test) {
  std::map<std::string, RuleRegister> registers;
  for (const RuleRegister& rule : now.registers()) registers.emplace(rule.id, rule);
  if (const Value* removed = find(test, "remove")) {
    for (const Value& id : as_array(*removed, "remove")) registers.erase(as_text(id, "remove"));
  }
  if (const Value* rules = find(test, "rules")) {
    for (NamedRule& rule : named_rules(*rules)) {
      registers.insert_or_assign(rule.id, RuleRegister{rule.id, {{check_rule(rule.rule), true, false, {}, "(test)", 0}}});
    }
  }
  std::vector<RuleRegister> all;
  for (auto& [id, rule] : registers) all.push_back(std::move(rule));
  return std::make_shared<const RuleSet>(std::move(all), now.meta(), now.digest());
}

command::Rules::Request request_from(const Map& test) {
  command::Rules::Request request;
  request.action = text_at(test, "action");
  if (request.action.empty()) throw Error(ErrorCode::invalid, "case: needs an \"action\"");
  const auto text = [&](const char* name, std::optional<std::string>& into) {
    if (const Value* value = find(test, name)) into = as_text(*value, name);
  };
  text("resource", request.resource);
  text("subject", request.subject);
  text("environment", request.environment);
  if (const Value* risk = find(test, "risk")) {
    request.risk = parse_risk(as_text(*risk, "risk"));
    if (!request.risk) throw Error(ErrorCode::invalid, "case: risk: not low, medium, high or critical");
  }
  if (const Value* context = find(test, "context")) request.context = as_map(*context, "context");
  if (const Value* at = find(test, "at_ms")) request.at_ms = static_cast<std::int64_t>(as_number(*at, "at_ms"));
  return request;
}

int test(const Memory& memory, const command::Rules& wanted, const Shell& shell) {
  const Value given = read_json(wanted.file);
  const Map& file = object_of(given, "test");
  const Value* cases = find(file, "cases");
  if (cases == nullptr) throw Error(ErrorCode::invalid, "test: needs \"cases\"");
  const Rules rules = memory.rules().with(overlaid(memory.rules().set(), file));
  json::array items;
  std::string text;
  std::size_t failed = 0;
  for (const Value& each : as_array(*cases, "cases")) {
    const Map& one = object_of(each, "case");
    const auto expected = parse_effect(text_at(one, "effect"));
    if (!expected) throw Error(ErrorCode::invalid, "case: \"effect\" is not allow, notify, require_approval or deny");
    const auto request = request_from(one);
    const Decision decision = rules.check(request_of(request));
    const bool is_ok = decision.effect == *expected;
    failed += is_ok ? 0 : 1;
    items.push_back(json::object{{"ok", is_ok}, {"expected", std::string(name_of(*expected))}, {"decision", shape(decision)}});
    text += std::string(is_ok ? "ok      " : "FAILED  ") + printable(request.action) + ": expected " +
            std::string(name_of(*expected)) + ", is " + decision_text(decision);
  }
  const std::size_t passed = items.size() - failed;
  answer(shell, {{"items", std::move(items)}, {"passed", passed}, {"failed", failed}},
         text + std::to_string(passed) + " passed, " + std::to_string(failed) + " failed\n");
  return failed == 0 ? 0 : exit_code(ErrorCode::failed);
}

}  // namespace

int run(const command::Rules& wanted, const Shell& shell) {
  using Do = command::Rules::Do;
  Memory memory = open_memory(shell);
  switch (wanted.what) {
    case Do::list: return list(memory, wanted, shell);
    case Do::show: return show(memory, wanted, shell);
    case Do::set: return set(memory, wanted, shell);
    case Do::remove: answer(shell, memory.remove_rule(wanted.id, wanted.call)); return 0;
    case Do::check: return check(memory, wanted, shell);
    case Do::explain: return explain(memory, wanted, shell);
    case Do::diff: return diff(memory, wanted, shell);
    case Do::test: return test(memory, wanted, shell);
    case Do::conflicts: return conflicts(memory, wanted, shell);
  }
  return 0;
}

}  // namespace loam::cli
