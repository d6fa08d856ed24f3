#pragma once

#include <map>
#include <optional>
#include <vector>

#include "crdt/context.hpp"
#include "crdt/key.hpp"
#include "crdt/value.hpp"
#include "crdt/voters.hpp"

namespace loam {

/// What an instance may do with a segment: a set of letters. Absent is none.
struct Permissions {
  static constexpr std::uint8_t read = 1;
  static constexpr std::uint8_t write = 2;
  static constexpr std::uint8_t tighten = 4;
  static constexpr std::uint8_t loosen = 8;

  std::uint8_t bits = 0;

  bool operator==(const Permissions&) const = default;
  bool has(std::uint8_t wanted) const noexcept { return (bits & wanted) == wanted; }
  bool empty() const noexcept { return bits == 0; }

  /// `r`, `w`, `t` and `l`, in that order.
  std::string text() const;

  /// Absent unless the text is some of these letters, in that order, each once.
  static std::optional<Permissions> parse(std::string_view text) noexcept;
};

enum class InstanceRole : std::uint8_t { member, hub, governor };

/// Ordered: a later one is stricter. Who is revoked never comes back.
enum class InstanceStatus : std::uint8_t { active, suspended, revoked };

std::string_view name_of(InstanceRole role) noexcept;
std::string_view name_of(InstanceStatus status) noexcept;

/// What a revocation leaves of an instance: for each segment the dots of its actors that the revoker had seen.
/// All others are void, also those that claim to be older.
using Fence = std::map<std::string, Context>;

/// An entry of the registry: what the federation knows of an instance.
struct InstanceEntry {
  std::string name;  ///< a label
  PublicKey key;
  std::vector<std::string> endpoints;  ///< hints
  InstanceRole role = InstanceRole::member;
  std::map<std::string, Permissions> permissions;  ///< by segment; those with none are left out
  bool voter = false;
  InstanceStatus status = InstanceStatus::active;
  Fence fence;  ///< of a revocation

  /// Which part of its fence this is, from 0: the assignments that follow one another under one actor, from the first
  /// part on, are one revocation, and leave what one of them leaves. A part that is not here leaves nothing.
  std::uint32_t fence_part = 0;

  /// What its author says of voters besides. Of the assignment alone: of an entry it is absent.
  std::optional<VoterChange> voters = {};

  bool operator==(const InstanceEntry&) const = default;
};

/// Most segments, endpoints, fenced ranges and fields of an entry, and parts of a fence.
inline constexpr std::size_t entry_segments_max = 256;
inline constexpr std::size_t entry_endpoints_max = 16;
inline constexpr std::size_t entry_fence_ranges_max = 4'096;
inline constexpr std::size_t entry_fields_max = 64;
inline constexpr std::size_t fence_parts_max = 1'024;

/// A fence in parts that fit into an entry each; at least one. Throws Error(limit) beyond `fence_parts_max`.
std::vector<Fence> parts_of(const Fence& fence, std::size_t ranges_max = entry_fence_ranges_max);

/// The value of an entry, a map.
Bytes encode(const InstanceEntry& entry);

/// Fields that are not known are those of a later version, and do not count; it names those without which an
/// entry would say something else in the field `must`. Absent: there is such a one, so the entry waits for an
/// instance of that version. Throws Error(invalid) for anything else but what `encode` makes, for names that
/// are none and for a fence without a revocation; Error(untrusted) for a key that is not sound; Error(limit).
std::optional<InstanceEntry> decode_instance_entry(BytesView octets);

}  // namespace loam
