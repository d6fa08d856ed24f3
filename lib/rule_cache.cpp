#include "lib/rule_cache.hpp"

#include <algorithm>

#include "crdt/hash.hpp"
#include "lib/lookup.hpp"
#include "lib/peers.hpp"
#include "lib/quarantine.hpp"

namespace loam {
namespace {

constexpr std::size_t content_digits = 24;

// Of the assignments alone.
std::string content_digest_of(const Fingerprint& rules, const Fingerprint& meta) {
  return to_hex(hash128("loam rules 1", {rules.bytes(), meta.bytes()})).substr(0, content_digits);
}

// What the registry makes of their authors' rights.
template <class Keys>
Bytes rights_of(const Keys& keys) {
  std::map<Dot, std::byte> rights;
  for (const auto& [key, each] : keys) {
    for (const auto& [dot, answer] : each.folded.rights) {
      rights.emplace(dot, static_cast<std::byte>((answer.may_loosen ? 1 : 0) + (answer.is_void ? 2 : 0)));
    }
  }
  Bytes octets;
  for (const auto& each : rights) octets.push_back(each.second);
  return octets;
}

RuleRegister register_of(const std::string& id, const FoldedRule& folded, AuthorNames& names, const SharedReader& reader) {
  RuleRegister made{id, {}};
  for (const FoldedRule::Head& head : folded.heads) {
    const StoredRule& stored = *head.stored;
    made.heads.push_back({stored.rule, head.lifts, head.is_void, stored.version.dot, names.of(reader, stored.author),
                          stored.version.stamp.ms()});
  }
  return made;
}

// One of which nothing can be read is no map, which is read as strictly as can be.
MetaRegister meta_register_of(const std::string& key, const FoldedRule& folded, AuthorNames& names,
                              const SharedReader& reader) {
  MetaRegister made{key, {}};
  for (const FoldedRule::Head& head : folded.heads) {
    const StoredRule& stored = *head.stored;
    made.heads.push_back({stored.defect.empty() ? stored.value : std::optional(Value()), head.lifts, head.is_void,
                          stored.version.dot, names.of(reader, stored.author), stored.version.stamp.ms()});
  }
  return made;
}

}  // namespace

RuleCache::RuleCache(const Core& core)
    : core_(core), now_ms_(std::make_shared<const std::function<std::int64_t()>>(core.options.now_ms)) {}

void RuleCache::read_side(const SharedReader& reader, const Segment& segment, Side& side) const {
  const SegmentNumber number = core_.shared.number(segment.name);
  const bool are_rules = segment.name == rules_segment;
  const auto registry = core_.shared.registry(reader);
  const bool is_other_registry = registry != registry_;
  RuleRights rights(registry.get(), core_.shared.place(number));
  std::map<std::string, Key, std::less<>> keys;
  std::map<std::uint64_t, std::shared_ptr<const StoredRule>> stored;
  std::vector<std::shared_ptr<const StoredRule>> of_key;
  std::string key;
  const auto end_key = [&] {
    if (of_key.empty()) return;
    Key made;
    for (const auto& each : of_key) made.sequences.push_back(each->sequence);
    const auto before = side.keys.find(key);
    const bool is_same = !is_other_registry && before != side.keys.end() && before->second.sequences == made.sequences &&
                         std::none_of(of_key.begin(), of_key.end(), [](const auto& each) { return each->is_damaged; });
    made.folded = is_same ? std::move(before->second.folded) : fold_rule(key, of_key, rights, are_rules);
    keys.emplace(std::exchange(key, {}), std::move(made));
    of_key.clear();
  };
  const TableKey prefix = segment_key(number);
  lmdb::Cursor cursor = reader.txn().cursor(table::reg);
  for (bool on = cursor.seek(prefix); on && starts_with(cursor.key(), prefix); on = cursor.next()) {
    if (cursor.value().size() != 8) throw Error(ErrorCode::damaged, "table reg: a row does not decode");
    const RegisterKey at = decode_register_key(cursor.key());
    if (at.key != key) end_key();
    key = at.key;
    const std::uint64_t sequence = load_u64(cursor.value().data());
    const auto before = side.stored.find(sequence);
    const bool is_known = before != side.stored.end() && !before->second->is_damaged;
    auto each = is_known ? before->second : stored_rule(reader, at, sequence, are_rules);
    stored.emplace(sequence, each);
    of_key.push_back(std::move(each));
  }
  end_key();
  side.keys = std::move(keys);
  side.stored = std::move(stored);
  side.live = reader.segment(number).state.roots.live;
}

// What was forgotten because it cannot be read, and has not been fetched again, may have been any rule: the strictest.
bool RuleCache::is_lost(const SharedReader& reader, std::string_view segment) const {
  return quarantined_of(reader, core_.shared.number(std::string(segment))).open > 0;
}

std::shared_ptr<const RuleSet> RuleCache::folded(const SharedReader& reader) const {
  AuthorNames names(core_);
  std::vector<RuleRegister> registers;
  std::vector<MetaRegister> meta;
  const std::string lost = "a damaged record waits to be fetched again";
  if (is_lost(reader, rules_segment)) {  // before all others, for no key is empty
    registers.push_back({"", {{unreadable_rule(lost), false, false, {}, "", 0}}});
  }
  for (const auto& [id, key] : rules_.keys) registers.push_back(register_of(id, key.folded, names, reader));
  for (const auto& [id, key] : meta_.keys) meta.push_back(meta_register_of(id, key.folded, names, reader));
  if (is_lost(reader, meta_segment)) {
    for (const std::string_view key : {meta_key::defaults, meta_key::max_rule_age_ms, meta_key::risk_classes}) {
      const auto at = std::find_if(meta.begin(), meta.end(), [&](const MetaRegister& one) { return one.key >= key; });
      const bool is_there = at != meta.end() && at->key == key;
      MetaRegister& made = is_there ? *at : *meta.insert(at, MetaRegister{std::string(key), {}});
      made.heads.push_back({Value(lost), false, false, {}, "", 0});
    }
  }
  const Bytes rule_rights = rights_of(rules_.keys);
  const std::array<std::byte, 1> between{};
  const std::string rights = to_hex(hash128("loam rule rights 1", {rule_rights, between, rights_of(meta_.keys)}));
  return std::make_shared<const RuleSet>(std::move(registers), std::move(meta),
                                         content_digest_of(rules_.live, meta_.live) + rights.substr(0, 8));
}

void RuleCache::follow(const SharedReader& reader) const {
  const auto live_of = [&](std::string_view name) {
    return reader.segment(core_.shared.number(std::string(name))).state.roots.live;
  };
  const auto registry = core_.shared.registry(reader);
  const auto has_damage = [](const Side& side) {
    return std::any_of(side.stored.begin(), side.stored.end(), [](const auto& each) { return each.second->is_damaged; });
  };
  const bool is_same = known_ && registry == registry_ && live_of(rules_segment) == rules_.live &&
                       live_of(meta_segment) == meta_.live && !has_damage(rules_) && !has_damage(meta_);
  if (!is_same) {
    read_side(reader, core_.segments.find(rules_segment), rules_);
    read_side(reader, core_.segments.find(meta_segment), meta_);
    if (registry != registry_) required_.clear();
    if (registry && registry != registry_) {
      for (const auto& [id, entry] : registry->instances()) {
        const bool is_required = entry.role == InstanceRole::hub || entry.voter;
        if (is_required && entry.status == InstanceStatus::active && id != core_.identity.id) required_.push_back(id);
      }
    }
    registry_ = registry;
    for (const Side* side : {&rules_, &meta_}) {
      for (const auto& [sequence, stored] : side->stored) {
        if (stored->is_damaged) core_.shared.damage().note(sequence);
      }
    }
    known_ = folded(reader);
    heard_read_.reset();
  }
  transaction_ = {reader.txn().number(), reader.txn().reopenings()};
  read_heard(reader);
}

// Rules change at hubs and voters first, so an instance is as old as the one of these that it has not heard for longest.
void RuleCache::read_heard(const SharedReader& reader) const {
  if (required_.empty()) return heard_ms_.reset();
  const auto now = std::chrono::steady_clock::now();
  if (heard_read_ && now - *heard_read_ < heard_reread) return transaction_.reset();  // look again when asked again
  heard_read_ = now;
  heard_ms_.reset();
  std::map<InstanceId, std::int64_t> seen;
  for (const KnownPeer& peer : known_peers(reader)) {
    auto& last = seen[peer.row.instance];
    last = std::max(last, peer.row.last_seen_ms);
  }
  for (const InstanceId& id : required_) {
    const auto at = seen.find(id);
    const std::int64_t last = at == seen.end() ? 0 : at->second;
    heard_ms_ = std::min(heard_ms_.value_or(last), last);
  }
}

Rules RuleCache::rules_of(std::shared_ptr<const RuleSet> set) const { return Rules(std::move(set), heard_ms_, now_ms_); }

std::optional<std::chrono::milliseconds> RuleCache::age_max() const {
  const Rules rules = now();
  const std::int64_t most = rules.set().ages().of(Risk::critical);
  const std::lock_guard lock(mutex_);
  if (most == RuleAges::any || required_.empty()) return std::nullopt;
  return std::chrono::milliseconds(most);
}

std::vector<InstanceId> RuleCache::required_peers() const {
  (void)now();
  const std::lock_guard lock(mutex_);
  return required_;
}

Rules RuleCache::now() const {
  const std::lock_guard lock(mutex_);
  const auto newest = core_.shared.env().read(
      [](const lmdb::ReadTxn& txn) { return std::pair(txn.number(), txn.reopenings()); });
  if (known_ && transaction_ == newest) return rules_of(known_);
  core_.shared.read([&](const SharedReader& reader) {
    follow(reader);
    return 0;
  });
  return rules_of(known_);
}

Rules RuleCache::reloaded() const {
  {
    const std::lock_guard lock(mutex_);
    rules_ = {};
    meta_ = {};
    known_.reset();
  }
  return now();
}

std::optional<Rules> RuleCache::with_digest(std::string_view digest) const {
  const std::string wanted(digest.substr(0, content_digits));
  (void)now();
  const std::lock_guard lock(mutex_);
  auto set = core_.shared.read([&](const SharedReader& reader) -> std::shared_ptr<const RuleSet> {
    follow(reader);
    struct Step {
      const std::string* key;
      std::shared_ptr<const StoredRule> stored;
      bool is_rule;
    };
    std::map<std::uint64_t, Step> steps;
    for (const bool is_rule : {true, false}) {
      for (const auto& [key, each] : (is_rule ? rules_ : meta_).keys) {
        for (const std::uint64_t sequence : each.sequences) {
          steps.emplace(sequence, Step{&key, (is_rule ? rules_ : meta_).stored.at(sequence), is_rule});
        }
      }
    }
    Fingerprint live[2];
    std::map<std::string, std::vector<std::shared_ptr<const StoredRule>>> keys[2];
    const auto fold = [&] {
      RuleRights rule_rights(registry_.get(), core_.shared.place(core_.shared.number(std::string(rules_segment))));
      RuleRights meta_rights(registry_.get(), core_.shared.place(core_.shared.number(std::string(meta_segment))));
      AuthorNames names(core_);
      std::vector<RuleRegister> registers;
      std::vector<MetaRegister> meta;
      for (const auto& [id, stored] : keys[1]) {
        registers.push_back(register_of(id, fold_rule(id, stored, rule_rights, true), names, reader));
      }
      for (const auto& [id, stored] : keys[0]) {
        meta.push_back(meta_register_of(id, fold_rule(id, stored, meta_rights, false), names, reader));
      }
      return std::make_shared<const RuleSet>(std::move(registers), std::move(meta), wanted);
    };
    if (content_digest_of(live[1], live[0]) == wanted) return fold();
    for (const auto& [sequence, step] : steps) {
      live[step.is_rule ? 1 : 0] += live_term(step.stored->version.dot, step.stored->version.content);
      keys[step.is_rule ? 1 : 0][*step.key].push_back(step.stored);
      if (content_digest_of(live[1], live[0]) == wanted) return fold();
    }
    return nullptr;
  });
  return set ? std::optional(rules_of(std::move(set))) : std::nullopt;
}

}  // namespace loam
