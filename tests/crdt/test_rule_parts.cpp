// Patterns, conditions, and rules as they are read.
#include <doctest/doctest.h>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "crdt/rules/meta.hpp"
#include "crdt/rules/pattern_table.hpp"
#include "crdt/rules/rule.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/forall.hpp"

namespace loam {
namespace {

using test::error_of;

Glob glob(std::string_view text) { return Glob::parse(text).value(); }

// By the definition: a star at an end of the pattern is any text, elsewhere any text without a slash.
bool matches_by_definition(std::string_view pattern, std::string_view text, bool is_begin = true) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] != '*') {
    return !text.empty() && text[0] == pattern[0] && matches_by_definition(pattern.substr(1), text.substr(1), false);
  }
  const bool is_any = is_begin || pattern.size() == 1;
  for (std::size_t taken = 0; taken <= text.size(); ++taken) {
    if (taken > 0 && !is_any && text[taken - 1] == '/') break;
    if (matches_by_definition(pattern.substr(1), text.substr(taken), false)) return true;
  }
  return false;
}

std::string some_text(test::Gen& gen, std::string_view letters, std::size_t size_max) {
  std::string text;
  for (std::size_t size = gen.index(size_max + 1); size > 0; --size) text += letters[gen.index(letters.size())];
  return text;
}

Map rule_map(std::string_view effect) { return {{"effect", std::string(effect)}, {"actions", Array{"deploy"}}}; }

Map with(Map map, const char* field, Value value) {
  map.insert_or_assign(field, std::move(value));
  return map;
}

TEST_CASE("a pattern has stars at the ends of its parts only") {
  for (const char* text : {"deploy", "*", "deploy*", "*deploy", "*deploy*", "prod/*", "*/db", "prod/*/db", "a*/*b", "/"}) {
    CAPTURE(text);
    REQUIRE(Glob::parse(text));
    CHECK(Glob::parse(text)->text() == text);
  }
  for (const char* text : {"", "de*ploy", "prod/e*u", "a/b*c/d", "***", "a**"}) {
    CAPTURE(text);
    CHECK(!Glob::parse(text));
  }
}

TEST_CASE("what a pattern matches is what its stars stand for") {
  CHECK(glob("prod/*").matches("prod/eu/db"));
  CHECK(!glob("prod/*").matches("prod"));
  CHECK(glob("*/db").matches("prod/eu/db"));
  CHECK(!glob("prod/*/db").matches("prod/eu/west/db"));
  CHECK(glob("*").matches(""));
  test::forall("a match is one by definition", 40'000, [](test::Gen& gen) {
    const auto made = Glob::parse(some_text(gen, "ab/*", 6));
    if (!made) return true;
    const std::string text = some_text(gen, "ab/", 6);
    return made->matches(text) == matches_by_definition(made->text(), text);
  });
}

TEST_CASE("a pattern covers another only if it matches all that the other does") {
  CHECK(glob("prod/*").covers(glob("prod/eu")));
  CHECK(glob("*").covers(glob("prod/*/db")));
  CHECK(glob("a*").covers(glob("ab*")));
  CHECK(!glob("ab*").covers(glob("a*")));
  CHECK(!glob("prod/eu").covers(glob("prod/*")));
  int covered = 0;
  test::forall("covering is sound", 40'000, [&](test::Gen& gen) {
    const auto wide = Glob::parse(some_text(gen, "ab/*", 4));
    const auto narrow = Glob::parse(some_text(gen, "ab/*", 5));
    if (!wide || !narrow || !wide->covers(*narrow)) return true;
    ++covered;
    for (int i = 0; i < 40; ++i) {
      const std::string text = some_text(gen, "ab/", 6);
      if (narrow->matches(text) && !wide->matches(text)) return false;
    }
    return wide->covers(*wide);
  });
  CHECK((test::environment("SEED") || covered > 10));
}

