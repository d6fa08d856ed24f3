#include "crdt/registry_entry.hpp"

#include <algorithm>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "crdt/name.hpp"
#include "crdt/range_codec.hpp"

namespace loam {
namespace {

constexpr std::string_view letters = "rwtl";
constexpr std::array<std::string_view, 3> roles{"member", "hub", "governor"};
// What stands in the field `must` may be any of these.
constexpr std::array<std::string_view, 11> known_fields{"endpoints", "fence", "key", "must", "name", "part",
                                                        "permissions", "role", "status", "voter", "voters"};
constexpr std::array<std::string_view, 3> statuses{"active", "suspended", "revoked"};

[[noreturn]] void reject_entry(const std::string& why) { throw Error(ErrorCode::invalid, "registry entry: " + why); }

void check_entry_limit(const char* what, std::size_t size, std::size_t limit) {
  if (size <= limit) return;
  throw Error(ErrorCode::limit, std::string("registry entry: ") + what + ": " + std::to_string(size) +
                                    ", limit " + std::to_string(limit));
}

void check_name(const std::string& name, const char* what) {
  if (!is_name(name)) reject_entry(std::string(what) + ": not a name");
}

const Value& field(const Map& map, const char* name) {
  const Value* value = find(map, name);
  if (value == nullptr) reject_entry(std::string(name) + ": missing");
  return *value;
}

template <class Enum, std::size_t size>
Enum named(const std::array<std::string_view, size>& names, const Value& value, const char* what) {
  const auto at = std::find(names.begin(), names.end(), as_text(value, what));
  if (at == names.end()) reject_entry(std::string(what) + ": not known");
  return static_cast<Enum>(at - names.begin());
}

std::map<std::string, Permissions> permissions_from(const Value& value) {
  const Map& map = as_map(value, "permissions");
  check_entry_limit("segments", map.size(), entry_segments_max);
  std::map<std::string, Permissions> permissions;
  for (const auto& [segment, letters_of] : map) {
    const auto parsed = Permissions::parse(as_text(letters_of, "permissions"));
    if (!parsed || parsed->empty()) reject_entry("permissions: not letters of " + std::string(letters));
    check_name(segment, "permissions");
    permissions.emplace(segment, *parsed);
  }
  return permissions;
}

Context context_from(const Value& value, std::size_t& ranges) {
  Context context;
  std::optional<ActorId> before;
  for (const Value& each : as_array(value, "fence")) {
    const Array& pair = as_array(each, "fence");
    if (pair.size() != 2) reject_entry("fence: a pair of other than two");
    const auto actor = as_id<ActorId>(pair[0], "fence");
    if (before && !(*before < actor)) reject_entry("fence: actors out of order");
    before = actor;
    const RangeSet counters = decode_ranges(as_octets(pair[1], "fence"));
    if (counters.empty()) reject_entry("fence: an actor without counters");
    check_entry_limit("fenced ranges", ranges += counters.ranges().size(), entry_fence_ranges_max);
    context.insert(actor, counters);
  }
  return context;
}

Fence fence_from(const Value& value) {
  const Map& map = as_map(value, "fence");
  check_entry_limit("segments", map.size(), entry_segments_max);
  Fence fence;
  std::size_t ranges = 0;
  for (const auto& [segment, seen] : map) {
    check_name(segment, "fence");
    Context context = context_from(seen, ranges);
    if (context.empty()) reject_entry("fence: a segment without actors");
    fence.emplace(segment, std::move(context));
  }
  return fence;
}

Value value_of(const Context& context) {
  Array actors;
  for (const auto& [actor, counters] : context) {
    actors.emplace_back(Array{Value(copy_of(actor.view())), Value(encode_ranges(counters))});
  }
  return actors;
}

bool bool_from(const Value& value, const char* what) {
  const bool* truth = value.get<bool>();
  if (truth == nullptr) reject_entry(std::string(what) + ": not true or false");
  return *truth;
}

std::uint32_t part_from(const Value& value, bool is_revoked) {
  const auto* number = value.get<std::int64_t>();
  if (number == nullptr || *number < 1 || *number >= static_cast<std::int64_t>(fence_parts_max)) {
    reject_entry("part: not a number of a part after the first");
  }
  if (!is_revoked) reject_entry("part: without a revocation");
  return static_cast<std::uint32_t>(*number);
}

Value value_of(const VoterChange& change) {
  Array voters;
  for (const Voter& voter : change.voters) {
    voters.emplace_back(Array{Value(copy_of(voter.instance.view())), Value(copy_of(voter.store.view()))});
  }
  return Map{{"all", std::move(voters)}, {"sealed", change.sealed}};
}

VoterChange voters_from(const Value& value) {
  const Map& map = as_map(value, "voters");
  VoterChange change;
  change.sealed = bool_from(field(map, "sealed"), "voters");
  const Array& all = as_array(field(map, "all"), "voters");
  if (all.empty()) reject_entry("voters: none");
  check_entry_limit("voters", all.size(), voters_max);
  for (const Value& each : all) {
    const Array& pair = as_array(each, "voters");
    if (pair.size() != 2) reject_entry("voters: a pair of other than two");
    const Voter voter{as_id<InstanceId>(pair[0], "voters"), as_id<StoreId>(pair[1], "voters")};
    if (!change.voters.empty() && !(change.voters.back() < voter)) reject_entry("voters: out of order");
    change.voters.push_back(voter);
  }
  return change;
}

bool is_understood(const Map& map) {
  const Value* must = find(map, "must");
  if (must == nullptr) return true;
  const Array& fields = as_array(*must, "must");
  return std::all_of(fields.begin(), fields.end(), [](const Value& each) {
    return std::find(known_fields.begin(), known_fields.end(), as_text(each, "must")) != known_fields.end();
  });
}

}  // namespace

std::string Permissions::text() const {
  std::string text;
  for (std::size_t i = 0; i < letters.size(); ++i) {
    if (has(static_cast<std::uint8_t>(1U << i))) text += letters[i];
  }
  return text;
}

std::optional<Permissions> Permissions::parse(std::string_view text) noexcept {
  Permissions permissions;
  std::size_t next = 0;
  for (const char letter : text) {
    const std::size_t at = letters.find(letter, next);
    if (at == std::string_view::npos) return std::nullopt;
    permissions.bits = static_cast<std::uint8_t>(permissions.bits | (1U << at));
    next = at + 1;
  }
  return permissions;
}

std::string_view name_of(InstanceRole role) noexcept { return roles[static_cast<std::size_t>(role)]; }

std::string_view name_of(InstanceStatus status) noexcept { return statuses[static_cast<std::size_t>(status)]; }

Bytes encode(const InstanceEntry& entry) {
  Map permissions;
  for (const auto& [segment, letters_of] : entry.permissions) {
    if (!letters_of.empty()) permissions.emplace(segment, letters_of.text());
  }
  Map fence;
  for (const auto& [segment, seen] : entry.fence) fence.emplace(segment, value_of(seen));
  Map map{{"endpoints", Array(entry.endpoints.begin(), entry.endpoints.end())},
          {"key", copy_of(entry.key.view())},
          {"name", entry.name},
          {"permissions", std::move(permissions)},
          {"role", name_of(entry.role)},
          {"status", name_of(entry.status)},
          {"voter", entry.voter}};
  if (entry.status == InstanceStatus::revoked) map.emplace("fence", std::move(fence));
  if (entry.fence_part > 0) {
    map.emplace("part", std::int64_t{entry.fence_part});
    map.emplace("must", Array{Value("part")});  // alone it would leave less than the revoker had seen
  }
  if (entry.voters) map.emplace("voters", value_of(*entry.voters));
  return encode(map);
}

std::optional<InstanceEntry> decode_instance_entry(BytesView octets) {
  const Value value = decode(octets);
  const Map& map = as_map(value, "registry entry");
  check_entry_limit("fields", map.size(), entry_fields_max);
  if (!is_understood(map)) return std::nullopt;
  InstanceEntry entry;
  entry.name = as_text(field(map, "name"), "name");
  check_name(entry.name, "name");
  const auto key = PublicKey::from(as_octets(field(map, "key"), "key"));
  if (!key) reject_entry("key: not 32 octets");
  check_public_key(*key);
  entry.key = *key;
  const Array& endpoints = as_array(field(map, "endpoints"), "endpoints");
  check_entry_limit("endpoints", endpoints.size(), entry_endpoints_max);
  for (const Value& endpoint : endpoints) entry.endpoints.push_back(as_text(endpoint, "endpoints"));
  entry.role = named<InstanceRole>(roles, field(map, "role"), "role");
  entry.permissions = permissions_from(field(map, "permissions"));
  entry.voter = bool_from(field(map, "voter"), "voter");
  entry.status = named<InstanceStatus>(statuses, field(map, "status"), "status");
  const bool is_revoked = entry.status == InstanceStatus::revoked;
  if (!is_revoked && find(map, "fence") != nullptr) reject_entry("fence: without a revocation");
  if (is_revoked) entry.fence = fence_from(field(map, "fence"));
  if (const Value* part = find(map, "part")) entry.fence_part = part_from(*part, is_revoked);
  if (const Value* voters = find(map, "voters")) entry.voters = voters_from(*voters);
  return entry;
}

std::vector<Fence> parts_of(const Fence& fence, std::size_t ranges_max) {
  std::vector<Fence> parts(1);
  std::size_t ranges = 0;
  for (const auto& [segment, seen] : fence) {
    for (const auto& [actor, counters] : seen) {
      for (const Range& range : counters) {
        if (ranges == ranges_max) {
          parts.emplace_back();
          ranges = 0;
        }
        ++ranges;
        parts.back()[segment].insert(actor, range);
      }
    }
  }
  check_entry_limit("parts of a fence", parts.size(), fence_parts_max);
  return parts;
}

}  // namespace loam
