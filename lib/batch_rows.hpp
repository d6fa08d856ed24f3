#pragma once

#include <bitset>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "crdt/batch.hpp"
#include "lib/shared_tables.hpp"
#include "lib/store_identity.hpp"

namespace loam {

class SharedStore;

/// Batches that one write transaction holds in memory at most, beside those that it writes.
inline constexpr std::size_t batches_kept_max = 1'024;

/// Octets of records of one batch at most, unless it has only one record: so that most batches fit into one chunk of
/// a link, and no hashes of what stands in the next have to travel.
inline constexpr std::size_t batch_octets_max = 48 * 1'024;

/// Where records stand that others have signed.
using BatchPlaces = std::map<Dot, BatchPlace>;

/// What one write transaction does to batches: it writes records, which are signed at its end, and drops
/// records, whose hashes then stand in the rest of their batches. A batch of which no record lives is forgotten.
/// Writer thread only.
class BatchRows {
 public:
  BatchRows(const SharedStore& store, lmdb::WriteTxn& txn, const SharedReader& reader)
      : store_(store), txn_(txn), reader_(reader) {}

  /// A record that this instance writes, under its actor's next counter. Says where it stands; not signed when
  /// the store has no key.
  BatchPlace write(SegmentNumber segment, ActorIndex actor, std::uint64_t counter, const ContentHash& content,
                   std::size_t octets);

  /// What the next batches say that their author had seen of the registry. Signs what was written before.
  void set_frontier(std::vector<std::pair<ActorIndex, std::uint64_t>> frontier);

  /// What the next batch, of one record of a governed segment, supersedes.
  void supersede(std::vector<std::pair<ActorIndex, RangeSet>> superseded) { superseded_ = std::move(superseded); }

  /// Signs what was written of an actor, and writes its rows: what follows is another batch.
  void close(SegmentNumber segment, ActorIndex actor);

  /// A part of a batch that comes in, with its records. Says which variant it is, so that they can be put in by
  /// `insert`; absent when there is no room for another. Its frontier's actors, and those of what it supersedes,
  /// have numbers.
  std::optional<std::uint8_t> bring(SegmentNumber segment, ActorIndex actor, const BatchPart& part,
                                    const TreePart& records);

  /// A record of a batch that was brought becomes live.
  void insert(SegmentNumber segment, ActorIndex actor, std::uint64_t counter, const BatchPlace& at);

  /// The records of what was brought are in.
  void settle();

  /// Writes the rows of all but what is still open.
  void put_settled() { put_those_not_kept(); }

  /// A live record that goes; before its row does.
  void drop(SegmentNumber segment, ActorIndex actor, std::uint64_t counter, const BatchPlace& at);

  /// Signs what was written, and writes the rows. Once, at the end of the transaction.
  void finish();

 private:
  struct Key {
    SegmentNumber segment = 0;
    ActorIndex actor = 0;
    std::uint64_t first = 0;
    std::uint8_t variant = 0;
    auto operator<=>(const Key&) const = default;
  };
  struct Known {
    BatchRow row;
    TreePart part;                 ///< the records that lived before, or that were written
    std::bitset<batch_records_max> live;  ///< places of those that live now
    std::size_t octets = 0;        ///< of the records of an open one
    bool is_kept = false;          ///< it is open, or its records are not all in yet
  };

  Known& load(const Key& key);
  void keep(const Key& key, Known& known);
  std::vector<Key> variants(const Key& first) const;
  BatchRow row_of(const BatchPart& part) const;
  void sign(const Key& key, Known& known) const;
  void sign_open();
  void put(const Key& key, Known& known);
  void put_those_not_kept();

  const SharedStore& store_;
  lmdb::WriteTxn& txn_;
  const SharedReader& reader_;
  std::map<Key, Known> known_;
  std::map<std::pair<SegmentNumber, ActorIndex>, Key> open_;
  std::vector<Key> brought_;
  std::vector<std::pair<ActorIndex, std::uint64_t>> frontier_;
  std::vector<std::pair<ActorIndex, RangeSet>> superseded_;
};

/// What stands beside some live records of a batch when they travel. `here` has them, `seen` the counters of which it
/// has all that live. Absent: the row does not fit the records.
std::optional<BatchPart> part_of(const SharedReader& reader, SegmentNumber segment, ActorIndex actor,
                                 std::uint64_t first, std::uint8_t variant, const std::vector<TreeLeaf>& here,
                                 const RangeSet& seen);

/// What stands beside live records that travel alone, each without the others of its batch. The hashes of a batch are
/// kept for its other records, so many ask in an order that has them together. One thread.
class SingleParts {
 public:
  /// Absent: it is not signed, or the row does not fit the records.
  std::optional<BatchPart> part_of(const SharedReader& reader, SegmentNumber segment, ActorIndex actor,
                                   std::uint64_t counter, const BatchPlace& at);

 private:
  using Key = std::tuple<SegmentNumber, ActorIndex, std::uint64_t, std::uint8_t>;  ///< of a batch
  struct Kept {
    Signature signature;  ///< of whichever batch stood there
    TreePaths paths;
  };

  std::map<Key, Kept> kept_;
};

/// The batch of a row, with its records as they live here: what its author has signed. Absent: the row does not fit
/// the records.
std::optional<Batch> batch_of(const SharedReader& reader, const StoreIdentity& identity, SegmentNumber segment,
                              ActorIndex actor, std::uint64_t first, std::uint8_t variant, const BatchRow& row);

/// The live records of a batch, by place.
std::vector<TreeLeaf> live_leaves(const SharedReader& reader, SegmentNumber segment, ActorIndex actor,
                                  std::uint64_t first, std::uint8_t variant, std::uint16_t count);

}  // namespace loam