TEST_CASE("a table of patterns leaves out only what does not match") {
  test::forall("nothing that matches is left out", 4'000, [](test::Gen& gen) {
    PatternTable table;
    std::vector<Glob> globs;
    while (globs.size() < 12) {
      if (auto made = Glob::parse(some_text(gen, "ab/*", 10))) globs.push_back(std::move(*made));
    }
    for (std::size_t i = 0; i < globs.size(); ++i) table.add(globs[i], static_cast<std::uint32_t>(i));
    table.seal();
    const std::string text = some_text(gen, "ab/", 12);
    RuleNumbers found;
    table.find(text, found);
    for (std::uint32_t i = 0; i < globs.size(); ++i) {
      const bool is_found = std::find(found.begin(), found.end(), i) != found.end();
      if (globs[i].matches(text) && !is_found) return false;
    }
    RuleNumbers all;
    table.all(all);
    return all.size() == globs.size();
  });
}

TEST_CASE("a condition says no only when the context says so") {
  const Map context{{"env", "prod"}, {"amount", 100}, {"share", 0.5}, {"tags", Array{"a", "b"}}, {"none", nullptr},
                    {"big", std::uint64_t{1} << 63}};
  struct Case {
    const char* field;
    const char* op;
    Value value;
    Truth truth;
  };
  const Case cases[] = {
      {"env", "equals", "prod", Truth::yes},
      {"env", "equals", "dev", Truth::no},
      {"env", "equals", 5, Truth::no},
      {"amount", "equals", 100.0, Truth::yes},
      {"env", "not_equals", "prod", Truth::no},
      {"absent", "not_equals", "prod", Truth::maybe},
      {"absent", "equals", "prod", Truth::maybe},
      {"none", "equals", "prod", Truth::maybe},
      {"env", "in", Array{"prod", "dev"}, Truth::yes},
      {"env", "in", Array{"dev"}, Truth::no},
      {"env", "in", "prod", Truth::maybe},
      {"env", "not_in", Array{"dev"}, Truth::yes},
      {"env", "not_in", "dev", Truth::maybe},
      {"tags", "contains", "a", Truth::yes},
      {"tags", "contains", "c", Truth::no},
      {"env", "contains", "ro", Truth::yes},
      {"amount", "contains", "1", Truth::maybe},
      {"amount", "greater_than", 99, Truth::yes},
      {"amount", "greater_than", 100, Truth::no},
      {"amount", "greater_than", 99.5, Truth::yes},
      {"share", "less_than", 1, Truth::yes},
      {"share", "greater_than", 1, Truth::no},
      {"big", "greater_than", 5, Truth::yes},
      {"amount", "less_than", std::uint64_t{1} << 63, Truth::yes},
      {"env", "less_than", 5, Truth::maybe},
      {"amount", "exists", nullptr, Truth::yes},
      {"none", "exists", nullptr, Truth::no},
      {"absent", "not_exists", nullptr, Truth::yes},
      {"env", "resembles", "prod", Truth::maybe},
  };
  for (const Case& each : cases) {
    CAPTURE(each.field);
    CAPTURE(each.op);
    const Condition condition{each.field, parse_condition_op(each.op).value_or(Condition::Op::unknown), each.op,
                              each.value};
    CHECK(condition.holds(context) == each.truth);
  }
}

TEST_CASE("a rule is written as it was read") {
  const Map all{{"effect", "require_approval"},
                {"actions", Array{"deploy", "db.*"}},
                {"resources", Array{"prod/*"}},
                {"subjects", Array{"agent-*"}},
                {"environments", Array{"prod"}},
                {"risk_min", "medium"},
                {"risk_max", "high"},
                {"conditions", Array{Map{{"field", "amount"}, {"op", "greater_than"}, {"value", 5}},
                                     Map{{"field", "ticket"}, {"op", "not_exists"}}}},
                {"requirement", Map{{"min_approvals", 2},
                                    {"approver_roles", Array{"security", "sre"}},
                                    {"distinct_from_requester", true},
                                    {"requires", Array{"rollback_plan", "tests"}}}},
                {"reason", "incident 12"},
                {"enabled", false},
                {"priority", -3},
                {"valid_from_ms", 5},
                {"expires_at_ms", 9},
                {"owner", Map{{"team", "x"}}}};
  const Rule rule = check_rule(all);
  CHECK(rule.defects.empty());
  CHECK(rule.requirement.min_approvals == 2);
  CHECK(rule.conditions.size() == 2);
  CHECK(rule.others.size() == 1);
  CHECK(map_of(rule) == all);
  CHECK(check_rule(map_of(rule)) == rule);
}

