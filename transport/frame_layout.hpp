#pragma once

#include <cstdint>

#include "crdt/batch.hpp"
#include "crdt/context.hpp"
#include "crdt/delta.hpp"

namespace loam::wire {

/// The first element of a frame. 6 to 9 were the comparison of version 1.
enum class Type : std::uint8_t {
  hello = 1,
  bye,
  ping,
  state,
  delta,
  ack = 10,
  compare,
  context,
  live,
  dead,
  ask,
  proof,
  join,
  vote,
  voted
};

inline constexpr std::size_t name_octets_max = 63;
inline constexpr std::size_t reason_octets_max = 512;

// Bits of one element of a state frame.
inline constexpr std::uint64_t wanted_bit = 1;
inline constexpr std::uint64_t final_bit = 2;
inline constexpr std::uint64_t compare_bit = 4;
inline constexpr std::uint64_t map_bit = 8;
inline constexpr std::uint64_t held_bit = 16;
inline constexpr std::uint64_t state_bits = 31;

// Bits of one element of a context frame.
inline constexpr std::uint64_t all_bit = 1;
inline constexpr std::uint64_t end_bit = 2;

// The lowest bit of one element of a live frame; above it is the form.
inline constexpr std::uint64_t more_bit = 1;

inline constexpr std::size_t item_octets = 8;

// The part of a state frame whose size is fixed: the digest, the sender's journal, and the journal
// that its position is in.
inline constexpr std::size_t state_octets = 32;

/// The counters of an actor's records in a delta that lie within a batch.
inline RangeSet live_in(const Delta& delta, const ActorId& actor, const BatchPart& part) {
  RangeSet found;
  const auto end = delta.live.upper_bound(Dot{actor, part.first + part.count - 1});
  for (auto at = delta.live.lower_bound(Dot{actor, part.first}); at != end; ++at) found.insert(at->first.counter);
  return found;
}

/// The first version whose hello names a key, and the first that knows votes.
inline constexpr std::uint64_t keys_since = 3;
inline constexpr std::uint64_t votes_since = 4;

/// Most segments in one question, as many as an instance may have.
inline constexpr std::size_t voted_segments_max = 256;

/// An actor, its author and the nonce of his claim.
inline constexpr std::size_t claim_octets = 16 + 16 + 8;

/// Octets of a bitmap over the common counters of a live set.
inline std::uint64_t bitmap_octets(const RangeSet& common) noexcept {
  return (common.count() + 7) / 8;
}

}  // namespace loam::wire
