// Rules: what is written under a key of approval_rules and governance_meta, and what ought to be in force.
#include "crdt/codec.hpp"
#include "crdt/rules/rule_set.hpp"
#include "lib/rule_write.hpp"
#include "tests/sim/world.hpp"

namespace loam::sim {
namespace {

bool are_rules(const std::string& segment) { return segment == rules_segment; }

bool holds_rules(const std::string& segment) { return segment == rules_segment || segment == meta_segment; }

}  // namespace

// What an entry says beside what its author had seen.
std::optional<Value> assigned_value(const MapRecord& entry) {
  if (!entry.value) return std::nullopt;
  if (auto assignment = decode_rule_assignment(*entry.value)) return assignment->value;
  return decode(*entry.value);
}

// Few rules, so that many are of the same action and some are as strict as others.
Value World::some_rule(Gen& gen) {
  const std::vector<std::string> effects{"allow", "notify", "require_approval", "deny"};
  Map rule{{"effect", gen.pick(effects)}};
  if (rule.at("effect") == Value("allow") || !gen.one_in(5)) rule.emplace("actions", Array{gen.coin() ? "a" : "b"});
  if (rule.at("effect") == Value("require_approval") && gen.coin()) {
    rule.emplace("requirement", Map{{"min_approvals", static_cast<std::int64_t>(gen.between(2, 3))}});
  }
  return rule;
}

::test::RuleOracle World::rules_under(const StoreModel& store, const std::string& name, const std::string& key) {
  const auto rights = has_trust() ? rights_of(store) : nullptr;
  const SegmentModel& segment = store.segments.at(name);
  std::map<Dot, ::test::RuleOracle::Version> versions;
  for (const Dot& dot : dots_with_key(segment, key)) {
    const Bytes& record = segment.live.at(dot);
    const MapRecord entry = decode_map_record(record);
    ::test::RuleOracle::Version version{store.authors.at(dot.actor), entry.stamp.value, content_hash(record),
                                        assigned_value(entry), {}, true};
    if (const auto assignment = entry.value ? decode_rule_assignment(*entry.value) : std::nullopt) {
      version.seen = assignment->seen;
    }
    if (rights) {
      const Signed& said = *signed_with(name, dot, record);
      const auto& oracle = *rights->oracle;
      version.may_loosen = oracle.may(said.author, name, Permissions::loosen, oracle.closed(said.frontier), oracle.all()) &&
                           !oracle.is_fenced(said.author, name, dot, oracle.all());
    }
    versions.emplace(dot, std::move(version));
  }
  return {are_rules(name), std::move(versions)};
}

// Why an assignment ought to be refused, by whoever may write there at all. Absent: it is taken.
std::optional<ErrorCode> World::refused_rule(const Judgement& now, const std::string& segment, const std::string& key,
                                             const std::optional<Value>& value) {
  const auto rules = rules_under(now.shared, segment, key);
  if (!value && !rules.has_value()) return ErrorCode::not_found;
  if (!has_trust()) return std::nullopt;
  const auto rights = rights_of(now.shared);
  if (rights->oracle->may(now.process.replica.instance, segment, Permissions::loosen)) return std::nullopt;
  if (rules.would_be_as_strict(value)) {
    trace_.met("a rule was tightened without the right to loosen");
    return std::nullopt;
  }
  trace_.met("a loosening was denied");
  return ErrorCode::denied;
}

// What is written names exactly what was in force.
void World::check_links(Judgement& now, const std::string& segment, const ::test::RuleOracle& before, const Bytes& record) {
  const auto entry = decode_map_record(record);
  const auto assignment = entry.value ? decode_rule_assignment(*entry.value) : std::nullopt;
  std::set<SeenAssignment> wanted;
  for (const Dot& dot : before.heads()) wanted.insert({dot, before.at(dot).content});
  const bool is_right = assignment && std::set(assignment->seen.begin(), assignment->seen.end()) == wanted;
  if (!is_right) now.problem = segment + ": an assignment names other than what was in force";
}

void World::put_rule(Process& process, const std::string& segment, const std::string& key, std::optional<Value> value) {
  const SegmentNumber number = process.shared.number(segment);
  Job job;
  job.shared = [=, &process](SharedBatch& batch) {
    (void)assign_rule(batch, number, process.replica.table->find(segment), process.shared.place(number),
                      process.shared.instance(), key, value);
  };
  Effect effect = [this, segment, key, value](Judgement& now) { return take_rule(now, segment, key, value); };
  enqueue(process, std::move(job), std::move(effect), (value ? "assign in " : "remove from ") + segment);
}

std::optional<ErrorCode> World::take_rule(Judgement& now, const std::string& segment, const std::string& key,
                                          const std::optional<Value>& value) {
  if (const auto denied = denial(now, segment)) return denied;
  if (const auto refused = refused_rule(now, segment, key, value)) return refused;
  const auto before = rules_under(now.shared, segment, key);
  const std::size_t written = now.written.size();
  write_record(now, segment, dots_with_key(now.shared.segments.at(segment), key),
               encode(MapRecord{{}, key, encode(RuleAssignment{value, {}, 0})}));
  // Without rights what is displaced is gone, and perhaps its record with it.
  if (now.written.size() > written && has_trust()) check_links(now, segment, before, now.written.back().second.second);
  return std::nullopt;
}

// Which versions are in force here, and what they say, are what the definition makes of what the model holds.
void World::check_rules(Process& process) {
  const StoreModel& store = process.replica.shared;
  for (const auto& [name, segment] : store.segments) {
    if (!holds_rules(name)) continue;
    std::set<std::string> keys;
    for (const auto& [dot, record] : segment.live) keys.insert(decode_map_record(record).key);
    for (const std::string& key : keys) check_rule_key(process, name, key);
  }
}

void World::check_rule_key(Process& process, const std::string& name, const std::string& key) {
  const auto wanted = rules_under(process.replica.shared, name, key);
  const SegmentNumber number = process.shared.number(name);
  RuleRegister rule{key, {}};
  std::set<Dot> in_force;
  process.shared.read([&](const SharedReader& reader) {
    const auto registry = process.shared.registry(reader);
    RuleRights rights(registry.get(), process.shared.place(number));
    const auto folded = fold_rule(key, stored_rules(reader, number, key, are_rules(name)), rights, are_rules(name));
    for (const FoldedRule::Head& head : folded.heads) {
      const Dot& dot = head.stored->version.dot;
      in_force.insert(dot);
      trace_.expect(wanted.heads().contains(dot) && head.lifts == wanted.lifts(dot),
                    name + ": a version lifts, or does not, other than by the definition");
      rule.heads.push_back({head.stored->rule, head.lifts, head.is_void, dot, "author", 0});
    }
    trace_.expect(folded.heads.empty() ? !wanted.winner() : folded.heads.front().stored->version.dot == wanted.winner(),
                  name + ": another version is shown");
  });
  trace_.expect(in_force == wanted.heads(), name + ": other versions are in force than by the definition");
  if (in_force.size() > 1) trace_.met("several versions of a rule are in force");
  if (!are_rules(name)) return;
  const RuleSet rules({rule}, {}, std::string(32, '0'));
  for (const char* action : {"a", "b", "c"}) {
    Decision decision;
    rules.check({.action = action}, {}, decision);
    const auto word = wanted.decision(*action);
    const bool is_right = static_cast<int>(decision.effect) == word.effect &&
                          (word.effect != 2 || decision.requirement.min_approvals == word.approvals);
    trace_.expect(is_right, "a decision is other than by the definition");
    if (decision.effect < loam::Effect::require_approval) trace_.met("a rule lifts the default");
  }
}

}  // namespace loam::sim
