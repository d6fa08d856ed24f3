// Which versions of a rule are in force: every small history, in every order, against the definition.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "crdt/rules/heads.hpp"
#include "crdt/rules/restriction.hpp"
#include "crdt/rules/rule_set.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/forall.hpp"

namespace loam {
namespace {

// ---------------------------------------------------------------- small worlds

/// What a version says, of the actions a and b; others it is not about.
enum class Says : std::uint8_t { removed, allow_a, notify_a, ask_a, ask_two_a, ask_all, deny_a };
constexpr std::array all_says{Says::removed, Says::allow_a, Says::notify_a, Says::ask_a,
                              Says::ask_two_a, Says::ask_all, Says::deny_a};

/// One version of a small history: who wrote it, and which of those before it that had seen.
struct Version {
  Says says = Says::removed;
  bool may_loosen = false;
  std::uint32_t seen = 0;  // bits
};

std::optional<Rule> rule_of(Says says) {
  Rule rule;
  rule.actions = std::vector{*Glob::parse("a")};
  switch (says) {
    case Says::removed: return std::nullopt;
    case Says::allow_a: rule.effect = Effect::allow; break;
    case Says::notify_a: rule.effect = Effect::notify; break;
    case Says::ask_a: rule.effect = Effect::require_approval; break;
    case Says::ask_two_a:
      rule.effect = Effect::require_approval;
      rule.requirement.min_approvals = 2;
      break;
    case Says::ask_all:
      rule.effect = Effect::require_approval;
      rule.actions.reset();
      break;
    case Says::deny_a: break;
  }
  return rule;
}

// ---------------------------------------------------------------- the definition, written anew

/// What something says of one action: how it restricts, and whether it lifts the default.
struct Word {
  int effect = 0;  // 0 allow, 1 notify, 2 approval, 3 deny
  int approvals = 0;
  bool lifts = false;
};

Word word_of(Says says, char action) {
  if (says == Says::ask_all) return {2, 1, false};
  if (action != 'a') return {};
  switch (says) {
    case Says::allow_a: return {0, 0, true};
    case Says::notify_a: return {1, 0, true};
    case Says::ask_a: return {2, 1, false};
    case Says::ask_two_a: return {2, 2, false};
    case Says::deny_a: return {3, 0, false};
    default: return {};
  }
}

// Whether one never restricts less than another, whatever is asked, and never lifts more.
RuleComparison compared(Says says, Says other) {
  RuleComparison found{true, true};
  for (const char action : {'a', 'b'}) {
    const Word mine = word_of(says, action);
    const Word theirs = word_of(other, action);
    const bool asks_less = mine.effect == 2 && theirs.effect == 2 && mine.approvals < theirs.approvals;
    if (mine.effect < theirs.effect || asks_less) found.restricts = false;
    if (mine.lifts && !theirs.lifts) found.lifts_no_more = false;
  }
  return found;
}

struct OracleHead {
  std::size_t version;
  bool lifts;
  bool operator==(const OracleHead&) const = default;
};

class Oracle {
 public:
  explicit Oracle(const std::vector<Version>& versions) : versions_(versions) {}

  std::vector<OracleHead> heads() const {
    std::vector<OracleHead> heads;
    for (std::size_t i = 0; i < versions_.size(); ++i) {
      bool is_displaced = false;
      for (std::size_t k = 0; k < versions_.size(); ++k) is_displaced = is_displaced || displaces(k, i);
      if (!is_displaced) heads.push_back({i, lifts(i)});
    }
    return heads;
  }

  // What all together say: the strictest, and the default of "approval" unless every head lifts it.
  Word decision(char action) const {
    Word all{0, 0, true};
    for (const OracleHead& head : heads()) {
      const Word word = word_of(versions_[head.version].says, action);
      all.effect = std::max(all.effect, word.effect);
      all.approvals = std::max(all.approvals, word.approvals);
      all.lifts = all.lifts && head.lifts && word.lifts;
    }
    if (heads().empty()) all.lifts = false;
    if (!all.lifts) {
      all.effect = std::max(all.effect, 2);
      all.approvals = std::max(all.approvals, 1);
    }
    return all;
  }

