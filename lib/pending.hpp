#pragma once

#include <atomic>
#include <functional>
#include <shared_mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/layout.hpp"
#include "lib/lmdb.hpp"

namespace loam {

/// One entry of the element index: a record of the segment with that sequence is one of the element.
/// An entry may outlive its record; whoever reads one looks whether the record still says so.
struct ElementEntry {
  SegmentNumber segment = 0;
  ElementId element;
  std::uint64_t sequence = 0;

  auto operator<=>(const ElementEntry&) const = default;
};

/// Commits with fewer new records than this enter them into the index at once.
inline constexpr std::size_t pending_entries_min = 16;

/// The pending list is folded into the index when it has more entries than an eighth of the records,
/// but not before the first bound and not after the second.
inline constexpr std::uint64_t pending_fold_min = 8'192;
inline constexpr std::uint64_t pending_fold_max = 131'072;

/// What the pending list holds. Table `meta`, "pending".
struct PendingState {
  std::uint64_t folds = 0;    ///< how often it was emptied
  std::uint64_t rows = 0;     ///< rows ever appended; the next one's number
  std::uint64_t entries = 0;  ///< in the list now

  bool operator==(const PendingState&) const = default;
};

/// The list of new index entries, one row per commit, that is folded into table `elem` in bulk. Ids are
/// hashes, so entering each record by itself would rewrite a page per record: 4 KiB for 40 octets.
PendingState read_pending_state(const lmdb::ReadTxn& txn);
void append_pending(lmdb::WriteTxn& txn, std::vector<ElementEntry> entries);

/// Empties the list. The caller has entered what it held.
void clear_pending(lmdb::WriteTxn& txn);

/// Calls `each` with every entry of the list, rows from number `first` on.
void for_pending(const lmdb::ReadTxn& txn, std::uint64_t first,
                 const std::function<void(const ElementEntry&)>& each);

/// The same for the entries of a segment with ids between two, both included; without an index in memory:
/// looks into every row, not at every entry.
void for_pending_between(const lmdb::ReadTxn& txn, SegmentNumber segment, const ElementId& low,
                         const ElementId& high,
                         const std::function<void(const ElementEntry&)>& each);

/// The list in memory, by element: for whoever looks up many. At most `pending_fold_max` entries and
/// one commit's. One thread.
class PendingIndex {
 public:
  /// Takes over what a transaction sees: only the new rows, when nothing was folded since and what is
  /// known was not lost to a failing disk.
  void follow(const lmdb::ReadTxn& txn);

  const PendingState& state() const noexcept { return state_; }

  /// Sequences of an element, in no order.
  void find(SegmentNumber segment, const ElementId& element,
            std::vector<std::uint64_t>& sequences) const;

  std::vector<ElementEntry> entries() const;

 private:
  struct Key {
    SegmentNumber segment;
    ElementId element;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return load_u64(key.element.bytes.data()) + key.segment;  // ids are hashes already
    }
  };

  PendingState state_;
  std::uint64_t reopenings_ = 0;  ///< of the environment, when `state_` was read
  std::unordered_multimap<Key, std::uint64_t, KeyHash> sequences_;
};

/// The list in memory for all readers of a store. Any thread.
class SharedPendingIndex {
 public:
  /// Sequences of an element, in no order: those that the list of the snapshot has, and perhaps some that
  /// the snapshot does not know.
  void find(const lmdb::ReadTxn& txn, SegmentNumber segment, const ElementId& element,
            std::vector<std::uint64_t>& sequences) const;

 private:
  mutable std::shared_mutex mutex_;
  mutable PendingIndex index_;
  /// Reopenings and number of the newest transaction that the index has the list of.
  mutable std::pair<std::uint64_t, std::uint64_t> followed_{};
  mutable std::atomic<int> lookups_{0};
};

}  // namespace loam
