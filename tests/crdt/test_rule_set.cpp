// What all rules together say of a request.
#include <doctest/doctest.h>

#include <algorithm>

#include "crdt/rules/restriction.hpp"
#include "crdt/rules/rule_set.hpp"
#include "tests/support/allocations.hpp"
#include "tests/support/forall.hpp"

namespace loam {
namespace {

constexpr std::int64_t now = 1'000'000;

/// Rules and values under names, all by an author who may loosen, unless said otherwise.
struct Book {
  std::vector<RuleRegister> rules;
  std::vector<MetaRegister> meta;

  Book& add(const std::string& id, const Value& rule, bool lifts = true) {
    rules.push_back({id, {}});
    return beside(rule, lifts);
  }

  Book& beside(const Value& rule, bool lifts = true) {
    rules.back().heads.push_back({rule.is_nil() ? std::nullopt : std::optional(read_rule(rule)), lifts, !lifts,
                                  Dot{ActorId{}, rules.back().heads.size() + 1}, "alpha", 5});
    return *this;
  }

  Book& say(const std::string& key, const Value& value, bool lifts = true) {
    const auto at = std::find_if(meta.begin(), meta.end(), [&](const MetaRegister& one) { return one.key == key; });
    MetaRegister& made = at != meta.end() ? *at : meta.emplace_back(MetaRegister{key, {}});
    made.heads.push_back({value.is_nil() ? std::nullopt : std::optional(value), lifts, !lifts, {}, "alpha", 5});
    return *this;
  }

  std::shared_ptr<const RuleSet> set() const {
    auto sorted = rules;
    std::sort(sorted.begin(), sorted.end(), [](const auto& left, const auto& right) { return left.id < right.id; });
    return std::make_shared<const RuleSet>(sorted, meta, std::string(32, 'd'));
  }

  Decision check(const RuleRequest& request, std::optional<std::int64_t> heard_ms = {}) const {
    Decision decision;
    const auto made = set();
    made->check(request, {now, heard_ms}, decision);
    decision.snapshot = made;
    return decision;
  }

