#include "crdt/registry.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "crdt/bits.hpp"
#include "crdt/error.hpp"
#include "crdt/hash.hpp"
#include "crdt/record.hpp"

namespace loam {
namespace {

using Places = std::vector<std::size_t>;  // of assignments in the log

using Part = Bits;  // of the log

bool is_revocation(const RegistryAssignment& assignment) {
  return assignment.entry.status == InstanceStatus::revoked;
}

bool is_newer(const RegistryAssignment& left, const RegistryAssignment& right) {
  if (left.stamp != right.stamp) return right.stamp < left.stamp;
  return right.dot < left.dot;
}

void restrict_to(InstanceEntry& entry, const InstanceEntry& other) {
  entry.role = std::min(entry.role, other.role);
  entry.status = std::max(entry.status, other.status);
  entry.voter = entry.voter && other.voter;
  std::map<std::string, Permissions> both;
  for (const auto& [segment, letters] : entry.permissions) {
    const auto at = other.permissions.find(segment);
    if (at == other.permissions.end()) continue;
    const Permissions common{static_cast<std::uint8_t>(letters.bits & at->second.bits)};
    if (!common.empty()) both.emplace(segment, common);
  }
  entry.permissions = std::move(both);
}

// Each segment's dots as far as both fences leave them.
void restrict_fence(Fence& fence, const Fence& other) {
  Fence both;
  for (const auto& [segment, seen] : fence) {
    const auto at = other.find(segment);
    if (at == other.end()) continue;
    Context common;
    for (const auto& [actor, counters] : seen) {
      const RangeSet left = counters.intersect(at->second.of(actor));
      if (!left.empty()) common.insert(actor, left);
    }
    if (!common.empty()) both.emplace(segment, std::move(common));
  }
  fence = std::move(both);
}

void widen_fence(Fence& fence, const Fence& other) {
  for (const auto& [segment, seen] : other) fence[segment].insert(seen);
}

// The dot of the assignment that has the first part of a revocation.
Dot first_part_of(const RegistryAssignment& revocation) {
  const Dot& dot = revocation.dot;
  const std::uint32_t part = revocation.entry.fence_part;
  return part < dot.counter ? Dot{dot.actor, dot.counter - part} : dot;
}

bool leaves(const Fence& fence, std::string_view segment, const Dot& dot) {
  const auto at = fence.find(std::string(segment));
  return at != fence.end() && at->second.of(dot.actor).contains(dot.counter);
}

bool may_do(const InstanceEntry& entry, std::string_view segment, std::uint8_t permission) {
  if (entry.status != InstanceStatus::active) return false;
  const auto at = entry.permissions.find(std::string(segment));
  return at != entry.permissions.end() && at->second.has(permission);
}

}  // namespace

FederationId federation_of(const FederationRoot& root) {
  return {hash128("loam federation 1", {root.founder.view(), root.nonce})};
}

Bytes encode(const FederationRoot& root) {
  Bytes octets(root.founder.bytes.size() + root.nonce.size());
  const auto rest = std::copy(root.founder.bytes.begin(), root.founder.bytes.end(), octets.begin());
  std::copy(root.nonce.begin(), root.nonce.end(), rest);
  return octets;
}

std::optional<FederationRoot> decode_root(BytesView octets) noexcept {
  FederationRoot root;
  if (octets.size() != root.founder.bytes.size() + root.nonce.size()) return std::nullopt;
  root.founder = *PublicKey::from(octets.first(root.founder.bytes.size()));
  std::copy_n(octets.begin() + static_cast<std::ptrdiff_t>(root.founder.bytes.size()), root.nonce.size(),
              root.nonce.begin());
  return root;
}

std::optional<RegistryAssignment> assignment_of(const Dot& dot, const InstanceId& author, BytesView record,
                                                std::vector<Dot> frontier, Context superseded) {
  std::optional<InstanceEntry> entry;
  std::optional<InstanceId> subject;
  Hlc stamp;
  try {
    const MapRecord said = decode_map_record(record);
    subject = InstanceId::parse(said.key);
    stamp = said.stamp;
    if (said.value) entry = decode_instance_entry(*said.value);
  } catch (const Error&) {
  }
  if (!subject || !entry) return std::nullopt;
  return RegistryAssignment{.dot = dot, .author = author, .stamp = stamp, .frontier = std::move(frontier),
                            .superseded = std::move(superseded), .subject = *subject, .entry = std::move(*entry)};
}

struct Registry::State {
  PublicKey founder_key;
  InstanceId founder;
  std::vector<RegistryAssignment> log;  ///< each after all that it has seen
  std::map<Dot, std::size_t> places;
  std::vector<Part> seen;                         ///< by each, itself left out
  std::map<InstanceId, Places> about;             ///< by subject
  std::vector<bool> is_own_name;                  ///< the key is its subject's
  Part all;
  Places revocations;
  Part stands;                                    ///< of revocations: in force by what their authors had seen
  Part unfenced;                                  ///< in force where there are no fences
  Part in_force;                                  ///< with all fences
  std::map<InstanceId, Fence> fences;             ///< of those who are revoked
  FederationRoot root;
  VoterView voters;

