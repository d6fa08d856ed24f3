#include "crdt/rules/rule_set.hpp"

#include <algorithm>

#include "crdt/rules/match.hpp"
#include "planted.hpp"

namespace loam {
namespace {

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : "; ") + text;
  return all;
}

// Every version of a key, and the built-in value where one of them does not lift: what nobody who might has replaced.
template <class Read, class Each>
void for_values(const std::vector<MetaRegister>& meta, std::string_view key, Read&& read, Each&& each) {
  const auto at = std::find_if(meta.begin(), meta.end(), [&](const MetaRegister& one) { return one.key == key; });
  bool is_replaced = at != meta.end();
  if (at != meta.end()) {
    for (const MetaRegister::Head& head : at->heads) {
      is_replaced = is_replaced && head.lifts;
      each(read(head.value ? &*head.value : nullptr));
    }
  }
  if (!is_replaced) each(read(nullptr));
}

void add_once(SmallList<std::string_view, 8>& list, std::string_view text) {
  if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
}

void require(RequiredApproval& all, const Requirement& requirement) {
  all.min_approvals = std::max(all.min_approvals, requirement.min_approvals);
  all.distinct_from_requester = all.distinct_from_requester || requirement.distinct_from_requester;
  for (const std::string& role : requirement.approver_roles) add_once(all.approver_roles, role);
  for (const std::string& what : requirement.requires_all) add_once(all.requires_all, what);
}

void clear(Decision& decision) {
  decision.effect = Effect::deny;
  decision.requirement.min_approvals = 0;
  decision.requirement.distinct_from_requester = false;
  decision.requirement.approver_roles.clear();
  decision.requirement.requires_all.clear();
  decision.matched.clear();
  decision.conflicts.clear();
  decision.risk = Risk::critical;
  decision.defaulted = true;
  decision.age_ms = 0;
  decision.stale = false;
  decision.reason.clear();
}

}  // namespace

std::string version_text(const Dot& dot) { return dot.actor.text() + ":" + std::to_string(dot.counter); }

RuleSet::RuleSet(std::vector<RuleRegister> registers, std::vector<MetaRegister> meta, std::string digest)
    : registers_(std::move(registers)), meta_(std::move(meta)), digest_(std::move(digest)) {
  compile();
  read_meta();
}

void RuleSet::compile() {
  for (std::size_t i = 0; i < registers_.size(); ++i) {
    const auto number = static_cast<std::uint32_t>(i);
    std::vector<Texts>& texts = texts_.emplace_back();
    bool is_removed = true;
    bool has_actions = true;
    bool has_resources = true;
    for (const RuleVersionInForce& head : registers_[i].heads) {
      texts.push_back({version_text(head.dot), head.rule ? joined(head.rule->defects) : std::string()});
      if (!head.rule) continue;
      is_removed = false;
      has_actions = has_actions && head.rule->actions;
      has_resources = has_resources && head.rule->resources;
    }
    if (is_removed) continue;
    if (!has_actions && !has_resources) {
      always_.push_back(number);
      continue;
    }
    for (const RuleVersionInForce& head : registers_[i].heads) {
      if (!head.rule) continue;
      for (const Glob& glob : has_actions ? *head.rule->actions : *head.rule->resources) {
        (has_actions ? actions_ : resources_).add(glob, number);
      }
    }
  }
  actions_.seal();
  resources_.seal();
}

void RuleSet::read_meta() {
  for_values(
      meta_, meta_key::risk_classes, [&](const Value* value) { return read_risk_classes(value, defects_); },
      [&](RiskClasses classes) { risk_classes_.push_back(std::move(classes)); });
  Defaults strictest;
  strictest.effects.fill(Effect::allow);
  for_values(
      meta_, meta_key::defaults, [&](const Value* value) { return read_defaults(value, defects_); },
      [&](const Defaults& defaults) {
        for (std::size_t i = 0; i < risks; ++i) strictest.effects[i] = std::max(strictest.effects[i], defaults.effects[i]);
      });
  defaults_ = strictest;
  for_values(
      meta_, meta_key::max_rule_age_ms, [&](const Value* value) { return read_rule_ages(value, defects_); },
      [&](const RuleAges& ages) {
        for (std::size_t i = 0; i < risks; ++i) ages_.ms[i] = std::min(ages_.ms[i], ages.ms[i]);
      });
}

const RuleRegister* RuleSet::find(std::string_view id) const noexcept {
  const auto at = std::lower_bound(registers_.begin(), registers_.end(), id,
                                   [](const RuleRegister& one, std::string_view wanted) { return one.id < wanted; });
  return at != registers_.end() && at->id == id ? &*at : nullptr;
}

std::pair<Risk, Risk> RuleSet::risk_of(std::string_view action) const noexcept {
  std::pair<Risk, Risk> all{Risk::critical, Risk::low};
  for (const RiskClasses& classes : risk_classes_) {
    const Risk risk = classes.of(action);
    all = {std::min(all.first, risk), std::max(all.second, risk)};
  }
  return all;
}

