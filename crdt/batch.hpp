#pragma once

#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "crdt/actor_claim.hpp"
#include "crdt/context.hpp"
#include "crdt/delta.hpp"
#include "crdt/hash_tree.hpp"
#include "crdt/key.hpp"

namespace loam {

/// Most records of one batch.
inline constexpr std::uint32_t batch_records_max = 256;

/// Most dots of a registry frontier in a batch, and most ranges of what it supersedes.
inline constexpr std::size_t batch_frontier_max = 64;
inline constexpr std::size_t batch_superseded_max = 1'024;

/// What an author says of the records that one commit wrote in one segment, and signs once: `count` dots of
/// `actor` from `first` on. The records stand beside it, as many as are still live.
///
/// Encoded as a canonical array [1, federation, segment, author, nonce, actor, first, count, frontier
/// ([actor, counter]…), root, superseded ([actor, ranges]…)], which is what is signed. When it was written the
/// records say.
struct Batch {
  FederationId federation;
  std::string segment;
  ActorClaim claim;  ///< of `actor`; its author signs
  ActorId actor;
  std::uint64_t first = 0;     ///< counter of the first record; from 1
  std::uint32_t count = 0;     ///< 1 to `batch_records_max`
  std::vector<Dot> frontier;   ///< the newest assignments of the registry that the author had seen; ascending
  TreeHash root;               ///< of the tree over the content hashes of the records, in their order
  Context superseded;          ///< of a governed segment: the assignments that these supersede

  bool operator==(const Batch&) const = default;

  bool has(const Dot& dot) const noexcept {
    return dot.actor == actor && dot.counter >= first && dot.counter - first < count;
  }
};

Bytes encode(const Batch& batch);

/// Throws Error(invalid) for anything but what `encode` makes, and for a claim that is not true of the actor;
/// Error(limit) beyond the limits.
Batch decode_batch(BytesView octets);

/// A batch as it is stored and sent.
struct SignedBatch {
  Bytes octets;
  Signature signature;

  bool operator==(const SignedBatch&) const = default;
};

/// The purpose of a batch's signature.
inline constexpr std::string_view batch_domain = "loam batch 1";

/// Whether the holder of the key signed the batch. Any thread.
bool is_signed_by(const PublicKey& key, const SignedBatch& batch);

/// Some records of a signed batch as they travel: what has to stand beside them, so that whoever gets them can make
/// the header that was signed.
struct BatchPart {
  std::uint64_t first = 0;
  std::uint32_t count = 0;
  RangeSet here;  ///< the counters of its records that come with it; at least one
  std::vector<Dot> frontier;
  Context superseded;
  Signature signature;
  std::vector<TreeHash> rest;  ///< of all its other records

  bool operator==(const BatchPart&) const = default;
};

/// The parts of batches that come with a delta, by actor. No two of one actor have a record in common.
using BatchParts = std::map<ActorId, std::vector<BatchPart>>;

/// The records of a part, which are all among those that were hashed.
TreePart records_of(const ActorId& actor, const BatchPart& part, const RecordHashes& hashes);

/// The header that the author of a part must have signed. Absent: the rest does not fit the records.
std::optional<Batch> batch_of(const FederationId& federation, std::string_view segment, const ActorClaim& claim,
                              const ActorId& actor, const BatchPart& part, const TreePart& records);

/// Whether those are records that the author signed, all of them.
bool are_of(const Batch& batch, const TreePart& records);

}  // namespace loam
