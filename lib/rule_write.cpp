#include "lib/rule_write.hpp"

#include <sodium.h>

#include <algorithm>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "crdt/rules/meta.hpp"

namespace loam {
namespace {

bool lifts(const StoredRule& rule, bool is_rule) { return !is_rule || (rule.rule && rule.rule->lifts()); }

// Classes that rise do not take the place of others, but stand beside them: the greatest counts.
bool only_raises_risks(std::string_view key, const StoredRule& made, const StoredRule& other) {
  if (key != meta_key::risk_classes || !made.value) return false;
  std::vector<std::string> unused;
  const RiskClasses mine = read_risk_classes(&*made.value, unused);
  const RiskClasses theirs = read_risk_classes(other.value ? &*other.value : nullptr, unused);
  const auto is_as_high = [&](const auto& each) { return mine.of(each.first) >= theirs.of(each.first); };
  return std::all_of(mine.risks.begin(), mine.risks.end(), is_as_high) &&
         std::all_of(theirs.risks.begin(), theirs.risks.end(), is_as_high);
}

// What would loosen has no effect without the right to: it would only be another version in force.
void require_effect(const StoredRule& made, const std::vector<FoldedRule::Head>& heads, std::string_view key,
                    bool is_rule) {
  const std::string what = (is_rule ? "rule " : "governance_meta ") + std::string(key);
  for (const FoldedRule::Head& head : heads) {
    const RuleComparison found = compare(key, made, *head.stored, is_rule);
    if ((found.restricts && found.lifts_no_more) || only_raises_risks(key, made, *head.stored)) continue;
    throw Error(ErrorCode::denied, what + ": is not provably as strict as version " +
                                       std::to_string(head.stored->version.dot.counter) + " of " +
                                       head.stored->version.dot.actor.text() +
                                       ", and this instance has no right to loosen");
  }
  const bool is_new = std::none_of(heads.begin(), heads.end(), [](const auto& head) { return head.lifts; });
  const StoredRule nothing;  // the default, which everybody has seen
  const bool loosens = is_rule ? lifts(made, true)
                               : !compare(key, made, nothing, false).restricts && !only_raises_risks(key, made, nothing);
  if (is_new && loosens) throw Error(ErrorCode::denied, what + ": this instance has no right to loosen");
}

std::vector<SeenAssignment> links_to(const std::vector<FoldedRule::Head>& heads) {
  std::vector<SeenAssignment> seen;
  for (const FoldedRule::Head& head : heads) {
    if (seen.size() == seen_assignments_max) break;
    seen.push_back({head.stored->version.dot, head.stored->version.content});
  }
  return seen;
}

}  // namespace

bool assign_rule(SharedBatch& batch, SegmentNumber number, const Segment& segment, const AdmissionPlace& place,
                 const InstanceId& self, std::string_view key, const std::optional<Value>& value) {
  const bool is_rule = segment.name == rules_segment;
  batch.require_right(number);
  StoredRule made;
  made.value = value;
  if (value && is_rule) made.rule = check_rule(*value);
  if (value && !is_rule) check_meta(key, *value);
  const Registry* registry = batch.registry();
  RuleRights rights(registry, place);
  const auto stored = stored_rules(batch.reader(), number, key, is_rule);
  const FoldedRule folded = fold_rule(key, stored, rights, is_rule);
  const bool had_value = !folded.heads.empty() && (folded.heads.front().stored->value ||
                                                   !folded.heads.front().stored->defect.empty());
  if (!value && !had_value) throw Error(ErrorCode::not_found, "key " + std::string(key));
  if (registry != nullptr && !registry->may(self, segment.name, Permissions::loosen)) {
    require_effect(made, folded.heads, key, is_rule);
  }
  RuleAssignment assignment{value, links_to(folded.heads), 0};
  // Where nobody's rights are asked nobody gains by guessing.
  if (registry != nullptr) randombytes_buf(&assignment.salt, sizeof assignment.salt);
  const Bytes octets = encode(assignment);
  check_canonical(octets);  // what stands around the value must not make it one that nobody reads
  (void)batch.put(number, key, octets);
  return had_value;
}

}  // namespace loam
