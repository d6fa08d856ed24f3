#pragma once

#include <map>
#include <optional>
#include <string>

#include "crdt/actor_claim.hpp"
#include "crdt/fingerprint.hpp"
#include "crdt/hash_tree.hpp"
#include "crdt/key.hpp"
#include "crdt/range_codec.hpp"
#include "lib/layout.hpp"
#include "transport/source.hpp"

namespace loam {

/// The values of the tables of the shared environment. docs/STORAGE.md is the format. Each decoder
/// throws Error(damaged) for octets that the encoder cannot have made.

/// One shared segment: its declaration and its state. Table `segs`, by number.
struct SegmentRow {
  std::string name;
  SegmentState state;
  std::uint64_t records = 0;  ///< live dots
  std::uint64_t octets = 0;   ///< of their records

  bool operator==(const SegmentRow&) const = default;
};

/// What one actor wrote in one segment. Table `ctx`.
struct ContextRow {
  RangeSet covered;
  std::uint64_t live_count = 0;
  Fingerprint live;

  bool operator==(const ContextRow&) const = default;
};

/// An actor. Table `actors`, by index.
struct ActorRow {
  ActorId id;
  InstanceId author;  ///< zero: not known yet
  std::optional<ActorClaim::Nonce> nonce;  ///< of the author's claim; absent: he was not asked for it
};

/// Where a record stands in the batch that it was signed in. The batch begins `place` counters before it; an author
/// who signs other batches for the same counters makes variants of it.
struct BatchPlace {
  static constexpr std::uint8_t no_variant = 255;  ///< it was not signed

  std::uint8_t place = 0;
  std::uint8_t variant = no_variant;

  bool operator==(const BatchPlace&) const = default;
  bool is_signed() const noexcept { return variant != no_variant; }
};

/// A live dot. Table `dot`.
struct DotRow {
  std::uint64_t sequence = 0;  ///< of its record in table `rec`
  ContentHash content;
  BatchPlace batch;
};

/// A batch of which records live (crdt/batch.hpp): what the dots do not say. Table `dot`, behind its first dot.
struct BatchRow {
  std::uint16_t count = 0;  ///< of records that were signed
  std::vector<std::pair<ActorIndex, std::uint64_t>> frontier;
  Signature signature;
  std::vector<TreeHash> rest;  ///< of the records that do not live here
  std::vector<std::pair<ActorIndex, RangeSet>> superseded;

  bool operator==(const BatchRow&) const = default;
};

/// What stands before the record in a row of table `rec`.
inline constexpr std::size_t record_row_octets = 2 + 4 + 8 + 16;

/// A stored record. Table `rec`, by local sequence.
struct RecordRow {
  SegmentNumber segment = 0;
  ActorIndex actor = 0;
  std::uint64_t counter = 0;
  ElementId element;  ///< zero in map segments
  BytesView record;   ///< a view into the row
};

/// One commit's change of one segment. Table `jrnl`, by segment and sequence.
struct JournalRow {
  StoreId origin;  ///< the store that it came from; zero: written here
  std::vector<std::pair<ActorIndex, RangeSet>> changed;
};

/// A peer that was met. Table `peers`, by store id.
struct PeerRow {
  std::string name;
  InstanceId instance;
  std::string endpoint;
  std::int64_t last_seen_ms = 0;
  std::vector<std::pair<SegmentNumber, std::uint64_t>> confirmed;  ///< of our journals, by it
  std::map<SegmentNumber, std::uint64_t> refused;  ///< how often a record of its was not let in; never zero
};

/// Why something is kept aside.
enum class HeldReason : std::uint16_t {
  equivocation = 1,  ///< a second content of a dot, which lost to the one that is live
  removal = 2,       ///< a removal that waits for somebody to confirm it
  damaged = 3,       ///< a record that could not be read, and was forgotten so that it is fetched again
};

/// Something that is kept aside and never counted as seen. Table `held`, by local sequence.
struct HeldRow {
  HeldReason reason = HeldReason::equivocation;
  SegmentNumber segment = 0;
  StoreId peer;  ///< the store that it came from; zero: found here
  std::int64_t at_ms = 0;
  std::vector<std::pair<ActorIndex, RangeSet>> dots;  ///< what it is about
  Bytes record;  ///< the octets of a record, as they were; may be empty

  bool operator==(const HeldRow&) const = default;
};

Bytes encode(const SegmentRow& row);
Bytes encode(const ContextRow& row);
Bytes encode(const ActorRow& row);
Bytes encode(const DotRow& row);
Bytes encode(const BatchRow& row);
Bytes encode(const RecordRow& row);
Bytes encode(const JournalRow& row);
Bytes encode(const PeerRow& row);
Bytes encode(const Position& position);
Bytes encode(const HeldRow& row);

SegmentRow decode_segment_row(BytesView octets);
ContextRow decode_context_row(BytesView octets);
ActorRow decode_actor_row(BytesView octets);
DotRow decode_dot_row(BytesView octets);
BatchRow decode_batch_row(BytesView octets);
RecordRow decode_record_row(BytesView octets);
JournalRow decode_journal_row(BytesView octets);
PeerRow decode_peer_row(BytesView octets);
Position decode_position(BytesView octets);
HeldRow decode_held_row(BytesView octets);

}  // namespace loam
