#pragma once

#include <map>
#include <set>
#include <string>

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
    std::set<std::uint32_t> live;  ///< places of those that live now
    std::size_t octets = 0;        ///< of the records of an open one
    bool is_open = false;
  };

  Known& load(const Key& key);
  void sign(const Key& key, Known& known) const;
  void put(const Key& key, Known& known);
  void put_all_that_are_closed();

  const SharedStore& store_;
  lmdb::WriteTxn& txn_;
  const SharedReader& reader_;
  std::map<Key, Known> known_;
  std::map<std::pair<SegmentNumber, ActorIndex>, Key> open_;
};

/// The batch of a row, with its records as they live here: what its author has signed. Absent: the row does not fit
/// the records.
std::optional<Batch> batch_of(const SharedReader& reader, const StoreIdentity& identity, SegmentNumber segment,
                              ActorIndex actor, std::uint64_t first, std::uint8_t variant, const BatchRow& row);

/// The live records of a batch, by place.
std::vector<TreeLeaf> live_leaves(const SharedReader& reader, SegmentNumber segment, ActorIndex actor,
                                  std::uint64_t first, std::uint8_t variant, std::uint16_t count);

}  // namespace loam
