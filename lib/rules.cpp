#include "lib/rules.hpp"

#include <algorithm>
#include <map>

namespace loam {
namespace {

using Versions = std::map<std::string, std::vector<Map>>;

Map version_map(const Dot& dot, const std::string& author, std::int64_t at_ms, bool is_void) {
  return {{"version", version_text(dot)}, {"author", author}, {"at_ms", at_ms}, {"void", is_void}};
}

Versions versions_of(const RuleSet& set) {
  Versions all;
  for (const RuleRegister& rule : set.registers()) {
    for (const RuleVersionInForce& head : rule.heads) {
      Map map = version_map(head.dot, head.author, head.at_ms, head.is_void);
      map.emplace("rule", head.rule ? Value(map_of(*head.rule)) : Value());
      all[rule.id].push_back(std::move(map));
    }
  }
  for (const MetaRegister& meta : set.meta()) {
    for (const MetaRegister::Head& head : meta.heads) {
      Map map = version_map(head.dot, head.author, head.at_ms, head.is_void);
      map.emplace("value", head.value.value_or(Value()));
      all["governance_meta/" + meta.key].push_back(std::move(map));
    }
  }
  return all;
}

}  // namespace

RuleTime Rules::time() const { return {(*now_ms_)(), heard_ms_}; }

Decision Rules::check(const RuleRequest& request) const {
  Decision decision;
  check(request, decision);
  return decision;
}

void Rules::check(const RuleRequest& request, Decision& into) const noexcept {
  set_->check(request, time(), into);
  into.snapshot = set_;
}

std::vector<ConsideredRule> Rules::explain(const RuleRequest& request) const { return set_->explain(request, time()); }

std::vector<std::string> Rules::conflicts() const {
  std::vector<std::string> ids;
  for (const RuleRegister& rule : set_->registers()) {
    if (rule.heads.size() > 1) ids.push_back(rule.id);
  }
  for (const MetaRegister& meta : set_->meta()) {
    if (meta.heads.size() > 1) ids.push_back("governance_meta/" + meta.key);
  }
  return ids;
}

std::vector<RuleDifference> Rules::since(const Rules& other) const {
  Versions after = versions_of(*set_);
  std::vector<RuleDifference> differences;
  for (auto& [id, before] : versions_of(*other.set_)) {
    auto now = after.extract(id);
    std::vector<Map> versions = now.empty() ? std::vector<Map>() : std::move(now.mapped());
    if (versions != before) differences.push_back({id, before, std::move(versions)});
  }
  for (auto& [id, versions] : after) differences.push_back({id, {}, std::move(versions)});
  std::sort(differences.begin(), differences.end(),
            [](const RuleDifference& left, const RuleDifference& right) { return left.id < right.id; });
  return differences;
}

}  // namespace loam
