#pragma once

#include <string>
#include <utility>

#include "crdt/rules/decision.hpp"

namespace loam {

/// What a request comes to, beside what it says itself.
struct MatchPlace {
  std::pair<Risk, Risk> risk;  ///< the action is of none less than the first, none greater than the second
  std::int64_t at_ms = 0;
};

/// Whether a rule is about a request: surely, not, or perhaps.
Truth matches(const Rule& rule, const RuleRequest& request, const MatchPlace& place) noexcept;

/// What of the rule does not match, or is not known; empty: all of it matches.
std::string why_not(const Rule& rule, const RuleRequest& request, const MatchPlace& place);

}  // namespace loam
