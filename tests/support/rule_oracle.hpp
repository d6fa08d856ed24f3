#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "crdt/codec.hpp"
#include "crdt/record.hpp"
#include "crdt/rules/heads.hpp"

namespace test {

/// Which versions of a rule are in force, and what they say, by the definition (crdt/rules/heads.hpp and
/// docs/GOVERNANCE.md), of rules of one shape: {"effect", "actions": ["a"] or none, "requirement": {"min_approvals"}}.
/// Whatever else is stored denies everything. Of other registers only equal values are as strict as one another. Shares
/// no code with what it judges but the form of an assignment.
class RuleOracle {
 public:
  struct Version {
    loam::InstanceId author;
    std::uint64_t stamp = 0;
    loam::ContentHash content;
    std::optional<loam::Value> value;
    std::vector<loam::SeenAssignment> seen;
    bool may_loosen = false;
  };

  /// What something says of one action.
  struct Word {
    int effect = 0;  ///< 0 allow, 1 notify, 2 approval, 3 deny
    std::int64_t approvals = 0;
    bool lifts = false;
  };

  RuleOracle(bool are_rules, std::map<loam::Dot, Version> versions)
      : are_rules_(are_rules), versions_(std::move(versions)) {
    for (const auto& [dot, version] : versions_) (void)seen_by(dot);
  }

  const Version& at(const loam::Dot& dot) const { return versions_.at(dot); }

  /// Of all, or of what a version had seen.
  std::set<loam::Dot> heads() const { return heads_among(all()); }

  std::optional<loam::Dot> winner() const {
    std::optional<loam::Dot> winner;
    for (const loam::Dot& dot : heads()) {
      if (!winner || std::pair(at(*winner).stamp, *winner) < std::pair(at(dot).stamp, dot)) winner = dot;
    }
    return winner;
  }

  bool has_value() const {
    const auto dot = winner();
    return dot && at(*dot).value;
  }

  bool lifts(const loam::Dot& dot) const {
    if (at(dot).may_loosen) return true;
    const auto before = heads_among(seen_by(dot));
    return !before.empty() && std::all_of(before.begin(), before.end(), [&](const loam::Dot& other) {
      return lifts(other) && restricts(at(dot).value, at(other).value) && lifts_no_more(at(dot).value, at(other).value);
    });
  }

  /// Whether a version that has seen all that is in force, and may not loosen, would be as strict.
  bool would_be_as_strict(const std::optional<loam::Value>& value) const {
    const auto now = heads();
    for (const loam::Dot& dot : now) {
      if (!restricts(value, at(dot).value) || !lifts_no_more(value, at(dot).value)) return false;
    }
    const bool is_new = std::none_of(now.begin(), now.end(), [&](const loam::Dot& dot) { return lifts(dot); });
    if (!is_new) return true;
    return are_rules_ ? !word_of(value, 'a').lifts && !word_of(value, 'b').lifts : restricts(value, std::nullopt);
  }

  /// Both together where they match, beside a default of approval.
  Word decision(char action) const {
    Word all{0, 0, true};
    const auto now = heads();
    for (const loam::Dot& dot : now) {
      const Word word = word_of(at(dot).value, action);
      all.effect = std::max(all.effect, word.effect);
      all.approvals = std::max(all.approvals, word.approvals);
      all.lifts = all.lifts && word.lifts && lifts(dot);
    }
    all.lifts = all.lifts && !now.empty();
    if (!all.lifts) {
      all.effect = std::max(all.effect, 2);
      all.approvals = std::max<std::int64_t>(all.approvals, 1);
    }
    return all;
  }

 private:
  using Dots = std::set<loam::Dot>;

  Dots all() const {
    Dots dots;
    for (const auto& [dot, version] : versions_) dots.insert(dot);
    return dots;
  }

  const Dots& seen_by(const loam::Dot& dot) const {
    const auto [place, is_new] = seen_.try_emplace(dot);
    if (!is_new) return place->second;
    Dots seen;
    for (const loam::SeenAssignment& link : at(dot).seen) {
      const auto other = versions_.find(link.dot);
      if (other == versions_.end() || other->second.content != link.content || link.dot == dot) continue;
      seen.insert(link.dot);
      const Dots& before = seen_by(link.dot);
      seen.insert(before.begin(), before.end());
    }
    return seen_[dot] = std::move(seen);
  }

  bool displaces(const loam::Dot& dot, const loam::Dot& other) const {
    return seen_by(dot).contains(other) && (at(dot).may_loosen || restricts(at(dot).value, at(other).value));
  }

  Dots heads_among(const Dots& dots) const {
    Dots heads;
    for (const loam::Dot& dot : dots) {
      if (std::none_of(dots.begin(), dots.end(), [&](const loam::Dot& other) { return displaces(other, dot); })) {
        heads.insert(dot);
      }
    }
    return heads;
  }

  static Word word_of(const std::optional<loam::Value>& value, char action) {
    if (!value) return {};
    const Word deny{3, 0, false};
    const auto* map = value->get<loam::Map>();
    if (map == nullptr) return deny;
    const std::vector<std::string> effects{"allow", "notify", "require_approval", "deny"};
    const auto effect = std::find(effects.begin(), effects.end(), loam::text_at(*map, "effect"));
    if (effect == effects.end()) return deny;
    const auto* actions = loam::find(*map, "actions");
    if (actions != nullptr && actions->get<loam::Array>()->at(0) != loam::Value(std::string(1, action))) return {};
    Word word{static_cast<int>(effect - effects.begin()), 0, false};
    word.lifts = word.effect < 2 && actions != nullptr;
    if (word.effect == 2) {
      const auto* requirement = loam::find(*map, "requirement");
      word.approvals = requirement == nullptr ? 1 : *requirement->find("min_approvals")->get<std::int64_t>();
    }
    return word;
  }

  bool restricts(const std::optional<loam::Value>& value, const std::optional<loam::Value>& other) const {
    if (!are_rules_) return value == other;
    return std::all_of(actions_.begin(), actions_.end(), [&](char action) {
      const Word mine = word_of(value, action);
      const Word theirs = word_of(other, action);
      if (mine.effect == 2 && theirs.effect == 2 && mine.approvals < theirs.approvals) return false;
      return mine.effect >= theirs.effect;
    });
  }

  bool lifts_no_more(const std::optional<loam::Value>& value, const std::optional<loam::Value>& other) const {
    if (!are_rules_) return value == other;
    return std::all_of(actions_.begin(), actions_.end(),
                       [&](char action) { return !word_of(value, action).lifts || word_of(other, action).lifts; });
  }

  inline static const std::string actions_ = "abc";
  bool are_rules_;
  std::map<loam::Dot, Version> versions_;
  mutable std::map<loam::Dot, Dots> seen_;
};

}  // namespace test