  Effect effect(const RuleRequest& request) const { return check(request).effect; }
};

Map rule(std::string_view effect, Map more = {}) {
  more.emplace("effect", std::string(effect));
  return more;
}

Array one(std::string_view text) { return Array{std::string(text)}; }

TEST_CASE("without rules the risk decides, and an action that nobody has classed is of high risk") {
  const Book book;
  const Decision decision = book.check({.action = "deploy"});
  CHECK(decision.effect == Effect::require_approval);
  CHECK(decision.defaulted);
  CHECK(decision.risk == Risk::high);
  CHECK(decision.requirement.min_approvals == 1);
  CHECK(decision.age_ms == 0);
  CHECK(!decision.stale);
  CHECK(decision.rules_digest == std::string(32, 'd'));
  Book classed;
  classed.say("risk_classes", Map{{"read", "low"}, {"edit", "medium"}});
  CHECK(classed.effect({.action = "read"}) == Effect::allow);
  CHECK(classed.effect({.action = "edit"}) == Effect::require_approval);
  classed.say("defaults", Map{{"medium", "notify"}, {"critical", "deny"}});
  CHECK(classed.effect({.action = "edit"}) == Effect::notify);
  CHECK(classed.effect({.action = "read", .risk = Risk::critical}) == Effect::deny);
}

TEST_CASE("who asks may raise the risk, never lower it") {
  Book book;
  book.say("risk_classes", Map{{"read", "low"}, {"drop", "critical"}}).say("defaults", Map{{"critical", "deny"}});
  CHECK(book.effect({.action = "read", .risk = Risk::high}) == Effect::require_approval);
  CHECK(book.effect({.action = "drop", .risk = Risk::low}) == Effect::deny);
  // Nor does a raised risk escape a rule, or come under an allowance, that is for lesser ones.
  book.add("r", rule("deny", {{"actions", one("read")}, {"risk_max", "low"}}));
  CHECK(book.effect({.action = "read", .risk = Risk::high}) == Effect::deny);
  Book allowed;
  allowed.add("r", rule("allow", {{"actions", one("push")}, {"risk_max", "high"}}));
  CHECK(allowed.effect({.action = "push"}) == Effect::allow);
  CHECK(allowed.effect({.action = "push", .risk = Risk::critical}) == Effect::require_approval);
}

TEST_CASE("the strictest rule decides, whatever its priority or how special it is") {
  Book book;
  book.add("a", rule("allow", {{"actions", one("deploy")}, {"resources", one("prod/eu")}, {"priority", 100}}));
  CHECK(book.effect({.action = "deploy", .resource = "prod/eu"}) == Effect::allow);
  book.add("b", rule("notify", {{"actions", one("*")}}));
  CHECK(book.effect({.action = "deploy", .resource = "prod/eu"}) == Effect::notify);
  book.add("c", rule("require_approval", {{"actions", one("dep*")}}));
  CHECK(book.effect({.action = "deploy", .resource = "prod/eu"}) == Effect::require_approval);
  book.add("d", rule("deny", {{"resources", one("prod/*")}, {"priority", -5}, {"reason", "frozen"}}));
  const Decision decision = book.check({.action = "deploy", .resource = "prod/eu"});
  CHECK(decision.effect == Effect::deny);
  CHECK(!decision.defaulted);
  REQUIRE(decision.matched.size() == 4);
  CHECK(decision.matched[0].rule == "a");
  CHECK(decision.matched[3].rule == "d");
  CHECK(decision.matched[3].reason == "frozen");
  CHECK(decision.matched[3].author == "alpha");
  CHECK(decision.matched[3].is_sure);
}

TEST_CASE("an allow lifts the default and nothing else; a notify of named actions too") {
  Book book;
  book.add("a", rule("allow", {{"actions", one("push")}}));
  CHECK(book.effect({.action = "push"}) == Effect::allow);
  CHECK(book.effect({.action = "pull"}) == Effect::require_approval);
  Book named;
  named.add("n", rule("notify", {{"actions", one("push")}}));
  CHECK(named.effect({.action = "push"}) == Effect::notify);
  Book all;
  all.add("n", rule("notify"));
  CHECK(all.effect({.action = "push"}) == Effect::require_approval);
  CHECK(all.check({.action = "push"}).defaulted);
  // A rule that asks for approval never takes the place of a stricter default.
  Book strict;
  strict.say("defaults", Map{{"high", "deny"}}).add("r", rule("require_approval", {{"actions", one("push")}}));
  CHECK(strict.effect({.action = "push"}) == Effect::deny);
  CHECK(strict.check({.action = "push"}).defaulted);
}

TEST_CASE("what a request does not say may match what restricts, and never what lifts") {
  Book book;
  book.add("d", rule("deny", {{"actions", one("push")}, {"resources", one("prod/*")}, {"subjects", one("agent-*")},
                              {"environments", one("prod")},
                              {"conditions", Array{Map{{"field", "amount"}, {"op", "greater_than"}, {"value", 5}}}}}));
  CHECK(book.effect({.action = "push"}) == Effect::deny);
  CHECK(!book.check({.action = "push"}).matched[0].is_sure);
  CHECK(book.effect({.action = "push", .resource = "dev/eu"}) == Effect::require_approval);
  CHECK(book.effect({.action = "push", .resource = ""}) == Effect::require_approval);
  CHECK(book.effect({.action = "push", .subject = "alice"}) == Effect::require_approval);
  CHECK(book.effect({.action = "push", .environment = "dev"}) == Effect::require_approval);
  CHECK(book.effect({.action = "push", .context = {{"amount", 5}}}) == Effect::require_approval);
  CHECK(book.effect({.action = "push", .context = {{"amount", "much"}}}) == Effect::deny);
  Book allowed;
  allowed.add("a", rule("allow", {{"actions", one("push")}, {"environments", one("dev")},
                                  {"conditions", Array{Map{{"field", "amount"}, {"op", "less_than"}, {"value", 5}}}}}));
  CHECK(allowed.effect({.action = "push"}) == Effect::require_approval);
  CHECK(allowed.effect({.action = "push", .environment = "dev"}) == Effect::require_approval);
  CHECK(allowed.effect({.action = "push", .environment = "dev", .context = {{"amount", 4}}}) == Effect::allow);
}

TEST_CASE("a rule counts while it is enabled and valid") {
  Book book;
  book.add("d", rule("deny", {{"valid_from_ms", now}, {"expires_at_ms", now + 10}}));
  CHECK(book.effect({.action = "x"}) == Effect::deny);
  CHECK(book.effect({.action = "x", .at_ms = now - 1}) == Effect::require_approval);
  CHECK(book.effect({.action = "x", .at_ms = now + 10}) == Effect::require_approval);
  Book off;
  off.add("d", rule("deny", {{"enabled", false}}));
  CHECK(off.effect({.action = "x"}) == Effect::require_approval);
}

TEST_CASE("what all matching rules require must be there") {
  Book book;
  book.add("a", rule("require_approval", {{"requirement", Map{{"min_approvals", 2}, {"approver_roles", Array{"sre"}},
                                                             {"requires", Array{"tests"}}}}}));
  book.add("b", rule("require_approval", {{"requirement", Map{{"approver_roles", Array{"security", "sre"}},
                                                             {"distinct_from_requester", true}}}}));
  book.add("c", rule("require_approval", {{"actions", one("other")}, {"requirement", Map{{"min_approvals", 9}}}}));
  const Decision decision = book.check({.action = "deploy"});
  CHECK(decision.requirement.min_approvals == 2);
  CHECK(decision.requirement.distinct_from_requester);
  CHECK(decision.requirement.approver_roles.size() == 2);
  REQUIRE(decision.requirement.requires_all.size() == 1);
  CHECK(decision.requirement.requires_all[0] == "tests");
}

TEST_CASE("of two versions beside each other both hold, and the conflict is told") {
  // One tightened to two approvals; another, who had not seen it, relaxed to notify.
  Book book;
  book.add("deploy_prod", rule("notify", {{"actions", one("deploy")}}))
      .beside(rule("require_approval", {{"actions", one("deploy")}, {"requirement", Map{{"min_approvals", 2}}}}));
  const Decision decision = book.check({.action = "deploy"});
  CHECK(decision.effect == Effect::require_approval);
  CHECK(decision.requirement.min_approvals == 2);
  REQUIRE(decision.conflicts.size() == 1);
  CHECK(decision.conflicts[0] == "deploy_prod");
  CHECK(decision.matched.size() == 2);
  // What only one of them lifts is not lifted.
  Book narrow;
  narrow.add("r", rule("allow", {{"actions", one("push")}})).beside(rule("allow", {{"actions", Array{"push", "pull"}}}));
  CHECK(narrow.effect({.action = "push"}) == Effect::allow);
  CHECK(narrow.effect({.action = "pull"}) == Effect::require_approval);
  Book removed;
  removed.add("r", rule("allow", {{"actions", one("push")}})).beside(nullptr);
  CHECK(removed.effect({.action = "push"}) == Effect::require_approval);
}

TEST_CASE("a version whose author may not loosen restricts all the same") {
  Book book;
  book.add("r", rule("allow", {{"actions", one("push")}}), false);
  CHECK(book.effect({.action = "push"}) == Effect::require_approval);
  Book strict;
  strict.add("r", rule("deny", {{"actions", one("push")}}), false);
  CHECK(strict.effect({.action = "push"}) == Effect::deny);
  // The same of what governance_meta says: what lowers a risk, or a default, counts only beside what is built in.
  Book meta;
  meta.say("risk_classes", Map{{"push", "low"}, {"drop", "critical"}}, false).say("defaults", Map{{"low", "notify"}, {"high", "allow"}}, false);
  CHECK(meta.check({.action = "push"}).risk == Risk::high);
  CHECK(meta.check({.action = "drop"}).risk == Risk::critical);
  CHECK(meta.effect({.action = "push"}) == Effect::require_approval);
}

TEST_CASE("two versions of the risk classes: the greater risk counts, and rules for either") {
  Book book;
  book.say("risk_classes", Map{{"push", "low"}}).say("risk_classes", Map{{"push", "critical"}});
  CHECK(book.check({.action = "push"}).risk == Risk::critical);
  book.add("d", rule("deny", {{"risk_max", "low"}}));
  CHECK(book.effect({.action = "push"}) == Effect::deny);
  Book allowed;
  allowed.say("risk_classes", Map{{"push", "low"}}).say("risk_classes", Map{{"push", "critical"}});
  allowed.add("a", rule("allow", {{"actions", one("push")}, {"risk_min", "high"}}));
  CHECK(allowed.effect({.action = "push"}) == Effect::require_approval);
}

TEST_CASE("rules that have not been heard of for too long are one step stricter") {
  Book book;
  book.say("max_rule_age_ms", Map{{"medium", 1'000}, {"critical", 10}}).say("risk_classes", Map{{"read", "low"}, {"edit", "medium"}});
  book.add("a", rule("notify", {{"actions", one("edit")}}));
  const Decision fresh = book.check({.action = "edit"}, now - 1'000);
  CHECK(fresh.effect == Effect::notify);
  CHECK(fresh.age_ms == 1'000);
  CHECK(!fresh.stale);
  const Decision stale = book.check({.action = "edit"}, now - 1'001);
  CHECK(stale.stale);
  CHECK(stale.effect == Effect::require_approval);
  CHECK(stale.requirement.min_approvals == 1);
  CHECK(book.check({.action = "read"}, 0).effect == Effect::allow);
  CHECK(book.check({.action = "drop", .risk = Risk::critical}, now - 11).effect == Effect::deny);
  CHECK(book.check({.action = "edit"}).age_ms == 0);  // there are no peers that matter
  CHECK(book.check({.action = "edit"}, now + 50).age_ms == 0);
}

TEST_CASE("what cannot be read is the strictest reading, with the reason") {
  Book book;
  book.add("r", rule("permit", {{"actions", one("push")}}));
  const Decision decision = book.check({.action = "push"});
  CHECK(decision.effect == Effect::deny);
  CHECK(decision.matched[0].defects.find("effect") != std::string_view::npos);
  CHECK(book.effect({.action = "pull"}) == Effect::require_approval);
  Book none;
  none.rules.push_back({"r", {{unreadable_rule("its record is damaged here"), true, false, {}, "alpha", 5}}});
  CHECK(none.effect({.action = "anything"}) == Effect::deny);
  CHECK(none.check({.action = "anything"}).matched[0].defects == "its record is damaged here");
  Book meta;
  meta.say("risk_classes", "none");
  CHECK(meta.check({.action = "push"}).risk == Risk::critical);
  CHECK(meta.set()->defects().size() == 1);
}

TEST_CASE("every version is explained") {
  Book book;
  book.add("a", rule("deny", {{"actions", one("push")}, {"resources", one("prod/*")}}))
      .add("b", rule("deny", {{"enabled", false}}))
      .add("c", nullptr)
      .add("d", rule("deny"), false);
  const auto all = book.set()->explain({.action = "push"}, {now, {}});
  REQUIRE(all.size() == 4);
  CHECK(all[0].matches == Truth::maybe);
  CHECK(all[0].why == "resources: not known");
  CHECK(all[1].why == "enabled: no match");
  CHECK(all[2].why == "removed");
  CHECK(all[3].matches == Truth::yes);
  CHECK(all[3].why.find("void") != std::string::npos);
}

// ---------------------------------------------------------------- laws

std::string some_word(test::Gen& gen) {
  const std::vector<std::string> words{"a", "b", "ab", "a/b", "*", "a*", "*b", "a/*", "*/b"};
  return gen.pick(words);
}

Map some_rule(test::Gen& gen) {
  const std::vector<std::string> effects{"allow", "notify", "require_approval", "deny"};
  const std::vector<std::string> risks_of{"low", "medium", "high", "critical"};
  Map map = rule(gen.pick(effects));
  const bool is_allow = map.at("effect") == Value("allow");
  for (const char* field : {"actions", "resources", "subjects"}) {
    const bool is_needed = is_allow && std::string_view(field) == "actions";
    if (!is_needed && gen.coin()) continue;
    Array list{some_word(gen)};
    if (gen.coin()) list.emplace_back(some_word(gen));
    map.emplace(field, std::move(list));
  }
  if (gen.one_in(4)) map.emplace("risk_min", gen.pick(risks_of));
  if (gen.one_in(4)) map.emplace("risk_max", "critical");
  if (gen.one_in(3)) map.emplace("conditions", Array{Map{{"field", "n"}, {"op", gen.coin() ? "less_than" : "exists"}, {"value", 3}}});
  if (gen.one_in(3)) map.emplace("requirement", Map{{"min_approvals", static_cast<std::int64_t>(gen.between(1, 3))}});
  if (gen.one_in(6)) map.emplace("enabled", false);
  if (gen.one_in(6)) map.emplace("expires_at_ms", now + static_cast<std::int64_t>(gen.below(2)));
  return map;
}

/// A request with what it views.
struct Request {
  std::string action, resource, subject;
  RuleRequest request;

  explicit Request(test::Gen& gen) : action(some_text(gen)), resource(some_text(gen)), subject(some_text(gen)) {
    request.action = action;
    if (gen.coin()) request.resource = resource;
    if (gen.coin()) request.subject = subject;
    if (gen.one_in(3)) request.risk = static_cast<Risk>(gen.below(risks));
    if (gen.coin()) request.context.emplace("n", static_cast<std::int64_t>(gen.below(6)));
  }

  static std::string some_text(test::Gen& gen) {
    const std::vector<std::string> texts{"a", "b", "ab", "a/b", "b/a", "", "a/b/b"};
    return gen.pick(texts);
  }
};

bool is_looser(const Decision& one, const Decision& other) {
  if (one.effect != other.effect) return one.effect < other.effect;
  return one.effect == Effect::require_approval && one.requirement.min_approvals < other.requirement.min_approvals;
}

TEST_CASE("a rule that is provably as strict makes nothing looser in the place of the other") {
  int proven = 0;
  test::forall("what is proven is so", 20'000, [&](test::Gen& gen) {
    const Map mine = some_rule(gen);
    const Map theirs = gen.one_in(3) ? mine : some_rule(gen);
    const Rule one = read_rule(mine);
    Rule changed = read_rule(theirs);
    if (gen.coin()) changed.requirement.min_approvals = 1;
    if (gen.coin()) changed.conditions.clear();
    const bool is_gone = gen.one_in(8);
    const RuleComparison found = compare(&one, is_gone ? nullptr : &changed);
    if (!found.restricts || !found.lifts_no_more) return true;
    ++proven;
    const Map other = some_rule(gen);
    for (int i = 0; i < 4; ++i) {
      const Request asked(gen);
      Book with;
      Book before;
      with.add("r", mine).add("s", other);
      before.add("r", is_gone ? Value() : Value(map_of(changed))).add("s", other);
      if (is_looser(with.check(asked.request), before.check(asked.request))) return false;
    }
    return true;
  });
  CHECK((test::environment("SEED") || proven > 10));
}

TEST_CASE("one version more beside others makes nothing looser, nor does raising the risk or saying less") {
  test::forall("more is never looser", 20'000, [](test::Gen& gen) {
    Book book;
    for (int i = 0; i < 3; ++i) {
      book.add(std::string(1, static_cast<char>('p' + i)), some_rule(gen), !gen.one_in(4));
      if (gen.one_in(3)) book.beside(gen.one_in(4) ? Value() : Value(some_rule(gen)), !gen.one_in(4));
    }
    const Request asked(gen);
    const Decision before = book.check(asked.request);
    Book more = book;
    more.beside(some_rule(gen), gen.coin());
    if (is_looser(more.check(asked.request), before)) return false;
    RuleRequest riskier = asked.request;
    riskier.risk = std::max(asked.request.risk.value_or(Risk::low), static_cast<Risk>(gen.below(risks)));
    if (is_looser(book.check(riskier), before)) return false;
    RuleRequest silent = asked.request;
    if (gen.coin()) silent.resource.reset();
    if (gen.coin()) silent.context.erase("n");
    // What asks whether a field is there is answered by its absence, too.
    const bool asks_for_presence = silent.context != asked.request.context;
    return asks_for_presence || !is_looser(book.check(silent), before);
  });
}

TEST_CASE("what the tables of patterns leave out would not have mattered") {
  test::forall("checking agrees with explaining", 10'000, [](test::Gen& gen) {
    Book book;
    for (int i = 0; i < 8; ++i) {
      book.add(std::string(1, static_cast<char>('a' + i)), some_rule(gen));
      if (gen.one_in(4)) book.beside(some_rule(gen));
    }
    const Request asked(gen);
    const Decision decision = book.check(asked.request);
    const auto set = book.set();
    std::vector<std::string> wanted;
    for (const ConsideredRule& each : set->explain(asked.request, {now, {}})) {
      if (each.matches != Truth::no) wanted.push_back(std::string(each.rule.rule) + std::string(each.rule.version));
    }
    std::vector<std::string> found;
    for (const MatchedRule& each : decision.matched) found.push_back(std::string(each.rule) + std::string(each.version));
    return wanted == found;
  });
}

// ---------------------------------------------------------------- cost

TEST_CASE("a decision over a thousand rules takes no memory from elsewhere") {
  Book book;
  for (int i = 0; i < 1'000; ++i) {
    const std::string name = "service_with_a_long_name_" + std::to_string(i);
    Map map = rule(i % 3 == 0 ? "allow" : "require_approval",
                   {{"actions", Array{"deploy/" + name, name + "*"}}, {"resources", one("prod/*")}});
    if (i % 5 == 0) map.emplace("requirement", Map{{"min_approvals", 2}, {"approver_roles", one("somebody of the security team")}});
    book.add(name, map);
  }
  book.add("watch", rule("notify", {{"resources", one("prod/*")}}));
  const auto set = book.set();
  const RuleRequest request{.action = "deploy/service_with_a_long_name_505", .resource = "prod/eu", .subject = "agent"};
  const std::uint64_t before = test::allocations();
  Decision decision;
  set->check(request, {now, {}}, decision);
  CHECK(test::allocations() == before);
  CHECK(decision.matched.size() == 2);
  CHECK(decision.effect == Effect::require_approval);
}

TEST_CASE("ten thousand rules that all match are all counted") {
  Book book;
  for (int i = 0; i < 10'000; ++i) book.add(std::to_string(i), rule(i == 7'777 ? "deny" : "notify", {{"actions", one("x*")}}));
  const Decision decision = book.check({.action = "xyz"});
  CHECK(decision.effect == Effect::deny);
  CHECK(decision.matched.size() == 10'000);
}

}  // namespace
}  // namespace loam
