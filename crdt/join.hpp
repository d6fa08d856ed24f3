#pragma once

#include "crdt/delta.hpp"
#include "crdt/fingerprint.hpp"

namespace loam {

/// A live dot as the join sees it.
struct LiveDot {
  std::uint64_t counter = 0;
  ContentHash content;

  bool operator==(const LiveDot&) const = default;
};

/// What the join needs from a store of one segment. The LMDB store and the in-memory store implement it.
class DotStore {
 public:
  virtual ~DotStore() = default;

  /// Every counter of the actor that the segment's context holds.
  virtual RangeSet covered(const ActorId& actor) const = 0;

  /// The live dots of the actor inside the range, by counter.
  virtual std::vector<LiveDot> live_in(const ActorId& actor, Range range) const = 0;

  /// Makes a dot live. It is not live now. The record is well formed.
  virtual void insert(const Dot& dot, BytesView record, const ContentHash& content) = 0;

  /// Makes a live dot dead.
  virtual void drop(const Dot& dot) = 0;

  /// Puts the record in the place of a live dot's other one, which is kept aside.
  virtual void replace(const Dot& dot, BytesView record, const ContentHash& content) = 0;

  /// Keeps a record aside that lost to the one of the live dot.
  virtual void keep_aside(const Dot& dot, BytesView record) = 0;

  /// Adds counters to the segment's context.
  virtual void cover(const ActorId& actor, const RangeSet& ranges) = 0;
};

/// What a delta changed.
struct Applied {
  Context changed;               ///< dots newly covered, dropped or replaced: what others must hear of
  std::uint64_t inserted = 0;    ///< records that became live
  std::uint64_t dropped = 0;     ///< records that died
  std::vector<Dot> equivocated;  ///< dots seen with two contents; the smaller content hash is live, the
                                 ///< other kept aside

  bool operator==(const Applied&) const = default;
};

/// The causal join restricted to the delta's context (Almeida, Shoker and Baquero, "Delta state
/// replicated data types", 2018, section 7.2, with the restriction made explicit). Commutative,
/// associative, idempotent; needs no delivery order. A dot that the context holds is never written
/// again. Cost: the ranges of the delta and the live dots inside them. The delta has passed
/// `check_delta`; run inside one transaction of the store.
Applied apply(DotStore& store, const Delta& delta);

/// The same with the hashes of its records, and maybe of others.
Applied apply(DotStore& store, const Delta& delta, const RecordHashes& hashes);

}  // namespace loam
