#pragma once

#include "crdt/rules/heads.hpp"
#include "crdt/rules/rule.hpp"

namespace loam {

/// What one rule, in the place of another, provably does whatever the request and the other rules are. Null: no rule. By
/// the structure of the two alone: `false` says that it is not proven, not that it is not so. One that restricts as much
/// and lifts no more never makes any answer looser.
RuleComparison compare(const Rule* rule, const Rule* other);

}  // namespace loam
