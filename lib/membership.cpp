#include "lib/membership.hpp"

#include <sodium.h>

#include <algorithm>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "lib/federation_text.hpp"
#include "lib/peers.hpp"
#include "lib/store_source.hpp"
#include "lib/write_plan.hpp"
#include "transport/address.hpp"

namespace loam {
namespace {

constexpr std::string_view invitation_prefix = "invitation/";
constexpr std::size_t federation_chunk_octets = 256 * 1'024;

std::string every_right(const Segment& segment) { return segment.governed ? "rwtl" : "rw"; }

Permissions permissions_of(const SegmentTable& segments, const std::string& name, const std::string& letters) {
  const Segment& segment = segments.find(name);
  if (segment.scope != Scope::shared) {
    throw Error(ErrorCode::invalid, "segment " + segment.name + ": private, nobody else has rights there");
  }
  const auto permissions = Permissions::parse(letters);
  if (!permissions) {
    throw Error(ErrorCode::invalid, "rights " + letters + " of " + segment.name +
                                        ": not some of r, w, t and l, in that order");
  }
  return *permissions;
}

template <class Enum, std::size_t size>
Enum enum_named(const std::string& text, const std::array<Enum, size>& all, const char* what) {
  for (const Enum each : all) {
    if (name_of(each) == text) return each;
  }
  throw Error(ErrorCode::invalid, std::string(what) + " " + text + ": not known");
}

InstanceRole role_named(const std::string& text) {
  return enum_named(text, std::array{InstanceRole::member, InstanceRole::hub, InstanceRole::governor}, "role");
}

void check_member_name(const std::string& name) {
  if (!is_name(name)) throw Error(ErrorCode::invalid, "name " + name + ": not of the form [a-z0-9][a-z0-9_-]{0,62}");
}

void check_endpoints(const std::vector<std::string>& endpoints) {
  if (endpoints.size() > entry_endpoints_max) {
    throw Error(ErrorCode::limit, "endpoints: " + std::to_string(endpoints.size()) + ", limit " +
                                      std::to_string(entry_endpoints_max));
  }
  for (const std::string& endpoint : endpoints) (void)parse_address(endpoint);
}

InstanceEntry entry_of(const SegmentTable& segments, const Member& member) {
  check_member_name(member.name);
  check_endpoints(member.endpoints);
  InstanceEntry entry{.name = member.name, .key = {}, .endpoints = member.endpoints,
                      .role = role_named(member.role), .permissions = {}, .voter = member.voter, .fence = {}};
  for (const auto& [name, letters] : member.permissions) {
    const Permissions permissions = permissions_of(segments, name, letters);
    if (!permissions.empty()) entry.permissions[segments.find(name).name] = permissions;
  }
  return entry;
}

Member member_of(const InstanceId& id, const InstanceEntry& entry) {
  Member member{.name = entry.name, .public_key = entry.key.text(), .id = id.text(),
                .role = std::string(name_of(entry.role)), .permissions = {}, .endpoints = entry.endpoints,
                .voter = entry.voter, .status = std::string(name_of(entry.status))};
  for (const auto& [segment, permissions] : entry.permissions) member.permissions[segment] = permissions.text();
  return member;
}

SegmentNumber registry_number(const Core& core) { return core.shared.number(std::string(registry_name)); }

void write_entry(const Core& core, SharedBatch& batch, const InstanceId& id, const InstanceEntry& entry) {
  batch.put(registry_number(core), id.text(), encode(entry));
}

// Runs on the registry as the transaction sees it.
void change_registry(Core& core, const std::function<void(SharedBatch&, const Registry&)>& body) {
  core.require_registry();
  Job job;
  job.shared = [&](SharedBatch& batch) { body(batch, *batch.registry()); };
  run_job(core, std::move(job));
}

std::pair<InstanceId, InstanceEntry> find_member(const Registry& registry, std::string_view who) {
  std::vector<std::pair<InstanceId, InstanceEntry>> found;
  for (auto& [id, entry] : registry.instances()) {
    if (entry.name == who || id.text() == who || entry.key.text() == who) found.emplace_back(id, entry);
  }
  if (found.empty()) throw Error(ErrorCode::not_found, "no instance " + std::string(who) + " in the federation");
  if (found.size() > 1) {
    throw Error(ErrorCode::invalid, "name " + std::string(who) + ": of several instances, among them " +
                                        found[0].first.text() + " and " + found[1].first.text());
  }
  return found.front();
}

Bytes invitation_key(const std::array<std::byte, 16>& hash) {
  Bytes key(invitation_prefix.size() + hash.size());
  const BytesView prefix = bytes_of(invitation_prefix);
  std::copy(hash.begin(), hash.end(), std::copy(prefix.begin(), prefix.end(), key.begin()));
  return key;
}

// The store by which an instance votes from now on: the one that was met last.
StoreId store_of(const Core& core, const SharedReader& reader, const InstanceId& instance, const std::string& name) {
  if (instance == core.identity.id) return core.shared.id();
  std::optional<KnownPeer> last;
  for (KnownPeer& peer : known_peers(reader)) {
    if (peer.row.instance != instance) continue;
    if (!last || last->row.last_seen_ms < peer.row.last_seen_ms) last = std::move(peer);
  }
  if (!last) throw Error(ErrorCode::unavailable, "instance " + name + " was never met: sync with it before it votes");
  return last->store;
}

// Absent: these are the voters already.
std::optional<VoterChange> voter_change(const Core& core, const SharedReader& reader, const VoterView& view,
                                        const InstanceId& instance, const std::string& name, const MemberChange& change) {
  VoterChange made{view.newest, false};
  std::erase_if(made.voters, [&](const Voter& voter) { return voter.instance == instance; });
  if (*change.voter) made.voters.push_back({instance, store_of(core, reader, instance, name)});
  std::sort(made.voters.begin(), made.voters.end());
  if (made.voters == view.newest && (view.is_sealed() || !view.is_disputed)) return std::nullopt;
  if (made.voters.empty()) throw Error(ErrorCode::invalid, "instance " + name + ": is the last voter");
  if (made.voters.size() > voters_max) {
    throw Error(ErrorCode::limit, "voters: " + std::to_string(made.voters.size()) + ", limit " + std::to_string(voters_max));
  }
  if (!view.is_sealed() && !view.is_disputed && !change.force) {
    throw Error(ErrorCode::unavailable, "voters change one at a time, and a change is under way (loam sync --strong ends it)");
  }
  return made;
}

}  // namespace

void enter_founder(Core& core) {
  const auto registry = core.shared.registry();
  if (!registry) return;
  const bool is_founder = core.key.signing.public_key() == core.shared.identity().root->founder;
  const auto known = registry->find(core.identity.id);
  if (!known && !is_founder) return;
  const bool may_govern = known ? known->role == InstanceRole::governor && known->status == InstanceStatus::active
                                : is_founder;
  if (!may_govern) return;
  InstanceEntry entry = known.value_or(InstanceEntry{.name = core.identity.name, .key = core.key.signing.public_key(),
                                                     .endpoints = {}, .role = InstanceRole::governor,
                                                     .permissions = {}, .voter = true, .fence = {}});
  bool is_news = !known;
  for (const Segment& segment : core.segments.all()) {
    const bool has_own = segment.scope != Scope::shared || segment.name == registry_name ||
                         entry.permissions.contains(segment.name);
    if (has_own || (known && !is_founder)) continue;
    entry.permissions[segment.name] = *Permissions::parse(every_right(segment));
    is_news = true;
  }
  if (!is_news) return;
  Job job;
  job.shared = [&](SharedBatch& batch) { write_entry(core, batch, core.identity.id, entry); };
  run_job(core, std::move(job));
}

void admit(Core& core, const Member& member) {
  const auto key = PublicKey::parse(member.public_key);
  if (!key) throw Error(ErrorCode::invalid, "key " + member.public_key + ": not 64 hexadecimal digits");
  check_public_key(*key);
  InstanceEntry entry = entry_of(core.segments, member);
  entry.key = *key;
  const InstanceId id = instance_of(*key);
  change_registry(core, [&](SharedBatch& batch, const Registry& registry) {
    const auto known = registry.find(id);
    if (known && known->status == InstanceStatus::revoked) {
      throw Error(ErrorCode::denied, "instance " + known->name + " was revoked: it needs a new key");
    }
    write_entry(core, batch, id, entry);
  });
}

void grant(Core& core, std::string_view who, const MemberChange& change) {
  std::map<std::string, Permissions> permissions;
  for (const auto& [name, letters] : change.permissions) {
    permissions[core.segments.find(name).name] = permissions_of(core.segments, name, letters);
  }
  if (change.endpoints) check_endpoints(*change.endpoints);
  change_registry(core, [&](SharedBatch& batch, const Registry& registry) {
    auto [id, entry] = find_member(registry, who);
    if (entry.status == InstanceStatus::revoked) throw Error(ErrorCode::denied, "instance " + entry.name + " was revoked");
    if (change.voter) entry.voters = voter_change(core, batch.reader(), registry.voters(), id, entry.name, change);
    for (const auto& [segment, letters] : permissions) entry.permissions[segment] = letters;
    std::erase_if(entry.permissions, [](const auto& each) { return each.second.empty(); });
    if (change.role) entry.role = role_named(*change.role);
    if (change.voter) entry.voter = *change.voter;
    if (change.endpoints) entry.endpoints = *change.endpoints;
    entry.fence.clear();
    write_entry(core, batch, id, entry);
  });
  if (!change.force) return;
  // What ends a change has to have seen it, and what is written together has not.
  const auto registry = core.shared.registry();
  (void)seal_voters(core, registry->voters());
}

bool seal_voters(Core& core, const VoterView& view) {
  bool is_sealed = false;
  change_registry(core, [&](SharedBatch& batch, const Registry& registry) {
    is_sealed = false;
    auto own = registry.find(core.identity.id);
    const bool may_govern = own && own->status == InstanceStatus::active && own->role == InstanceRole::governor;
    const VoterView& now = registry.voters();
    if (!may_govern || now.id != view.id || now.is_sealed() || now.is_disputed) return;
    own->fence.clear();
    own->voters = VoterChange{now.newest, true};
    write_entry(core, batch, core.identity.id, *own);
    is_sealed = true;
  });
  return is_sealed;
}

void set_status(Core& core, std::string_view who, InstanceStatus status) {
  change_registry(core, [&](SharedBatch& batch, const Registry& registry) {
    auto [id, entry] = find_member(registry, who);
    if (id == core.identity.id) throw Error(ErrorCode::invalid, "an instance cannot do that to itself");
    if (entry.status == InstanceStatus::revoked) {
      throw Error(ErrorCode::denied, "instance " + entry.name + " was revoked, which is for ever");
    }
    entry.status = status;
    entry.fence.clear();
    if (status != InstanceStatus::revoked) return write_entry(core, batch, id, entry);
    for (Fence& part : parts_of(batch.fence_of(id))) {
      entry.fence = std::move(part);
      write_entry(core, batch, id, entry);
      ++entry.fence_part;
    }
  });
}

std::string federation_text(const Core& core) {
  core.require_registry();
  FederationText text{*core.shared.identity().root, {}};
  const StoreSource source(core.shared);
  const std::string segment(registry_name);
  std::optional<ActorId> after;
  for (;;) {
    const auto actors = source.actors(segment, after, 1'000);
    if (actors.empty()) break;
    for (const ActorState& actor : actors) {
      RangeSet left = actor.covered;
      while (!left.empty()) {
        Slice slice = source.slice(segment, actor.actor, left, federation_chunk_octets, 1'000);
        left = std::move(slice.rest);
        if (slice.delta.empty()) break;
        text.registry.push_back({.index = 0, .upto = {}, .delta = std::move(slice.delta),
                                 .authors = std::move(slice.authors), .batches = std::move(slice.batches)});
      }
    }
    after = actors.back().actor;
  }
  return text_of(text);
}

std::string invite(Core& core, const InviteOptions& options) {
  core.require_registry();
  const InstanceEntry entry = entry_of(core.segments, options.member);
  if (options.endpoint.size() > invitation_endpoint_max) {
    throw Error(ErrorCode::limit, "endpoint: " + std::to_string(options.endpoint.size()) + " octets, limit " +
                                      std::to_string(invitation_endpoint_max));
  }
  require_private(parse_address(options.endpoint));
  Invitation invitation{.root = *core.shared.identity().root, .governor = core.key.signing.public_key(),
                        .endpoint = options.endpoint, .name = options.member.name, .secret = {},
                        .expires_ms = core.now_ms() + options.valid.count()};
  randombytes_buf(invitation.secret.data(), invitation.secret.size());
  Map permissions;
  for (const auto& [segment, letters] : entry.permissions) permissions.emplace(segment, letters.text());
  const Bytes row = encode(Map{{"expires_ms", invitation.expires_ms}, {"name", entry.name},
                               {"permissions", std::move(permissions)}, {"role", name_of(entry.role)},
                               {"voter", entry.voter}});
  change_registry(core, [&](SharedBatch& batch, const Registry& registry) {
    const auto own = registry.find(core.identity.id);
    const bool may_govern = own && own->status == InstanceStatus::active && own->role == InstanceRole::governor;
    if (!may_govern) throw Error(ErrorCode::denied, "only governors invite, and this instance is none");
    batch.txn().put(table::meta, invitation_key(secret_hash(invitation.secret)), row);
  });
  return token_of(invitation);
}

std::optional<std::string> admit_invited(Core& core, SharedBatch& batch, const PublicKey& key,
                                         const std::array<std::byte, 16>& secret) {
  const Bytes at = invitation_key(secret_hash(secret));
  const auto row = batch.txn().get(table::meta, at);
  if (!row) return "the invitation is not known here, or was used";
  const Value value = decode(*row);
  const Map& map = as_map(value, "invitation");
  const auto* expires = find(map, "expires_ms")->get<std::int64_t>();
  if (expires == nullptr || *expires < core.now_ms()) return "the invitation has expired";
  Member member{.name = std::string(value.text("name")), .role = std::string(value.text("role"))};
  for (const auto& [segment, letters] : as_map(*find(map, "permissions"), "invitation")) {
    member.permissions.emplace(segment, as_text(letters, "invitation"));
  }
  member.voter = *find(map, "voter")->get<bool>();
  const InstanceId id = instance_of(key);
  if (batch.registry()->find(id)) return "the instance is in the federation already";
  InstanceEntry entry = entry_of(core.segments, member);
  entry.key = key;
  write_entry(core, batch, id, entry);
  batch.txn().erase(table::meta, at);
  return std::nullopt;
}

void forget_invitations(Core& core) {
  Job job;
  job.shared = [](SharedBatch& batch) {
    const TableKey prefix = TableKey().octets(bytes_of(invitation_prefix));
    std::vector<Bytes> keys;
    {
      lmdb::Cursor cursor = batch.txn().cursor(table::meta);
      for (bool on = cursor.seek(prefix); on && starts_with(cursor.key(), prefix); on = cursor.next()) {
        keys.push_back(copy_of(cursor.key()));
      }
    }
    for (const Bytes& key : keys) batch.txn().erase(table::meta, key);
  };
  run_job(core, std::move(job));
}

bool has_invitations(const SharedReader& reader, std::int64_t now_ms) {
  const TableKey prefix = TableKey().octets(bytes_of(invitation_prefix));
  lmdb::Cursor cursor = reader.txn().cursor(table::meta);
  for (bool on = cursor.seek(prefix); on && starts_with(cursor.key(), prefix); on = cursor.next()) {
    const Value value = decode(cursor.value());
    const Value* expires = find(as_map(value, "invitation"), "expires_ms");
    const auto* at = expires ? expires->get<std::int64_t>() : nullptr;
    if (at != nullptr && *at >= now_ms) return true;
  }
  return false;
}

std::optional<RouteRights> route_rights(const Core& core, std::string_view segment, const std::string& name) {
  const auto registry = core.shared.registry();
  const Segment& found = core.segments.find(segment);
  if (!registry || found.scope != Scope::shared) return std::nullopt;
  const AdmissionPlace place = core.shared.place(core.shared.number(found.name));
  const auto frontier = registry->frontier();
  RouteRights rights;
  bool is_first = true;
  for (const auto& [id, entry] : registry->instances()) {
    if (entry.name != name) continue;
    const bool is_active = entry.status == InstanceStatus::active;
    const bool may_read = registry->may(id, found.name, Permissions::read);
    const bool may_also_write = is_active && may_write(*registry, place, id, frontier) == true;
    rights.read = may_read && (is_first || rights.read);
    rights.write = may_also_write && (is_first || rights.write);
    is_first = false;
  }
  return rights;
}

std::vector<Member> members(const Core& core) {
  std::vector<Member> found;
  const auto registry = core.shared.registry();
  if (!registry) return found;
  for (const auto& [id, entry] : registry->instances()) found.push_back(member_of(id, entry));
  std::sort(found.begin(), found.end(), [](const Member& left, const Member& right) {
    return std::tie(left.name, left.id) < std::tie(right.name, right.id);
  });
  return found;
}

}  // namespace loam