TEST_CASE("what is no rule is refused, and read as strictly as it can be") {
  struct Case {
    const char* what;
    Value value;
    Effect effect;  // as it is read
    bool has_actions;
    ErrorCode code = ErrorCode::invalid;
  };
  const Map allow = rule_map("allow");
  const Map deny = rule_map("deny");
  const Map ask = rule_map("require_approval");
  Array many;
  for (std::size_t i = 0; i <= rule_patterns_max; ++i) many.emplace_back("a" + std::to_string(i));
  Array most(many.begin(), many.end() - 1);
  Array conditions(rule_conditions_max + 1, Map{{"field", "f"}, {"op", "exists"}});
  const Case cases[] = {
      {"no map", "deny", Effect::deny, false},
      {"nothing", nullptr, Effect::deny, false},
      {"no effect", Map{{"actions", Array{"deploy"}}}, Effect::deny, true},
      {"unknown effect", with(allow, "effect", "permit"), Effect::deny, true},
      {"effect of another kind", with(allow, "effect", 0), Effect::deny, true},
      {"allow of everything", Map{{"effect", "allow"}}, Effect::allow, false},
      {"allow of nothing", with(allow, "actions", Array{}), Effect::allow, false},
      {"deny of nothing", with(deny, "actions", Array{}), Effect::deny, false},
      {"star in the middle", with(deny, "actions", Array{"de*ploy"}), Effect::deny, false},
      {"star in the middle, among others", with(allow, "actions", Array{"deploy", "a*b"}), Effect::allow, false},
      {"a pattern of another kind", with(deny, "actions", Array{5}), Effect::deny, false},
      {"patterns of another kind", with(deny, "actions", "deploy"), Effect::deny, false},
      {"an empty pattern", with(deny, "actions", Array{""}), Effect::deny, false},
      {"a pattern of 401 octets", with(deny, "actions", Array{std::string(401, 'a')}), Effect::deny, false},
      {"too many patterns", with(deny, "actions", many), Effect::deny, false, ErrorCode::limit},
      {"unknown risk", with(deny, "risk_min", "extreme"), Effect::deny, true},
      {"risks the wrong way round", with(with(deny, "risk_min", "high"), "risk_max", "low"), Effect::deny, true},
      {"conditions of another kind", with(deny, "conditions", Map{}), Effect::deny, true},
      {"too many conditions", with(deny, "conditions", conditions), Effect::deny, true, ErrorCode::limit},
      {"a condition without a field", with(deny, "conditions", Array{Map{{"op", "exists"}}}), Effect::deny, true},
      {"unknown operator", with(allow, "conditions", Array{Map{{"field", "f"}, {"op", "like"}, {"value", "x"}}}),
       Effect::allow, true},
      {"an operator without its value", with(deny, "conditions", Array{Map{{"field", "f"}, {"op", "equals"}}}),
       Effect::deny, true},
      {"a list that is none", with(deny, "conditions", Array{Map{{"field", "f"}, {"op", "in"}, {"value", "x"}}}),
       Effect::deny, true},
      {"a number that is none", with(deny, "conditions", Array{Map{{"field", "f"}, {"op", "less_than"}, {"value", "x"}}}),
       Effect::deny, true},
      {"a requirement of another kind", with(ask, "requirement", 2), Effect::deny, true},
      {"no approvals", with(ask, "requirement", Map{{"min_approvals", 0}}), Effect::deny, true},
      {"101 approvals", with(ask, "requirement", Map{{"min_approvals", 101}}), Effect::deny, true},
      {"a requirement that is not known", with(ask, "requirement", Map{{"quorum", 2}}), Effect::deny, true},
      {"roles of another kind", with(ask, "requirement", Map{{"approver_roles", "sre"}}), Effect::deny, true},
      {"a role of another kind", with(ask, "requirement", Map{{"requires", Array{5}}}), Effect::deny, true},
      {"distinct of another kind", with(ask, "requirement", Map{{"distinct_from_requester", 1}}),
       Effect::require_approval, true},
      {"negative expiry", with(deny, "expires_at_ms", -1), Effect::deny, true},
      {"huge expiry", with(deny, "expires_at_ms", rule_time_ms_max + 1), Effect::deny, true},
      {"unsigned expiry", with(deny, "expires_at_ms", ~std::uint64_t{0}), Effect::deny, true},
      {"expiry before validity", with(with(deny, "valid_from_ms", 9), "expires_at_ms", 9), Effect::deny, true},
      {"enabled of another kind", with(deny, "enabled", "no"), Effect::deny, true},
      {"a reason of another kind", with(deny, "reason", 5), Effect::deny, true},
      {"a priority of another kind", with(deny, "priority", "first"), Effect::deny, true},
      {"of a later version", with(allow, "must", Array{"regions"}), Effect::deny, true},
      {"must of another kind", with(allow, "must", "regions"), Effect::deny, true},
  };
  for (const Case& each : cases) {
    CAPTURE(each.what);
    CHECK(error_of([&] { check_rule(each.value); }) == each.code);
    const Rule read = read_rule(each.value);
    CHECK(!read.defects.empty());
    CHECK(!read.lifts());
    CHECK(read.is_enabled);
    CHECK(read.effect == each.effect);
    CHECK(read.actions.has_value() == each.has_actions);
    CHECK(read.expires_at_ms == 0);
  }
  CHECK_NOTHROW(check_rule(with(deny, "actions", most)));
  CHECK_NOTHROW(check_rule(with(deny, "actions", Array{std::string(400, 'a')})));
  CHECK_NOTHROW(check_rule(with(ask, "requirement", Map{{"min_approvals", 100}})));
  CHECK_NOTHROW(check_rule(with(deny, "expires_at_ms", rule_time_ms_max)));
  conditions.pop_back();
  CHECK_NOTHROW(check_rule(with(deny, "conditions", conditions)));
  CHECK_NOTHROW(check_rule(with(deny, "reason", nullptr)));
}

