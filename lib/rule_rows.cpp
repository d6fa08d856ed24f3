#include "lib/rule_rows.hpp"

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "crdt/rules/meta.hpp"
#include "crdt/rules/restriction.hpp"
#include "planted.hpp"

namespace loam {
namespace {

// What its batch says: whether it is signed, and after what of the registry.
void read_batch(const SharedReader& reader, SegmentNumber segment, ActorIndex actor, const Dot& dot, StoredRule& rule) {
  const auto placed = reader.txn().get(table::dot, dot_key(segment, actor, dot.counter));
  if (!placed) return;
  const DotRow row = decode_dot_row(*placed);
  rule.version.content = row.content;
  const auto batch = row.batch.is_signed() ? reader.batch_row(segment, dot) : std::nullopt;
  if (!batch) return;
  rule.is_signed = true;
  rule.frontier = reader.frontier_of(*batch);
}

// What it says. An assignment of before there were links has its value as it is, and names nothing that it had seen.
void read_value(BytesView record, StoredRule& rule) {
  const MapRecord entry = decode_map_record(record);
  if (!entry.value) return;
  if (auto assignment = decode_rule_assignment(*entry.value)) {
    rule.value = std::move(assignment->value);
    rule.version.seen = std::move(assignment->seen);
  } else {
    rule.value = decode(*entry.value);
  }
}

const Rule* read_as_rule(const StoredRule& stored) { return stored.rule ? &*stored.rule : nullptr; }
const Value* read_as_value(const StoredRule& stored) { return stored.value ? &*stored.value : nullptr; }

}  // namespace

std::shared_ptr<const StoredRule> stored_rule(const SharedReader& reader, const RegisterKey& at, std::uint64_t sequence,
                                              bool is_rule) {
  auto rule = std::make_shared<StoredRule>();
  rule->sequence = sequence;
  rule->version.dot = at.dot;
  rule->version.stamp = at.stamp;
  try {
    const auto record = reader.sound_record(sequence);
    rule->is_damaged = !record.has_value();
    if (const auto actor = reader.actor_index(at.dot.actor)) {
      rule->author = reader.actor(*actor).author;
      read_batch(reader, at.segment, *actor, at.dot, *rule);
    }
    if (record) read_value(record->record, *rule);
    if (!record) rule->defect = "its record is damaged here";
  } catch (const Error& error) {
    rule->defect = error.message();
    rule->is_damaged = error.code() == ErrorCode::damaged;
    rule->value.reset();
  }
  if (!is_rule) return rule;
  if (!rule->defect.empty()) rule->rule = unreadable_rule(rule->defect);
  if (rule->defect.empty() && rule->value) rule->rule = read_rule(*rule->value);
  return rule;
}

std::vector<std::shared_ptr<const StoredRule>> stored_rules(const SharedReader& reader, SegmentNumber segment,
                                                            std::string_view key, bool are_rules) {
  std::vector<std::shared_ptr<const StoredRule>> stored;
  const TableKey prefix = register_prefix(segment, key);
  lmdb::Cursor cursor = reader.txn().cursor(table::reg);
  for (bool on = cursor.seek(prefix); on && starts_with(cursor.key(), prefix); on = cursor.next()) {
    if (cursor.value().size() != 8) throw Error(ErrorCode::damaged, "table reg: a row does not decode");
    stored.push_back(stored_rule(reader, decode_register_key(cursor.key()), load_u64(cursor.value().data()), are_rules));
  }
  return stored;
}

RuleRights::Answer RuleRights::of(const StoredRule& rule) {
  if (registry_ == nullptr) return {};
  if (!rule.is_signed) return {false, true};
  const auto [at, is_new] = known_.try_emplace({rule.author, rule.frontier});
  if (is_new) {
    const auto might = [&](std::uint8_t letter) {
      return registry_->might_still(rule.author, place_.segment, letter, rule.frontier).value_or(false);
    };
    at->second.may_loosen = might(Permissions::loosen);
    at->second.is_void = !at->second.may_loosen && !might(Permissions::tighten) && !might(Permissions::write);
  }
  Answer answer = at->second;
  if (planted(Bug::lost_right_loosens)) return {true, false};
  if (registry_->is_fenced(rule.author, place_.segment, rule.version.dot)) answer = {false, true};
  return answer;
}

RuleComparison compare(std::string_view key, const StoredRule& rule, const StoredRule& other, bool are_rules) {
  if (are_rules) return compare(read_as_rule(rule), read_as_rule(other));
  if (!rule.defect.empty() || !other.defect.empty()) return {};
  const bool is_at_least = is_at_least_as_restrictive(key, read_as_value(rule), read_as_value(other));
  return {is_at_least, is_at_least};
}

FoldedRule fold_rule(std::string_view key, const std::vector<std::shared_ptr<const StoredRule>>& stored,
                     RuleRights& rights, bool are_rules) {
  FoldedRule folded;
  std::vector<RuleVersion> versions;
  versions.reserve(stored.size());
  for (const auto& each : stored) {
    const RuleRights::Answer answer = rights.of(*each);
    folded.rights.emplace_back(each->version.dot, answer);
    versions.push_back(each->version);
    versions.back().may_loosen = answer.may_loosen && each->defect.empty();
  }
  const auto heads = heads_of(versions, [&](std::size_t version, std::size_t other) {
    return compare(key, *stored[version], *stored[other], are_rules);
  });
  for (const RuleHead& head : heads) {
    folded.heads.push_back({stored[head.version], head.lifts, folded.rights[head.version].second.is_void});
  }
  return folded;
}

}  // namespace loam
