#include "lib/memory_impl.hpp"

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "lib/alarms.hpp"
#include "lib/lookup.hpp"
#include "lib/membership.hpp"
#include "lib/peers.hpp"
#include "lib/quarantine.hpp"
#include "lib/rule_write.hpp"
#include "lib/voting.hpp"
#include "lib/write_plan.hpp"

namespace loam {
namespace {

// A peer that was heard within this time counts as current.
constexpr std::int64_t current_within_ms = 60'000;

}  // namespace

Federation& Memory::Impl::federation() {
  process_.check("memory");
  const std::lock_guard lock(mutex_);
  if (!federation_) federation_ = std::make_unique<Federation>(core);
  return *federation_;
}

void Memory::Impl::stop() {
  process_.check("memory");
  Federation* running = nullptr;
  {
    const std::lock_guard lock(mutex_);
    running = federation_.get();
  }
  if (running != nullptr) running->stop();
}

Receipt Memory::Impl::assign(std::string_view segment_name, std::string_view key,
                             std::optional<Bytes> value) {
  check_key(key);
  const Segment& segment = core.segment(segment_name, Kind::map);
  if (segment.name == registry_name) {
    throw Error(ErrorCode::denied, "segment instance_registry: changed by admitting and granting only");
  }
  const bool is_shared = segment.scope == Scope::shared;
  Receipt receipt{std::string(key), segment.name, segment.scope,
                  is_shared ? TargetKind::shared_replica : TargetKind::private_store, false};
  Job job;
  job.space = value ? lmdb::Space::normal : lmdb::Space::removal;
  job.octets = value ? value->size() : 0;
  if (is_shared) {
    job.shared = [&](SharedBatch& batch) {
      const SegmentNumber number = core.shared.number(segment.name);
      if (holds_rules(segment)) {
        const auto assigned = value ? std::optional(decode(*value)) : std::nullopt;
        receipt.existing =
            assign_rule(batch, number, segment, core.shared.place(number), core.identity.id, key, assigned);
      } else {
        receipt.existing = batch.put(number, key, value);
      }
    };
  } else {
    job.priv = [&](PrivateBatch& batch) {
      receipt.existing = batch.put(core.priv.number(segment.name), key, value, core.now_ms());
    };
  }
  run_job(core, std::move(job));
  return receipt;
}

Status Memory::Impl::status() {
  process_.check("memory");
  Status status;
  status.identity = core.identity;
  status.voters = voter_status(core.shared);
  std::set<StoreId> linked;
  {
    const std::lock_guard lock(mutex_);
    if (federation_) linked = federation_->linked();
  }
  core.shared.read([&](const SharedReader& reader) {
    std::map<SegmentNumber, std::uint64_t> heads;
    for (const SegmentNumber number : core.shared.numbers()) {
      const SegmentRow row = reader.segment(number);
      heads[number] = row.state.head;
      status.segments[row.name] = {Scope::shared, row.state.kind, row.records, row.octets};
    }
    status.alarms = read_alarms(reader.txn(), core.now_ms());
    for (const KnownPeer& peer : known_peers(reader)) {
      PeerStatus out{peer.row.name,         peer.row.instance.text(),
                     peer.row.endpoint,     linked.count(peer.store) != 0,
                     peer.row.last_seen_ms, {}, {}};
      for (const auto& [number, confirmed] : peer.row.confirmed) {
        const auto head = heads.find(number);
        if (head == heads.end()) continue;
        out.lag[core.shared.name(number)] = head->second - std::min(head->second, confirmed);
      }
      for (const auto& [number, count] : peer.row.refused) {
        if (heads.contains(number)) out.refused[core.shared.name(number)] = count;
      }
      status.peers.push_back(std::move(out));
    }
    return 0;
  });
  for (const Segment& segment : core.segments.all()) {
    if (segment.scope != Scope::priv) continue;
    const PrivateCounts counts = core.priv.counts(core.priv.number(segment.name));
    status.segments[segment.name] = {Scope::priv, segment.kind, counts.records, counts.octets};
  }
  return status;
}

Coverage Memory::Impl::coverage() {
  Coverage coverage;
  const std::int64_t now = core.now_ms();
  core.shared.read([&](const SharedReader& reader) {
    for (const KnownPeer& peer : known_peers(reader)) {
      const std::int64_t age = std::max<std::int64_t>(0, now - peer.row.last_seen_ms);
      ++coverage.peers_total;
      if (age <= current_within_ms) ++coverage.peers_current;
      coverage.oldest_peer_age_ms = std::max(coverage.oldest_peer_age_ms, age);
    }
    coverage.damaged = quarantine_counts(reader).open;
    return 0;
  });
  return coverage;
}

void Memory::Impl::publish_endpoint(const std::string& endpoint) {
  const auto registry = core.shared.registry();
  const auto own = registry ? registry->find(core.identity.id) : std::nullopt;
  if (!own || own->endpoints == std::vector{endpoint}) return;
  if (own->role != InstanceRole::governor || own->status != InstanceStatus::active) {
    core.log(LogLevel::info, "others hear of " + endpoint + " when a governor enters it (loam peers grant)");
    return;
  }
  loam::grant(core, core.identity.id.text(), {.endpoints = std::vector{endpoint}});
}

}  // namespace loam
