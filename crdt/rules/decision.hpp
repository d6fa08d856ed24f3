#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "crdt/rules/rule.hpp"
#include "crdt/small_list.hpp"

namespace loam {

/// What is asked: may this be done? What is absent is not known, so every restriction may be about it; an empty text
/// says that there is none.
struct RuleRequest {
  std::string_view action;
  std::optional<std::string_view> resource = {};
  std::optional<std::string_view> subject = {};
  std::optional<std::string_view> environment = {};
  std::optional<Risk> risk = {};         ///< raises that of the action, never lowers it
  Map context = {};                      ///< what conditions ask for
  std::optional<std::int64_t> at_ms = {};  ///< absent: now
};

/// A version of a rule that may match. Views into the snapshot that a decision keeps.
struct MatchedRule {
  std::string_view rule;
  std::string_view version;
  Effect effect = Effect::deny;
  std::string_view author;
  std::string_view reason;
  std::string_view defects;   ///< empty: all of it could be read
  bool is_sure = true;        ///< false: the request does not say enough to tell that it does not
};

/// What must be there before an action goes on; all of it (rule.hpp). Views as above.
struct RequiredApproval {
  std::uint32_t min_approvals = 0;
  SmallList<std::string_view, 8> approver_roles;
  bool distinct_from_requester = false;
  SmallList<std::string_view, 8> requires_all;
};

/// What the shared rules say of one request. A value; what it views lives as long as it does.
struct Decision {
  Effect effect = Effect::deny;
  RequiredApproval requirement;           ///< means something when the effect is `require_approval`
  SmallList<MatchedRule, 16> matched;     ///< by rule
  SmallList<std::string_view, 8> conflicts;  ///< of these, rules of which several versions are in force
  Risk risk = Risk::critical;             ///< of the action, as it was counted
  bool defaulted = true;                  ///< the effect is that of the defaults
  std::string_view rules_digest;          ///< 32 hexadecimal digits
  std::int64_t age_ms = 0;                ///< since the oldest of the peers that matter was heard
  bool stale = false;                     ///< so old that the effect is one step stricter
  std::string reason;                     ///< of a `deny` that no rule says: what went wrong
  std::shared_ptr<const void> snapshot;
};

}  // namespace loam