MatchedRule RuleSet::matched(std::size_t place, std::size_t head) const {
  const RuleVersionInForce& version = registers_[place].heads[head];
  const Texts& texts = texts_[place][head];
  MatchedRule rule{.rule = registers_[place].id, .version = texts.version, .author = version.author};
  if (!version.rule) return rule;
  rule.effect = version.rule->effect;
  rule.reason = version.rule->reason;
  rule.defects = texts.defects;
  return rule;
}

// Takes the versions of one rule that may match into the decision. Whether it lifts the default: every version in
// force would.
bool RuleSet::weigh(std::size_t place, const RuleRequest& request, std::int64_t at_ms, std::pair<Risk, Risk> risk,
                    Decision& into) const {
  const RuleRegister& rule = registers_[place];
  bool lifts = !planted(Bug::any_version_lifts);
  bool is_matched = false;
  for (std::size_t i = 0; i < rule.heads.size(); ++i) {
    const RuleVersionInForce& head = rule.heads[i];
    const Truth truth = head.rule ? matches(*head.rule, request, {risk, at_ms}) : Truth::no;
    const bool would = truth == Truth::yes && head.lifts && head.rule->lifts();
    lifts = planted(Bug::any_version_lifts) ? lifts || would : lifts && would;
    if (truth == Truth::no) continue;
    is_matched = true;
    MatchedRule match = matched(place, i);
    match.is_sure = truth == Truth::yes;
    into.matched.push_back(match);
    into.effect = std::max(into.effect, head.rule->effect);
    if (head.rule->effect == Effect::require_approval) require(into.requirement, head.rule->requirement);
  }
  if (is_matched && rule.heads.size() > 1) into.conflicts.push_back(rule.id);
  return lifts;
}

void RuleSet::decide(const RuleRequest& request, const RuleTime& time, Decision& into) const {
  const std::int64_t at_ms = request.at_ms.value_or(time.now_ms);
  std::pair<Risk, Risk> risk = risk_of(request.action);
  risk.second = std::max(risk.second, request.risk.value_or(risk.second));
  RuleNumbers candidates;
  actions_.find(request.action, candidates);
  request.resource ? resources_.find(*request.resource, candidates) : resources_.all(candidates);
  std::sort(candidates.begin(), candidates.end());
  candidates.shorten(static_cast<std::size_t>(std::unique(candidates.begin(), candidates.end()) - candidates.begin()));
  into.effect = Effect::allow;
  bool is_lifted = false;
  // Both lists ascend: what is matched is told by rule.
  auto always = always_.begin();
  for (const std::uint32_t place : candidates) {
    for (; always != always_.end() && *always < place; ++always) {
      is_lifted = weigh(*always, request, at_ms, risk, into) || is_lifted;
    }
    is_lifted = weigh(place, request, at_ms, risk, into) || is_lifted;
  }
  for (; always != always_.end(); ++always) is_lifted = weigh(*always, request, at_ms, risk, into) || is_lifted;

  const Effect otherwise = defaults_.of(risk.second);
  into.defaulted = !is_lifted && (into.matched.empty() || otherwise > into.effect);
  if (!is_lifted) into.effect = std::max(into.effect, otherwise);
  into.risk = risk.second;
  into.age_ms = time.heard_ms ? std::max<std::int64_t>(0, time.now_ms - *time.heard_ms) : 0;
  into.stale = into.age_ms > ages_.of(risk.second);
  if (into.stale) into.effect = stricter(into.effect);
  if (into.effect == Effect::require_approval) require(into.requirement, {});
}

void RuleSet::check(const RuleRequest& request, const RuleTime& time, Decision& into) const noexcept {
  clear(into);
  into.rules_digest = digest_;
  try {
    decide(request, time, into);
  } catch (...) {
    into.effect = Effect::deny;
    into.reason = "internal error";  // short enough to need no memory, which is what there may be none of
  }
}

std::vector<ConsideredRule> RuleSet::explain(const RuleRequest& request, const RuleTime& time) const {
  std::pair<Risk, Risk> risk = risk_of(request.action);
  risk.second = std::max(risk.second, request.risk.value_or(risk.second));
  const MatchPlace place{risk, request.at_ms.value_or(time.now_ms)};
  std::vector<ConsideredRule> all;
  for (std::size_t i = 0; i < registers_.size(); ++i) {
    for (std::size_t k = 0; k < registers_[i].heads.size(); ++k) {
      const RuleVersionInForce& head = registers_[i].heads[k];
      ConsideredRule& one = all.emplace_back(ConsideredRule{.rule = matched(i, k), .matches = Truth::no, .why = "removed"});
      if (!head.rule) continue;
      one.matches = matches(*head.rule, request, place);
      one.rule.is_sure = one.matches == Truth::yes;
      one.why = why_not(*head.rule, request, place);
      if (head.is_void) one.why += std::string(one.why.empty() ? "" : "; ") + "void: it can only restrict";
    }
  }
  return all;
}

}  // namespace loam