 private:
  bool has_seen(std::size_t version, std::size_t other) const {
    for (std::size_t k = 0; k < version; ++k) {
      if ((versions_[version].seen >> k & 1) != 0 && (k == other || has_seen(k, other))) return true;
    }
    return false;
  }

  bool displaces(std::size_t version, std::size_t other) const {
    return has_seen(version, other) &&
           (versions_[version].may_loosen || compared(versions_[version].says, versions_[other].says).restricts);
  }

  // Whether nothing that a version had seen displaces another.
  bool was_in_force(std::size_t version, std::size_t other) const {
    if (!has_seen(version, other)) return false;
    for (std::size_t k = 0; k < version; ++k) {
      if (has_seen(version, k) && displaces(k, other)) return false;
    }
    return true;
  }

  bool lifts(std::size_t version) const {
    if (versions_[version].may_loosen) return true;
    bool is_heir = false;
    for (std::size_t other = 0; other < version; ++other) {
      if (!was_in_force(version, other)) continue;
      const RuleComparison found = compared(versions_[version].says, versions_[other].says);
      if (!lifts(other) || !found.restricts || !found.lifts_no_more) return false;
      is_heir = true;
    }
    return is_heir;
  }

  const std::vector<Version>& versions_;
};

// ---------------------------------------------------------------- the product

Dot dot_of(std::size_t version) { return {ActorId{{std::byte(1 + version)}}, 1}; }
ContentHash content_of(std::size_t version) { return ContentHash{{std::byte(101 + version)}}; }

std::vector<RuleVersion> product_versions(const std::vector<Version>& versions) {
  std::vector<RuleVersion> made;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    // Clocks say nothing: the later has the lesser stamp.
    RuleVersion version{dot_of(i), content_of(i), Hlc{100 - i}, {}, versions[i].may_loosen};
    for (std::size_t k = 0; k < i; ++k) {
      if ((versions[i].seen >> k & 1) != 0) version.seen.push_back({dot_of(k), content_of(k)});
    }
    made.push_back(std::move(version));
  }
  return made;
}

std::vector<OracleHead> product_heads(const std::vector<Version>& versions, const std::vector<RuleVersion>& made,
                                      const std::vector<std::size_t>& order,
                                      const std::vector<std::optional<Rule>>& rules) {
  std::vector<RuleVersion> given;
  for (const std::size_t place : order) given.push_back(made[place]);
  const auto rule = [&](std::size_t place) {
    const auto& found = rules[static_cast<std::size_t>(versions[order[place]].says)];
    return found ? &*found : nullptr;
  };
  const auto heads = heads_of(given, [&](std::size_t version, std::size_t other) {
    return compare(rule(version), rule(other));
  });
  std::vector<OracleHead> found;
  for (const RuleHead& head : heads) found.push_back({order[head.version], head.lifts});
  CHECK(std::is_sorted(heads.begin(), heads.end(), [&](const RuleHead& left, const RuleHead& right) {
    return given[right.version].stamp < given[left.version].stamp;
  }));
  std::sort(found.begin(), found.end(), [](const OracleHead& a, const OracleHead& b) { return a.version < b.version; });
  return found;
}

std::vector<std::optional<Rule>> all_rules() {
  std::vector<std::optional<Rule>> rules;
  for (const Says says : all_says) rules.push_back(rule_of(says));
  return rules;
}

std::shared_ptr<const RuleSet> rule_set(const std::vector<Version>& versions, const std::vector<OracleHead>& heads) {
  RuleRegister rule{"r", {}};
  for (const OracleHead& head : heads) {
    rule.heads.push_back({rule_of(versions[head.version].says), head.lifts, false, dot_of(head.version), "author", 0});
  }
  return std::make_shared<const RuleSet>(std::vector{rule}, std::vector<MetaRegister>{}, std::string(32, '0'));
}

Word product_decision(const std::vector<Version>& versions, const std::vector<OracleHead>& heads, char action) {
  Decision decision;
  const std::string text(1, action);
  rule_set(versions, heads)->check({.action = text}, {}, decision);
  return {static_cast<int>(decision.effect),
          decision.effect == Effect::require_approval ? static_cast<int>(decision.requirement.min_approvals) : 0, false};
}

bool is_looser(const Word& word, const Word& other) {
  return word.effect < other.effect || (word.effect == 2 && other.effect == 2 && word.approvals < other.approvals);
}

// Every history of that many versions, of some sayings: who may loosen, and who has seen what.
template <class Each>
void for_every_history(std::size_t size, const std::vector<Says>& says, Each&& each) {
  std::vector<Version> versions(size);
  const auto fill = [&](const auto& self, std::size_t at) -> void {
    if (at == size) return each(versions);
    for (const Says one : says) {
      for (const bool may_loosen : {false, true}) {
        for (std::uint32_t seen = 0; seen < (1U << at); ++seen) {
          versions[at] = {one, may_loosen, seen};
          self(self, at + 1);
        }
      }
    }
  };
  fill(fill, 0);
}

std::vector<std::size_t> order_of(std::size_t size, std::size_t number) {
  std::vector<std::size_t> order(size);
  std::iota(order.begin(), order.end(), 0);
  for (; number > 0; --number) std::next_permutation(order.begin(), order.end());
  return order;
}

void check_history(const std::vector<Version>& versions, const std::vector<std::size_t>& order,
                   const std::vector<std::optional<Rule>>& rules) {
  const auto wanted = Oracle(versions).heads();
  if (product_heads(versions, product_versions(versions), order, rules) == wanted) return;
  for (const Version& version : versions) {
    MESSAGE("says " << static_cast<int>(version.says) << ", may loosen " << version.may_loosen << ", seen " << version.seen);
  }
  FAIL("other versions are in force than by the definition");
}

// ---------------------------------------------------------------- tests

TEST_CASE("one rule is as strict as another exactly where the small worlds say so") {
  const auto rules = all_rules();
  for (const Says says : all_says) {
    for (const Says other : all_says) {
      CAPTURE(static_cast<int>(says));
      CAPTURE(static_cast<int>(other));
      const auto& mine = rules[static_cast<std::size_t>(says)];
      const auto& theirs = rules[static_cast<std::size_t>(other)];
      const RuleComparison found = compare(mine ? &*mine : nullptr, theirs ? &*theirs : nullptr);
      CHECK(found.restricts == compared(says, other).restricts);
      CHECK(found.lifts_no_more == compared(says, other).lifts_no_more);
    }
  }
}

TEST_CASE("the versions in force are those of the definition, in all histories of up to three in all orders") {
  const auto rules = all_rules();
  const std::vector<Says> says(all_says.begin(), all_says.end());
  for (std::size_t size = 0; size <= 3; ++size) {
    std::size_t orders = 1;
    for (std::size_t i = 2; i <= size; ++i) orders *= i;
    for_every_history(size, says, [&](const std::vector<Version>& versions) {
      for (std::size_t order = 0; order < orders; ++order) check_history(versions, order_of(size, order), rules);
    });
  }
}

TEST_CASE("the versions in force are those of the definition, in all histories of four") {
  // Each in one of the 24 orders, in turn; RUNS_FACTOR=24 and more tries all orders of each.
  const auto rules = all_rules();
  const long long orders = std::clamp(test::scaled(1), 1LL, 24LL);
  std::size_t number = 0;
  for_every_history(4, {Says::removed, Says::notify_a, Says::ask_a, Says::ask_two_a}, [&](const auto& versions) {
    ++number;
    if (test::scaled(100) < 100 && number % 16 != 0) return;  // a slow build
    for (long long i = 0; i < orders; ++i) {
      check_history(versions, order_of(4, (number + static_cast<std::size_t>(i)) % 24), rules);
    }
  });
}

TEST_CASE("no version that comes in beside others makes an answer looser, nor does a lost right") {
  for (std::size_t size = 1; size <= 3; ++size) {
    const std::vector<Says> says = size < 3 ? std::vector<Says>(all_says.begin(), all_says.end())
                                            : std::vector{Says::removed, Says::notify_a, Says::ask_a, Says::ask_two_a};
    for_every_history(size, says, [&](const std::vector<Version>& versions) {
      const auto heads = Oracle(versions).heads();
      for (const char action : {'a', 'b'}) {
        const Word with = product_decision(versions, heads, action);
        const Word wanted = Oracle(versions).decision(action);
        REQUIRE(with.effect == wanted.effect);
        REQUIRE((wanted.effect != 2 || with.approvals == wanted.approvals));
        const bool is_beside = size > 1 && versions.back().seen == 0;
        const bool is_without_right = size > 1 && !versions.back().may_loosen;
        std::vector<Version> before(versions.begin(), versions.end() - 1);
        if (is_beside || is_without_right) {
          std::string told;
          for (const Version& each : versions) {
            told += std::to_string(static_cast<int>(each.says)) + (each.may_loosen ? "l" : "-") + std::to_string(each.seen) + " ";
          }
          CAPTURE(told);
          CAPTURE(action);
          REQUIRE(!is_looser(with, product_decision(before, Oracle(before).heads(), action)));
        }
        for (std::size_t i = 0; i < size; ++i) {
          std::vector<Version> later = versions;
          later[i].may_loosen = false;
          REQUIRE(!is_looser(product_decision(later, Oracle(later).heads(), action), with));
        }
      }
    });
  }
}

TEST_CASE("who says to have seen what was not there yet has not") {
  // A governor who may loosen claims the next dots of another, or the right dots with other contents.
  std::vector<RuleVersion> versions(2);
  versions[0] = {dot_of(0), content_of(0), Hlc{5}, {}, false};
  versions[1] = {dot_of(1), content_of(1), Hlc{9}, {{dot_of(0), content_of(7)}}, true};
  const CompareRules never = [](std::size_t, std::size_t) { return RuleComparison{}; };
  CHECK(heads_of(versions, never).size() == 2);
  versions[1].seen = {{{dot_of(0).actor, 2}, content_of(0)}};
  CHECK(heads_of(versions, never).size() == 2);
  versions[1].seen = {{dot_of(0), content_of(0)}};
  CHECK(heads_of(versions, never) == std::vector<RuleHead>{{1, true}});
}

TEST_CASE("a circle of claims ends, and nothing is displaced by itself") {
  std::vector<RuleVersion> versions(3);
  for (std::size_t i = 0; i < 3; ++i) {
    versions[i] = {dot_of(i), content_of(i), Hlc{i}, {{dot_of((i + 1) % 3), content_of((i + 1) % 3)}}, true};
  }
  versions[0].seen.push_back({dot_of(0), content_of(0)});
  const auto heads = heads_of(versions, [](std::size_t, std::size_t) { return RuleComparison{true, true}; });
  CHECK(heads.size() == 1);
}

TEST_CASE("a history of ten thousand versions has one head") {
  std::vector<RuleVersion> versions;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    RuleVersion version{{ActorId{}, i + 1}, ContentHash{{std::byte(i), std::byte(i >> 8)}}, Hlc{i}, {}, true};
    if (i > 0) version.seen.push_back({versions.back().dot, versions.back().content});
    versions.push_back(std::move(version));
  }
  CHECK(heads_of(versions, [](std::size_t, std::size_t) { return RuleComparison{}; }) == std::vector<RuleHead>{{9'999, true}});
}

TEST_CASE("an assignment is read as it was written, and nothing else is one") {
  const RuleAssignment assignment{Value(Map{{"effect", "deny"}}), {{dot_of(3), content_of(4)}}, 77};
  CHECK(decode_rule_assignment(encode(assignment)) == assignment);
  const RuleAssignment removal{std::nullopt, {}, 1};
  CHECK(decode_rule_assignment(encode(removal)) == removal);
  const RuleAssignment nil{Value(), {}, 1};
  CHECK(decode_rule_assignment(encode(nil)) == nil);
  RuleAssignment large{std::nullopt, std::vector<SeenAssignment>(seen_assignments_max), 0};
  CHECK(decode_rule_assignment(encode(large)) == large);
  large.seen.emplace_back();
  CHECK(test::error_of([&] { encode(large); }) == ErrorCode::limit);
  CHECK(!decode_rule_assignment({}));
  Bytes octets = encode(assignment);
  octets.pop_back();
  CHECK(!decode_rule_assignment(octets));
}

}  // namespace
}  // namespace loam
