#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crdt/batch.hpp"
#include "crdt/context.hpp"
#include "crdt/delta.hpp"
#include "crdt/fingerprint.hpp"

namespace loam {

/// 64 random bits that name one journal. A journal that was dropped or rebuilt has another id.
using JournalId = std::uint64_t;

/// A place in a journal: everything up to and including `sequence` is accounted for.
struct Position {
  JournalId journal = 0;
  std::uint64_t sequence = 0;

  bool operator==(const Position&) const = default;
};

/// One shared segment at one committed moment.
struct SegmentState {
  Kind kind = Kind::set;
  Roots roots;
  JournalId journal = 0;
  std::uint64_t floor = 0;  ///< the lowest sequence that can still be followed from
  std::uint64_t head = 0;   ///< the sequence of the last entry; 0: none yet
  std::uint64_t records = 0;  ///< live dots

  bool operator==(const SegmentState&) const = default;
};

/// Journal entries after a sequence, read together.
struct JournalPage {
  Context changed;          ///< what they touched, without what came from the excluded peer
  std::uint64_t upto = 0;   ///< the last sequence that the page accounts for

  bool operator==(const JournalPage&) const = default;
};

/// What one actor wrote in one segment, as far as this store has accounted for it.
struct ActorState {
  ActorId actor;
  RangeSet covered;
  std::uint64_t live_count = 0;
  Fingerprint live;  ///< of all live dots of the actor

  bool operator==(const ActorState&) const = default;
};

/// A part of the state as a delta, with what is left of the selection that was asked for.
struct Slice {
  Delta delta;
  Authors authors;
  BatchParts batches;  ///< of the records of `delta`
  RangeSet rest;  ///< counters of the actor that did not fit; empty: all are in `delta`
};

/// What a Session reads from storage. Every answer is committed state of one moment; no call waits
/// for the network. Called on the session's thread only. Throws Error(damaged) or Error(failed).
class Source {
 public:
  virtual ~Source() = default;

  /// Names of the shared segments, the registry first.
  virtual std::vector<std::string> segments() const = 0;

  virtual SegmentState state(const std::string& segment) const = 0;

  /// How far this store has followed that peer's journal; nothing followed: a zero Position.
  virtual Position position(const std::string& segment, const StoreId& peer) const = 0;

  /// Entries after `after`, at least one, until about `dots_max` dots are touched. `after` is between
  /// the floor and the head. Entries that came from `excluded` are passed over.
  virtual JournalPage journal(const std::string& segment, std::uint64_t after,
                              const StoreId& excluded, std::size_t dots_max) const = 0;

  /// Actors in order of their ids, starting after `after` (absent: from the first), at most `max`.
  virtual std::vector<ActorState> actors(const std::string& segment,
                                         const std::optional<ActorId>& after,
                                         std::size_t max) const = 0;

  /// The live records of the selected counters with exactly the context they account for: from the
  /// lowest counter on, until the records exceed `octets_max` or `records_max` (but at least one).
  /// Selected counters that the segment's context does not hold are left out.
  virtual Slice slice(const std::string& segment, const ActorId& actor, const RangeSet& selected,
                      std::size_t octets_max, std::size_t records_max) const = 0;

  /// The counters of the actor's live dots among the selected ones.
  virtual RangeSet live_counters(const std::string& segment, const ActorId& actor,
                                 const RangeSet& selected) const = 0;

  /// The fingerprint of the actor's live dots among the selected ones.
  virtual Fingerprint live_fingerprint(const std::string& segment, const ActorId& actor,
                                       const RangeSet& selected) const = 0;
};

}  // namespace loam
