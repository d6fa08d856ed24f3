#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "crdt/clock.hpp"
#include "crdt/registry_entry.hpp"

namespace loam {

/// What a federation begins with; its id is a hash over both, so who knows the id and is shown these knows whom
/// to believe.
struct FederationRoot {
  PublicKey founder;  ///< governor before anybody else is one
  std::array<std::byte, 16> nonce{};  ///< at once the id of the founder's first store, which is the first voter

  bool operator==(const FederationRoot&) const = default;
};

FederationId federation_of(const FederationRoot& root);

/// 48 octets: the key, the nonce.
Bytes encode(const FederationRoot& root);

/// Absent unless these are 48 octets.
std::optional<FederationRoot> decode_root(BytesView octets) noexcept;

/// A signed assignment of the registry: a live record of the segment with what its batch says. Its signature and
/// its form were checked.
struct RegistryAssignment {
  Dot dot;
  InstanceId author;
  Hlc stamp;
  std::vector<Dot> frontier;  ///< the assignments that its author had seen: these, and what they had seen
  Context superseded;
  InstanceId subject;  ///< whose entry it is
  InstanceEntry entry;
};

/// What a live record of the segment says, with what its batch does. Absent: it names no instance, or is not
/// understood here (decode_instance_entry); it says nothing then.
std::optional<RegistryAssignment> assignment_of(const Dot& dot, const InstanceId& author, BytesView record,
                                                std::vector<Dot> frontier, Context superseded);

/// The state of the registry: a pure function of a set of assignments. Immutable; any thread.
///
/// *Had seen*: an assignment has seen its frontier and all that that has seen. One whose frontier is not there,
/// or that has seen itself, is left out until it is, or for ever.
///
/// *In force* is an assignment of somebody who was governor by what is in force of what it had seen, and that no
/// fence makes void. A revocation in force by that which its author had seen alone stays so: no fence makes it
/// void, so two that revoke each other are both revoked, and nobody escapes by revoking back.
///
/// *An entry* is made of all assignments in force that none in force supersedes: the newest by stamp, then
/// dot, says name, key, endpoints; of permissions, role and voter there is what all of them grant; the status
/// is the strictest; and a revocation is for ever. So whatever is added concurrently grants nothing.
///
/// *A fence* is what all revocations of an instance leave of it; a revocation in parts (InstanceEntry::fence_part) leaves
/// what one of its parts leaves.
class Registry {
 public:
  Registry(const FederationRoot& root, std::vector<RegistryAssignment> assignments);
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;
  ~Registry();

  /// The registry with further assignments; those whose dots are here change nothing.
  std::unique_ptr<Registry> with(const std::vector<RegistryAssignment>& others) const;

  /// Absent: there is no such instance.
  std::optional<InstanceEntry> find(const InstanceId& instance) const;

  /// All, by id.
  std::map<InstanceId, InstanceEntry> instances() const;

  /// Whether an instance may do that with a segment now: it is active, and its entry says so.
  bool may(const InstanceId& instance, std::string_view segment, std::uint8_t permission) const;

  /// Whether it might by what was in force of these dots and what they had seen, with the fences among them: what an
  /// author could know, so that it never changes. Absent: not all of them are here.
  std::optional<bool> might(const InstanceId& instance, std::string_view segment, std::uint8_t permission,
                            const std::vector<Dot>& frontier) const;

  /// Whether it was governor by that. Absent as above.
  std::optional<bool> was_governor(const InstanceId& instance, const std::vector<Dot>& frontier) const;

  /// Whether it might with what all fences known here have left of them.
  std::optional<bool> might_still(const InstanceId& instance, std::string_view segment, std::uint8_t permission,
                                  const std::vector<Dot>& frontier) const;

  /// Whether fences have made assignments void, so that `might_still` can say other than `might`.
  bool has_void_assignments() const noexcept;

  /// The key of an instance, as any assignment tells it whose key is its subject's: it never changes, so it
  /// matters not who wrote it. Absent: nobody has named it.
  std::optional<PublicKey> key_of(const InstanceId& instance) const;

  /// Whether a fence makes a write of that author void.
  bool is_fenced(const InstanceId& author, std::string_view segment, const Dot& dot) const;

  /// Whether there is any fence.
  bool has_fences() const noexcept;

  /// Whether an assignment is in force.
  bool is_in_force(const Dot& dot) const;

  /// The voters, by the assignments in force that speak of them (crdt/voters.hpp).
  const VoterView& voters() const noexcept;

  /// The dots that nothing else here has seen, ascending: what the author of a new batch had seen.
  std::vector<Dot> frontier() const;

 private:
  struct State;
  explicit Registry(std::unique_ptr<const State> state);
  std::unique_ptr<const State> state_;
};

/// The name of the segment.
inline constexpr std::string_view registry_name = "instance_registry";

}  // namespace loam