TEST_CASE("whatever is stored is read without an error, and what is no rule lifts nothing") {
  test::forall("any value is read", 3'000, [](test::Gen& gen) {
    const std::vector<Value> values{nullptr, true, false, -1, 0, 7, 1.5, "", "deny", "allow", "a*b", Array{}, Array{"x"},
                                    Array{1}, Map{}, Map{{"min_approvals", 3}}, Array{Map{{"field", "f"}, {"op", "in"}}}};
    const std::vector<std::string> fields{"effect", "actions", "resources", "subjects", "environments", "risk_min",
                                          "risk_max", "conditions", "requirement", "reason", "enabled", "priority",
                                          "valid_from_ms", "expires_at_ms", "must", "other"};
    Map map;
    for (std::size_t i = gen.index(6); i > 0; --i) map.insert_or_assign(gen.pick(fields), gen.pick(values));
    const Rule rule = read_rule(map);
    const bool is_refused = error_of([&] { check_rule(map); }).has_value();
    if (is_refused != !rule.defects.empty()) return false;
    return is_refused ? !rule.lifts() : read_rule(map_of(rule)) == rule;
  });
}

TEST_CASE("what governance_meta holds is read as strictly as it can be") {
  std::vector<std::string> defects;
  const Value classes = Map{{"read", "low"}, {"format", "extreme"}};
  const RiskClasses read = read_risk_classes(&classes, defects);
  CHECK(read.of("read") == Risk::low);
  CHECK(read.of("format") == Risk::critical);
  CHECK(read.of("other") == Risk::high);
  CHECK(defects.size() == 1);
  const Value none = "none";
  CHECK(read_risk_classes(&none, defects).of("read") == Risk::critical);
  CHECK(read_risk_classes(nullptr, defects).of("read") == Risk::high);

  const Value defaults = Map{{"low", "notify"}, {"high", "deny"}, {"critical", "allow"}, {"medium", 5}};
  CHECK(read_defaults(&defaults, defects).of(Risk::medium) == Effect::deny);
  CHECK(read_defaults(&defaults, defects).of(Risk::critical) == Effect::deny);  // no less than for a lesser risk
  CHECK(read_defaults(&defaults, defects).of(Risk::low) == Effect::notify);
  CHECK(read_defaults(&none, defects).of(Risk::low) == Effect::deny);
  CHECK(read_defaults(nullptr, defects).of(Risk::low) == Effect::allow);
  CHECK(read_defaults(nullptr, defects).of(Risk::medium) == Effect::require_approval);

  const Value ages = Map{{"low", 100}, {"high", -1}, {"medium", 500}};
  CHECK(read_rule_ages(&ages, defects).of(Risk::medium) == 100);
  CHECK(read_rule_ages(&ages, defects).of(Risk::critical) == 0);
  CHECK(read_rule_ages(&none, defects).of(Risk::low) == 0);
  CHECK(read_rule_ages(nullptr, defects).of(Risk::low) == RuleAges::any);

  for (const auto& each : std::vector<std::pair<std::string_view, Value>>{
           {"risk_classes", classes}, {"risk_classes", none}, {"defaults", defaults}, {"max_rule_age_ms", ages},
           {"defaults", Map{{"high", "notify"}}}, {"defaults", Map{{"low", "deny"}, {"critical", "notify"}}},
           {"max_rule_age_ms", Map{{"low", 5}, {"high", 6}}}, {"roles", none}, {"roles", Map{{"sre", "alice"}}}, {"roles", Map{{"sre", Array{""}}}}}) {
    CAPTURE(each.first);
    CHECK(error_of([&] { check_meta(each.first, each.second); }) == ErrorCode::invalid);
  }
  Map large;
  for (std::size_t i = 0; i < meta_entries_max; ++i) large.emplace("a" + std::to_string(i), "low");
  CHECK_NOTHROW(check_meta("risk_classes", large));
  large.emplace("one more", "low");
  CHECK(error_of([&] { check_meta("risk_classes", large); }) == ErrorCode::limit);
  CHECK_NOTHROW(check_meta("defaults", Map{{"medium", "notify"}, {"high", "deny"}}));
  CHECK_NOTHROW(check_meta("max_rule_age_ms", Map{{"low", 6}, {"high", 6}}));
  CHECK_NOTHROW(check_meta("roles", Map{{"sre", Array{"alice", "bob"}}}));
  CHECK_NOTHROW(check_meta("anything", none));
}