  State(const FederationRoot& begun, std::vector<RegistryAssignment> assignments);
  void order(std::vector<RegistryAssignment> assignments);
  Part in_force_of(const Part& part) const;
  Part valid_of(const Part& part, const std::map<InstanceId, Fence>& fenced) const;
  Part seen_in_force(const Part& part) const;
  std::map<InstanceId, Fence> fences_of(const Part& part) const;
  std::optional<InstanceEntry> entry(const InstanceId& instance, const Part& part, const Part& valid) const;
  bool is_governor(const InstanceId& instance, const Part& part, const Part& valid) const;
  std::optional<Part> part_of(const std::vector<Dot>& frontier) const;
  std::vector<VoterStep> voter_steps() const;
};

// Kahn's algorithm: what has seen itself, or what is not there, is never reached.
void Registry::State::order(std::vector<RegistryAssignment> assignments) {
  std::sort(assignments.begin(), assignments.end(),
            [](const RegistryAssignment& left, const RegistryAssignment& right) { return left.dot < right.dot; });
  std::map<Dot, std::size_t> given;
  for (std::size_t i = 0; i < assignments.size(); ++i) given.emplace(assignments[i].dot, i);
  std::vector<std::size_t> missing(assignments.size());
  std::vector<Places> seen_by(assignments.size());
  Places ready;
  for (std::size_t i = 0; i < assignments.size(); ++i) {
    missing[i] = assignments[i].frontier.size();
    for (const Dot& dot : assignments[i].frontier) {
      if (const auto at = given.find(dot); at != given.end()) seen_by[at->second].push_back(i);
    }
    if (missing[i] == 0) ready.push_back(i);
  }
  for (std::size_t next = 0; next < ready.size(); ++next) {
    for (const std::size_t later : seen_by[ready[next]]) {
      if (--missing[later] == 0) ready.push_back(later);
    }
  }
  for (const std::size_t place : ready) {
    RegistryAssignment& assignment = assignments[place];
    places.emplace(assignment.dot, log.size());
    about[assignment.subject].push_back(log.size());
    log.push_back(std::move(assignment));
  }
}

Registry::State::State(const FederationRoot& begun, std::vector<RegistryAssignment> assignments)
    : founder_key(begun.founder), founder(instance_of(begun.founder)), root(begun) {
  order(std::move(assignments));
  seen.reserve(log.size());
  for (const RegistryAssignment& assignment : log) {
    Part& part = seen.emplace_back(log.size());
    for (const Dot& dot : assignment.frontier) {
      const std::size_t place = places.at(dot);
      part.insert(seen[place]);
      part.insert(place);
    }
    is_own_name.push_back(instance_of(assignment.entry.key) == assignment.subject);
    if (is_revocation(assignment)) revocations.push_back(seen.size() - 1);
  }
  all = Part(log.size());
  for (std::size_t i = 0; i < log.size(); ++i) all.insert(i);
  stands = Part(log.size());
  for (const std::size_t place : revocations) {
    if (is_governor(log[place].author, seen[place], in_force_of(seen[place]))) stands.insert(place);
  }
  fences = fences_of(all);
  in_force = valid_of(all, fences);
  unfenced = fences.empty() ? in_force : valid_of(all, {});
  voters = view_of(Voter{founder, StoreId{root.nonce}}, voter_steps());
}

std::vector<VoterStep> Registry::State::voter_steps() const {
  std::vector<VoterStep> steps;
  std::vector<std::size_t> taken;
  for (std::size_t i = 0; i < log.size(); ++i) {
    if (!in_force[i] || !log[i].entry.voters) continue;
    VoterStep step{log[i].dot, *log[i].entry.voters, {}};
    for (std::size_t before = 0; before < taken.size(); ++before) {
      if (seen[i][taken[before]]) step.seen.push_back(before);
    }
    taken.push_back(i);
    steps.push_back(std::move(step));
  }
  return steps;
}

// What is in force of a part that has all that it has seen, with the fences in it.
Part Registry::State::in_force_of(const Part& part) const { return valid_of(part, fences_of(part)); }

// The same of a part, by what is known of all: most have seen no fence, or everything.
Part Registry::State::seen_in_force(const Part& part) const {
  if (part == all) return in_force;
  const auto fenced = fences_of(part);
  return fenced.empty() ? unfenced : valid_of(part, fenced);
}

Part Registry::State::valid_of(const Part& part, const std::map<InstanceId, Fence>& fenced) const {
  Part valid(log.size());
  for (std::size_t i = 0; i < log.size(); ++i) {
    const RegistryAssignment& assignment = log[i];
    if (!part[i] || !is_own_name[i]) continue;
    if (is_revocation(assignment)) {
      if (stands[i]) valid.insert(i);
      continue;
    }
    const auto fence = fenced.find(assignment.author);
    const bool is_void = fence != fenced.end() && !leaves(fence->second, registry_name, assignment.dot);
    if (!is_void && is_governor(assignment.author, seen[i], valid)) valid.insert(i);
  }
  return valid;
}

std::map<InstanceId, Fence> Registry::State::fences_of(const Part& part) const {
  std::map<InstanceId, std::map<Dot, Fence>> whole;  // of each revocation, by its first part
  for (const std::size_t i : revocations) {
    if (!part[i] || !stands[i] || !is_own_name[i]) continue;
    widen_fence(whole[log[i].subject][first_part_of(log[i])], log[i].entry.fence);
  }
  std::map<InstanceId, Fence> found;
  for (auto& [subject, of] : whole) {
    Fence& fence = found[subject] = std::move(of.begin()->second);
    for (auto other = std::next(of.begin()); other != of.end(); ++other) restrict_fence(fence, other->second);
  }
  return found;
}

std::optional<InstanceEntry> Registry::State::entry(const InstanceId& instance, const Part& part,
                                                    const Part& valid) const {
  const auto known = about.find(instance);
  if (known == about.end()) return std::nullopt;
  Places there;
  for (const std::size_t place : known->second) {
    if (part[place] && valid[place]) there.push_back(place);
  }
  const RegistryAssignment* newest = nullptr;
  Places heads;
  bool is_revoked = false;
  for (const std::size_t place : there) {
    const RegistryAssignment& assignment = log[place];
    is_revoked = is_revoked || is_revocation(assignment);
    const bool is_superseded = std::any_of(there.begin(), there.end(), [&](std::size_t other) {
      return seen[other][place] &&
             log[other].superseded.of(assignment.dot.actor).contains(assignment.dot.counter);
    });
    if (is_superseded) continue;
    heads.push_back(place);
    if (newest == nullptr || is_newer(assignment, *newest)) newest = &assignment;
  }
  if (newest == nullptr) return std::nullopt;
  InstanceEntry entry = newest->entry;
  for (const std::size_t place : heads) restrict_to(entry, log[place].entry);
  if (is_revoked) entry.status = InstanceStatus::revoked;
  entry.fence.clear();
  entry.fence_part = 0;
  entry.voters.reset();
  return entry;
}

bool Registry::State::is_governor(const InstanceId& instance, const Part& part, const Part& valid) const {
  const auto known = entry(instance, part, valid);
  if (!known) return instance == founder;
  return known->status == InstanceStatus::active && known->role == InstanceRole::governor;
}

Registry::Registry(const FederationRoot& root, std::vector<RegistryAssignment> assignments)
    : state_(std::make_unique<const State>(root, std::move(assignments))) {}

Registry::Registry(std::unique_ptr<const State> state) : state_(std::move(state)) {}

Registry::~Registry() = default;

// What rests on assignments that are not here was left out, and does not come in by this either.
std::unique_ptr<Registry> Registry::with(const std::vector<RegistryAssignment>& others) const {
  std::vector<RegistryAssignment> all = state_->log;
  for (const RegistryAssignment& other : others) {
    if (!state_->places.contains(other.dot)) all.push_back(other);
  }
  return std::unique_ptr<Registry>(new Registry(std::make_unique<const State>(state_->root, std::move(all))));
}

std::optional<InstanceEntry> Registry::find(const InstanceId& instance) const {
  auto entry = state_->entry(instance, state_->all, state_->in_force);
  if (!entry) return entry;
  if (const auto fence = state_->fences.find(instance); fence != state_->fences.end()) {
    entry->fence = fence->second;
  }
  return entry;
}

std::map<InstanceId, InstanceEntry> Registry::instances() const {
  std::map<InstanceId, InstanceEntry> all;
  for (const auto& [instance, places] : state_->about) {
    if (auto entry = find(instance)) all.emplace(instance, std::move(*entry));
  }
  return all;
}

bool Registry::may(const InstanceId& instance, std::string_view segment, std::uint8_t permission) const {
  const auto entry = find(instance);
  return entry && may_do(*entry, segment, permission);
}

// The dots and all that they had seen; absent: not all are here.
std::optional<Part> Registry::State::part_of(const std::vector<Dot>& frontier) const {
  Part part(log.size());
  for (const Dot& dot : frontier) {
    const auto at = places.find(dot);
    if (at == places.end()) return std::nullopt;
    part.insert(seen[at->second]);
    part.insert(at->second);
  }
  return part;
}

std::optional<bool> Registry::might(const InstanceId& instance, std::string_view segment,
                                    std::uint8_t permission, const std::vector<Dot>& frontier) const {
  const auto part = state_->part_of(frontier);
  if (!part) return std::nullopt;
  const auto entry = state_->entry(instance, *part, state_->seen_in_force(*part));
  return entry && may_do(*entry, segment, permission);
}

std::optional<bool> Registry::was_governor(const InstanceId& instance, const std::vector<Dot>& frontier) const {
  const auto part = state_->part_of(frontier);
  if (!part) return std::nullopt;
  return state_->is_governor(instance, *part, state_->seen_in_force(*part));
}

std::optional<bool> Registry::might_still(const InstanceId& instance, std::string_view segment,
                                          std::uint8_t permission, const std::vector<Dot>& frontier) const {
  const auto part = state_->part_of(frontier);
  if (!part) return std::nullopt;
  const auto entry = state_->entry(instance, *part, state_->in_force);
  return entry && may_do(*entry, segment, permission);
}

bool Registry::has_void_assignments() const noexcept { return state_->in_force != state_->unfenced; }

std::optional<PublicKey> Registry::key_of(const InstanceId& instance) const {
  if (instance == state_->founder) return state_->founder_key;
  const auto known = state_->about.find(instance);
  if (known == state_->about.end()) return std::nullopt;
  for (const std::size_t place : known->second) {
    if (state_->is_own_name[place]) return state_->log[place].entry.key;
  }
  return std::nullopt;
}

bool Registry::is_fenced(const InstanceId& author, std::string_view segment, const Dot& dot) const {
  const auto fence = state_->fences.find(author);
  return fence != state_->fences.end() && !leaves(fence->second, segment, dot);
}

bool Registry::has_fences() const noexcept { return !state_->fences.empty(); }

bool Registry::is_in_force(const Dot& dot) const {
  const auto at = state_->places.find(dot);
  return at != state_->places.end() && state_->in_force[at->second];
}

const VoterView& Registry::voters() const noexcept { return state_->voters; }

std::vector<Dot> Registry::frontier() const {
  Part has_been_seen(state_->log.size());
  for (const Part& seen : state_->seen) has_been_seen.insert(seen);
  std::vector<Dot> frontier;
  for (const auto& [dot, place] : state_->places) {
    if (!has_been_seen[place]) frontier.push_back(dot);
  }
  return frontier;
}

}  // namespace loam
