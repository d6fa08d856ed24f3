#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/rules/rule_set.hpp"

namespace loam {

/// What two states of the rules differ in.
struct RuleDifference {
  std::string id;                ///< of a rule, or `governance_meta/KEY`
  std::vector<Map> before;       ///< its versions in force, the LWW winner first; empty: there was none
  std::vector<Map> after;
};

/// The approval rules in force, as of one moment: an immutable snapshot, also when it outlives the Memory that gave it.
/// Any thread.
class Rules {
 public:
  /// `heard_ms`: as in RuleTime.
  Rules(std::shared_ptr<const RuleSet> set, std::optional<std::int64_t> heard_ms,
        std::shared_ptr<const std::function<std::int64_t()>> now_ms)
      : set_(std::move(set)), heard_ms_(heard_ms), now_ms_(std::move(now_ms)) {}

  /// What the rules say (RuleSet::check). Never throws: what goes wrong is a `deny`. The second takes no memory from
  /// elsewhere once `into` has been used for as many.
  Decision check(const RuleRequest& request) const;
  void check(const RuleRequest& request, Decision& into) const noexcept;

  /// Every version of every rule, and why it matches or not.
  std::vector<ConsideredRule> explain(const RuleRequest& request) const;

  /// Rules, and keys of `governance_meta` as `governance_meta/KEY`, of which several versions are in force.
  std::vector<std::string> conflicts() const;

  /// What this state has that another had not, and the reverse.
  std::vector<RuleDifference> since(const Rules& other) const;

  /// Other rules at the same time: for trying them.
  Rules with(std::shared_ptr<const RuleSet> set) const { return Rules(std::move(set), heard_ms_, now_ms_); }

  /// The same rules, as of a majority of the voters now: of no age yet.
  Rules heard_now() const { return Rules(set_, heard_ms_ ? std::optional((*now_ms_)()) : std::nullopt, now_ms_); }

  const std::string& digest() const noexcept { return set_->digest(); }
  const RuleSet& set() const noexcept { return *set_; }

 private:
  RuleTime time() const;

  std::shared_ptr<const RuleSet> set_;
  std::optional<std::int64_t> heard_ms_;
  std::shared_ptr<const std::function<std::int64_t()>> now_ms_;
};

}  // namespace loam
