#include "apps/rule_shapes.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <array>

#include "apps/text.hpp"
#include "lib/json_value.hpp"

namespace loam::cli {
namespace {

namespace json = boost::json;

json::string_view json_view(std::string_view text) { return {text.data(), text.size()}; }

template <class Texts>
json::array texts_json(const Texts& texts) {
  json::array out;
  for (const auto& text : texts) out.emplace_back(json_view(text));
  return out;
}

json::object requirement_json(const RequiredApproval& requirement) {
  return {{"min_approvals", requirement.min_approvals},
          {"approver_roles", texts_json(requirement.approver_roles)},
          {"distinct_from_requester", requirement.distinct_from_requester},
          {"requires", texts_json(requirement.requires_all)}};
}

json::object matched_shape(const MatchedRule& rule) {
  json::object out{{"rule", json_view(rule.rule)},
                   {"version", json_view(rule.version)},
                   {"effect", json_view(name_of(rule.effect))},
                   {"author", json_view(rule.author)},
                   {"reason", json_view(rule.reason)},
                   {"sure", rule.is_sure}};
  if (!rule.defects.empty()) out["defects"] = as_utf8(std::string(rule.defects));
  return out;
}

json::object head_json(const Dot& dot, const std::string& author, std::int64_t at_ms, bool is_void, bool lifts) {
  return {{"author", author}, {"at_ms", at_ms}, {"void", is_void}, {"lifts", lifts}, {"version", version_text(dot)}};
}

}  // namespace

json::object shape(const Decision& decision) {
  json::array matched;
  for (const MatchedRule& rule : decision.matched) matched.push_back(matched_shape(rule));
  const bool is_asked = decision.effect == Effect::require_approval;
  json::object out{{"effect", json_view(name_of(decision.effect))},
                   {"requirement", is_asked ? json::value(requirement_json(decision.requirement)) : json::value(nullptr)},
                   {"matched", std::move(matched)},
                   {"conflicts", texts_json(decision.conflicts)},
                   {"defaulted", decision.defaulted},
                   {"risk", json_view(name_of(decision.risk))},
                   {"rules_digest", json_view(decision.rules_digest)},
                   {"age_ms", decision.age_ms},
                   {"stale", decision.stale}};
  if (!decision.reason.empty()) out["reason"] = decision.reason;
  return out;
}

json::object shape(const ConsideredRule& rule) {
  json::object out = matched_shape(rule.rule);
  out["matches"] = json_view(truth_name(rule.matches));
  out["why"] = as_utf8(rule.why);
  return out;
}

json::value rule_value(const RuleVersionInForce& version) {
  return version.rule ? json::value(to_json(map_of(*version.rule))) : json::value(nullptr);
}

json::array versions_shape(const RuleRegister& rule) {
  json::array heads;
  for (const RuleVersionInForce& head : rule.heads) {
    json::object out = head_json(head.dot, head.author, head.at_ms, head.is_void, head.lifts);
    out["rule"] = rule_value(head);
    if (head.rule && !head.rule->defects.empty()) out["defects"] = texts_json(head.rule->defects);
    heads.push_back(std::move(out));
  }
  return heads;
}

json::array versions_shape(const MetaRegister& meta) {
  json::array heads;
  for (const MetaRegister::Head& head : meta.heads) {
    json::object out = head_json(head.dot, head.author, head.at_ms, head.is_void, head.lifts);
    out["value"] = head.value ? to_json(*head.value) : json::value(nullptr);
    heads.push_back(std::move(out));
  }
  return heads;
}

json::object listed_shape(const RuleRegister& rule) {
  const RuleVersionInForce& winner = rule.heads.front();
  json::object out{{"id", rule.id},
                   {"rule", rule_value(winner)},
                   {"author", winner.author},
                   {"at_ms", winner.at_ms},
                   {"heads", rule.heads.size()}};
  if (winner.rule && !winner.rule->defects.empty()) out["defects"] = texts_json(winner.rule->defects);
  return out;
}

json::object effective_shape(const RuleRegister& rule) {
  Effect effect = Effect::allow;
  Requirement requirement;
  bool lifts = true;
  for (const RuleVersionInForce& head : rule.heads) {
    lifts = lifts && head.lifts && head.rule && head.rule->lifts();
    if (!head.rule || !head.rule->is_enabled) continue;
    effect = std::max(effect, head.rule->effect);
    if (head.rule->effect == Effect::require_approval) requirement.join(head.rule->requirement);
  }
  return {{"effect", json_view(name_of(effect))},
          {"requirement", effect == Effect::require_approval ? json::value(to_json(map_of(requirement))) : json::value(nullptr)},
          {"lifts", lifts}};
}

std::string globs_text(const std::vector<Glob>& globs) {
  std::string text;
  for (const Glob& glob : globs) text += (text.empty() ? "" : " ") + printable(glob.text());
  return text;
}

std::string requirement_text(const RequiredApproval& requirement) {
  std::string text = std::to_string(requirement.min_approvals) + (requirement.min_approvals == 1 ? " approval" : " approvals");
  for (const std::string_view role : requirement.approver_roles) text += ", one by " + printable(role);
  if (requirement.distinct_from_requester) text += ", not by who asks";
  for (const std::string_view what : requirement.requires_all) text += ", with " + printable(what);
  return text;
}

std::string_view truth_name(Truth truth) noexcept {
  constexpr std::array<std::string_view, 3> names{"no", "maybe", "yes"};
  return names[static_cast<std::size_t>(truth)];
}

}  // namespace loam::cli
