#pragma once

#include <memory>
#include <string>
#include <vector>

#include "crdt/dot.hpp"
#include "crdt/rules/decision.hpp"
#include "crdt/rules/heads.hpp"
#include "crdt/rules/meta.hpp"
#include "crdt/rules/pattern_table.hpp"

namespace loam {

/// A version of a rule that is in force.
struct RuleVersionInForce {
  std::optional<Rule> rule;  ///< absent: removed
  bool lifts = false;        ///< as in `RuleHead`
  bool is_void = false;      ///< its author had no right, or has lost it: it restricts, and loosens nothing
  Dot dot;
  std::string author;
  std::int64_t at_ms = 0;
};

/// A rule: its versions in force, the LWW winner first; at least one.
struct RuleRegister {
  std::string id;
  std::vector<RuleVersionInForce> heads;
};

/// A key of `governance_meta`, alike.
struct MetaRegister {
  struct Head {
    std::optional<Value> value;
    bool lifts = false;
    bool is_void = false;
    Dot dot;
    std::string author;
    std::int64_t at_ms = 0;
  };
  std::string key;
  std::vector<Head> heads;
};

/// When a decision is made.
struct RuleTime {
  std::int64_t now_ms = 0;
  std::optional<std::int64_t> heard_ms;  ///< when the oldest of the peers that matter was heard; absent: there are none
};

/// Why one version of a rule counts or not.
struct ConsideredRule {
  MatchedRule rule;
  Truth matches = Truth::no;
  std::string why;  ///< what does not match, or is not known; empty: all matches
};

/// All rules in force: an immutable snapshot. Any thread.
class RuleSet {
 public:
  /// `registers` by id, `meta` by key.
  RuleSet(std::vector<RuleRegister> registers, std::vector<MetaRegister> meta, std::string digest);
  RuleSet(const RuleSet&) = delete;
  RuleSet& operator=(const RuleSet&) = delete;

  /// What the rules say: the strictest of all versions of all rules that may match, and where they leave it open the
  /// default of the risk, unless a rule lifts that. A rule of several versions lifts only what each of them does.
  ///
  /// Looks at every rule. Total: never throws; what goes wrong is a `deny` that says so. Takes no memory from
  /// elsewhere while at most 16 versions match, or as many as did when `into` was used before, and at most 1,024 rules
  /// have a pattern that may.
  void check(const RuleRequest& request, const RuleTime& time, Decision& into) const noexcept;

  /// Every version of every rule, and why it matches or not.
  std::vector<ConsideredRule> explain(const RuleRequest& request, const RuleTime& time) const;

  const std::vector<RuleRegister>& registers() const noexcept { return registers_; }
  const std::vector<MetaRegister>& meta() const noexcept { return meta_; }

  /// The register of a rule; null: there is none.
  const RuleRegister* find(std::string_view id) const noexcept;

  const std::string& digest() const noexcept { return digest_; }

  /// Which rules these are, whatever the rights of those who wrote them: the first 24 digits of the digest.
  std::string_view content_digest() const noexcept { return std::string_view(digest_).substr(0, 24); }

  /// The least and the greatest risk that an action is of by any version in force.
  std::pair<Risk, Risk> risk_of(std::string_view action) const noexcept;

  const Defaults& defaults() const noexcept { return defaults_; }
  const RuleAges& ages() const noexcept { return ages_; }

  /// What could not be read of `governance_meta`, in words.
  const std::vector<std::string>& defects() const noexcept { return defects_; }

 private:
  struct Texts {  // of one version, made once
    std::string version;
    std::string defects;
  };

  void compile();
  void read_meta();
  void decide(const RuleRequest& request, const RuleTime& time, Decision& into) const;
  bool weigh(std::size_t place, const RuleRequest& request, std::int64_t at_ms, std::pair<Risk, Risk> risk,
             Decision& into) const;
  MatchedRule matched(std::size_t place, std::size_t head) const;

  std::vector<RuleRegister> registers_;
  std::vector<MetaRegister> meta_;
  std::string digest_;
  std::vector<std::vector<Texts>> texts_;  ///< by register and version
  std::vector<RiskClasses> risk_classes_;  ///< of all versions in force
  Defaults defaults_;
  RuleAges ages_;
  std::vector<std::string> defects_;
  PatternTable actions_;
  PatternTable resources_;            ///< of rules without actions
  std::vector<std::uint32_t> always_;  ///< rules that neither table tells of
};

/// A dot as messages show it.
std::string version_text(const Dot& dot);

}  // namespace loam
