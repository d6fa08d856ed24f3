#include "lib/memory.hpp"

#include <algorithm>
#include <set>

#include "crdt/codec.hpp"
#include "lib/core.hpp"
#include "lib/federation.hpp"
#include "lib/federation_text.hpp"
#include "lib/membership.hpp"
#include "lib/lookup.hpp"
#include "lib/memory_impl.hpp"
#include "lib/removals.hpp"
#include "lib/search.hpp"
#include "lib/write_plan.hpp"

namespace loam {
namespace {

std::vector<PlannedWrite> plan_all(const Core& core, std::span<const PacketEnvelope> packets) {
  std::vector<PlannedWrite> writes;
  writes.reserve(packets.size());
  for (std::size_t i = 0; i < packets.size(); ++i) {
    try {
      writes.push_back(plan_write(stores_of(core), packets[i]));
    } catch (const Error& error) {
      if (packets.size() == 1) throw;
      throw Error(error.code(),
                  "packet " + std::to_string(i) + ": " + std::string(error.message()));
    }
  }
  return writes;
}

std::future<std::vector<Receipt>> write_all(Core& core, std::vector<PlannedWrite> writes, Caller caller) {
  const auto promise = std::make_shared<std::promise<std::vector<Receipt>>>();
  auto future = promise->get_future();
  submit_writes(core, std::move(writes),
                [promise](std::vector<Receipt> receipts, std::exception_ptr failure) {
                  failure ? promise->set_exception(failure)
                          : promise->set_value(std::move(receipts));
                },
                caller);
  return future;
}

RecordAddress required(const std::optional<RecordAddress>& found, std::string_view id) {
  if (!found) throw Error(ErrorCode::not_found, "record " + std::string(id));
  return *found;
}

}  // namespace

Memory::Memory(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Memory::Memory(Memory&&) noexcept = default;

Memory& Memory::operator=(Memory&& other) noexcept {
  std::swap(impl_, other.impl_);
  Memory ending(std::move(other));
  return *this;
}

Memory::~Memory() {
  // A forked child leaves everything as it is: the threads behind it do not exist there.
  if (impl_ && impl_->process().is_left()) (void)impl_.release();
}

Memory Memory::open(const Options& options) { return Memory(std::make_unique<Impl>(options)); }

const Identity& Memory::identity() const noexcept { return impl_->core.identity; }
const SegmentTable& Memory::segments() const noexcept { return impl_->core.segments; }

// ---------------------------------------------------------------- packets

Receipt Memory::write(const PacketEnvelope& packet, const CallOptions& options) {
  return write(std::span<const PacketEnvelope>(&packet, 1), options).front();
}

std::vector<Receipt> Memory::write(std::span<const PacketEnvelope> packets, const CallOptions& options) {
  auto writes = plan_all(impl_->core, packets);
  std::vector<const Segment*> segments;
  for (const PlannedWrite& write : writes) segments.push_back(write.segment);
  return impl_->as_strongly(segments, options, false,
                            [&] { return write_all(impl_->core, std::move(writes), Caller::waits).get(); });
}

std::future<Receipt> Memory::write_async(PacketEnvelope packet) {
  const auto promise = std::make_shared<std::promise<Receipt>>();
  auto future = promise->get_future();
  submit_writes(impl_->core, plan_all(impl_->core, std::span<const PacketEnvelope>(&packet, 1)),
                [promise](std::vector<Receipt> receipts, std::exception_ptr failure) {
                  failure ? promise->set_exception(failure)
                          : promise->set_value(std::move(receipts.front()));
                },
                Caller::goes_on);
  return future;
}

std::future<std::vector<Receipt>> Memory::write_async(std::vector<PacketEnvelope> packets) {
  return write_all(impl_->core, plan_all(impl_->core, packets), Caller::goes_on);
}

// ---------------------------------------------------------------- records

Receipt Memory::remember(const NewRecord& record, const CallOptions& options) {
  const Segment& segment = impl_->core.segment(record.segment, Kind::set);
  return write(packet_of(record, segment), options);
}

std::optional<Record> Memory::get(std::string_view id) const {
  return find_and_read(impl_->core, id);
}

RecordPage Memory::list(const ListQuery& query) const { return list_records(impl_->core, query); }

RecallResult Memory::recall(const RecallQuery& query) const {
  check_query(query, impl_->core.segments);
  RecallResult result;
  DamageMet damage;
  std::vector<Hit> hits = impl_->search.find(query, damage);
  const std::size_t end = query.offset + query.limit;
  if (hits.size() > end) result.next = std::to_string(end);
  for (std::size_t i = query.offset; i < std::min(end, hits.size()); ++i) {
    result.items.push_back(std::move(hits[i]));
  }
  result.coverage = impl_->coverage();
  result.coverage.damaged += damage.count();
  return result;
}

Receipt Memory::revise(std::string_view id, std::string_view text, const CallOptions& options) {
  Core& core = impl_->core;
  const RecordAddress address = required(find_record(core, id), id);
  const auto old = read_record(core, address);
  if (!old) throw Error(ErrorCode::not_found, "record " + std::string(id));
  const PacketEnvelope packet = revised_packet(*old, text);
  const Segment& segment = *address.segment;
  check_packet(packet, segment);
  Receipt receipt{{}, segment.name, segment.scope, TargetKind::shared_replica, false};
  Job job;
  if (segment.scope == Scope::shared) {
    const PacketParts parts = parts_of(packet, segment, {address.element});
    if (element_of(segment.name, parts.content) == address.element) {  // it says so already
      receipt.id = address.id();
      receipt.existing = true;
      return receipt;
    }
    job.shared = [&, parts](SharedBatch& batch) {
      const auto result = batch.revise(core.shared.number(segment.name), address.element,
                                       parts.content, parts.meta);
      receipt.id = result.element.text();
      receipt.existing = result.existing;
    };
    return impl_->as_strongly({&segment}, options, true, [&] {
      run_job(core, std::move(job));
      return receipt;
    });
  }
  const PacketParts parts = parts_of(packet, segment, {ElementId{address.packet.bytes}});
  const std::int64_t now = core.now_ms();
  const PrivateRecord revised{mint_packet_id(now),
                              encode(SetRecord{Clock().next(now), parts.content, parts.meta})};
  job.priv = [&](PrivateBatch& batch) {
    const SegmentNumber number = core.priv.number(segment.name);
    batch.remove(number, address.packet);
    batch.add(number, revised);
  };
  run_job(core, std::move(job));
  receipt.id = revised.id.text();
  receipt.target = TargetKind::private_store;
  return receipt;
}

Receipt Memory::forget(std::string_view id, const CallOptions& options) {
  const std::string text(id);
  return forget(std::span<const std::string>(&text, 1), options).front();
}

std::vector<Receipt> Memory::forget(std::span<const std::string> ids, const CallOptions& options) {
  Core& core = impl_->core;
  std::vector<const Segment*> segments;
  std::vector<Receipt> receipts;
  std::set<ElementId> seen;
  std::vector<RecordAddress> shared;
  std::vector<RecordAddress> priv;
  const auto found = find_records(core, ids);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const RecordAddress address = required(found[i], ids[i]);
    const bool is_shared = address.segment->scope == Scope::shared;
    segments.push_back(address.segment);
    receipts.push_back({address.id(), address.segment->name, address.segment->scope,
                        is_shared ? TargetKind::shared_replica : TargetKind::private_store, true});
    const ElementId key = is_shared ? address.element : ElementId{address.packet.bytes};
    if (!seen.insert(key).second) continue;
    (is_shared ? shared : priv).push_back(address);
  }
  return impl_->as_strongly(segments, options, true, [&] {
    Job job;
    job.space = lmdb::Space::removal;
    if (!shared.empty()) {
      job.shared = [&](SharedBatch& batch) {
        for (const RecordAddress& address : shared) {
          batch.remove(core.shared.number(address.segment->name), address.element);
        }
      };
      run_job(core, job);
      job.shared = nullptr;
    }
    if (!priv.empty()) {
      job.priv = [&](PrivateBatch& batch) {
        for (const RecordAddress& address : priv) {
          batch.remove(core.priv.number(address.segment->name), address.packet);
        }
      };
      run_job(core, std::move(job));
    }
    return receipts;
  });
}

// ---------------------------------------------------------------- governance

Rules Memory::rules() const {
  impl_->process().check("memory");
  return impl_->core.rules.now();
}

Rules Memory::reload_rules() {
  impl_->process().check("memory");
  return impl_->core.rules.reloaded();
}

std::optional<Rules> Memory::rules_with_digest(std::string_view digest) const {
  return impl_->core.rules.with_digest(digest);
}

Receipt Memory::set_rule(std::string_view id, const Rule& rule, const CallOptions& options) {
  return put(rules_segment, id, Value(map_of(rule)), options);
}

Receipt Memory::remove_rule(std::string_view id, const CallOptions& options) { return erase(rules_segment, id, options); }

// ---------------------------------------------------------------- entries

Receipt Memory::put(std::string_view segment, std::string_view key, const Value& value, const CallOptions& options) {
  const Segment& found = impl_->core.segment(segment, Kind::map);
  return impl_->as_strongly({&found}, options, false,
                            [&] { return impl_->assign(found.name, key, value_octets(value)); });
}

std::optional<Entry> Memory::value(std::string_view segment, std::string_view key, const CallOptions& options) const {
  const Segment& found = impl_->core.segment(segment, Kind::map);
  auto entries = impl_->read_as(found, options, [&] { return read_entries(impl_->core, found, key); });
  if (entries.empty() || !entries.front().value) return std::nullopt;
  return std::move(entries.front());
}

std::vector<Entry> Memory::siblings(std::string_view segment, std::string_view key, const CallOptions& options) const {
  const Segment& found = impl_->core.segment(segment, Kind::map);
  auto entries = impl_->read_as(found, options, [&] { return read_entries(impl_->core, found, key); });
  if (!entries.empty()) entries.erase(entries.begin());
  return entries;
}

Receipt Memory::erase(std::string_view segment, std::string_view key, const CallOptions& options) {
  const Segment& found = impl_->core.segment(segment, Kind::map);
  return impl_->as_strongly({&found}, options, false, [&] { return impl_->assign(found.name, key, std::nullopt); });
}

KeyPage Memory::keys(std::string_view segment, std::string_view cursor, std::size_t limit) const {
  if (!cursor.empty()) check_key(cursor);
  return list_keys(impl_->core, impl_->core.segment(segment, Kind::map), cursor, limit);
}

// ---------------------------------------------------------------- routing and looking

TargetBackend Memory::route_memory_operation(Operation operation, std::string_view segment,
                                             std::string_view caller) const {
  const std::string& owner = impl_->core.identity.name;
  const std::string by = caller.empty() ? owner : std::string(caller);
  return loam::route_memory_operation(impl_->core.segments, operation, segment,
                                      {owner, by, route_rights(impl_->core, segment, by)});
}

std::vector<HeldRemoval> Memory::held_removals() const {
  return loam::held_removals(impl_->core);
}

std::uint64_t Memory::confirm_removal(std::string_view peer) {
  return confirm_removals(impl_->core, peer);
}

std::map<std::string, std::string> Memory::digest(std::string_view segment) const {
  const Core& core = impl_->core;
  std::map<std::string, std::string> digests;
  if (!segment.empty() && core.segments.find(segment).scope != Scope::shared) {
    throw Error(ErrorCode::invalid,
                "digest: segment " + std::string(segment) + " is private: nothing to compare");
  }
  const std::string wanted = segment.empty() ? "" : core.segments.find(segment).name;
  core.shared.read([&](const SharedReader& reader) {
    for (const SegmentNumber number : core.shared.numbers()) {
      const SegmentRow row = reader.segment(number);
      if (!wanted.empty() && row.name != wanted) continue;
      digests[row.name] = digest_text(row.state.roots);
    }
    return 0;
  });
  return digests;
}

Status Memory::status() const { return impl_->status(); }

// ---------------------------------------------------------------- federation

std::string Memory::serve(const ServeOptions& options) {
  std::optional<Address> announced;
  if (!options.announce.empty()) {
    announced = parse_address(options.announce);
    require_private(*announced);
  }
  const Address address = impl_->federation().serve(options);
  if (!announced && (address.host == "0.0.0.0" || address.host == "::")) {
    impl_->core.log(LogLevel::warning, "others cannot know where this instance is reached: announce it (serve --announce)");
  } else {
    impl_->publish_endpoint(announced.value_or(address).endpoint());
  }
  return address.text();
}

void Memory::connect(const std::string& endpoint) { impl_->federation().connect(endpoint); }

void Memory::stop() { impl_->stop(); }

// ---------------------------------------------------------------- members

std::vector<Member> Memory::members() const { return loam::members(impl_->core); }

std::string Memory::federation() const { return federation_text(impl_->core); }

void Memory::admit(const Member& member) { loam::admit(impl_->core, member); }

void Memory::grant(std::string_view who, const MemberChange& change) { loam::grant(impl_->core, who, change); }

void Memory::suspend(std::string_view who) { set_status(impl_->core, who, InstanceStatus::suspended); }

void Memory::reinstate(std::string_view who) { set_status(impl_->core, who, InstanceStatus::active); }

void Memory::revoke(std::string_view who) { set_status(impl_->core, who, InstanceStatus::revoked); }

std::string Memory::invite(const InviteOptions& options) { return loam::invite(impl_->core, options); }

PeerReport Memory::join(std::string_view token, std::chrono::milliseconds timeout) {
  const Invitation invitation = parse_token(token);
  if (federation_of(invitation.root) != impl_->core.identity.federation) {
    throw Error(ErrorCode::invalid, "this instance is in federation " + impl_->core.identity.federation.text() +
                                        ", which is not that of the token: join in another directory");
  }
  return impl_->federation().join(invitation, timeout).get().peers.at(0);
}

TokenContents contents_of_token(std::string_view token) {
  const Invitation invitation = parse_token(token);
  return {text_of(FederationText{invitation.root, {}}), invitation.name};
}

Subscription Memory::watch(std::vector<std::string> segments,
                           std::function<void(const Change&)> callback) {
  return impl_->federation().watch(std::move(segments), std::move(callback));
}

void Memory::drop_journal() {
  Job job;
  job.space = lmdb::Space::removal;
  job.shared = [](SharedBatch& batch) { batch.drop_journals(); };
  run_job(impl_->core, std::move(job));
}

}  // namespace loam