TEST_CASE("a value of governance_meta takes the place of another if it is provably as strict") {
  const auto is_at_least = [](std::string_view key, const Value& value, const Value& other) {
    return is_at_least_as_restrictive(key, value.is_nil() ? nullptr : &value, other.is_nil() ? nullptr : &other);
  };
  CHECK(is_at_least("defaults", Map{{"low", "notify"}}, nullptr));
  CHECK(!is_at_least("defaults", nullptr, Map{{"low", "notify"}}));
  CHECK(!is_at_least("defaults", Map{{"medium", "notify"}}, nullptr));
  CHECK(is_at_least("max_rule_age_ms", Map{{"low", 5}}, nullptr));
  CHECK(!is_at_least("max_rule_age_ms", Map{{"high", 5}}, Map{{"low", 5}}));
  CHECK(is_at_least("roles", Map{{"sre", Array{"a"}}}, Map{{"sre", Array{"b", "a"}}}));
  CHECK(!is_at_least("roles", Map{{"sre", Array{"c"}}}, Map{{"sre", Array{"b", "a"}}}));
  CHECK(!is_at_least("risk_classes", Map{{"read", "critical"}}, Map{{"read", "low"}}));
  CHECK(is_at_least("risk_classes", Map{{"read", "low"}}, Map{{"read", "low"}}));
  CHECK(!is_at_least("other", 1, 2));
  CHECK(is_at_least("other", 2, 2));
}

}  // namespace
}  // namespace loam
