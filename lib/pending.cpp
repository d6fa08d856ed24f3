#include "lib/pending.hpp"

#include <algorithm>

#include "crdt/error.hpp"
#include "lib/shared_tables.hpp"

namespace loam {
namespace {

constexpr std::size_t entry_octets = 2 + 16 + 8;

constexpr std::size_t row_entries_max = 1'024;

constexpr std::string_view state_key = "pending";

// So many lookups look into the rows before the index is made: what opens a store to read one record
// should not wait for it.
constexpr int lookups_by_row = 8;

ElementEntry entry_at(const std::byte* octets) {
  ElementEntry entry{load_u16(octets), {}, load_u64(octets + 18)};
  std::copy_n(octets + 2, 16, entry.element.bytes.begin());
  return entry;
}

// The entries of a row: sorted.
BytesView entries_of(const lmdb::Cursor& at) {
  if (at.value().size() % entry_octets != 0) {
    throw Error(ErrorCode::damaged, "table pending: a row does not decode");
  }
  return at.value();
}

void write_state(lmdb::WriteTxn& txn, const PendingState& state) {
  std::array<std::byte, 24> row{};
  store_u64(row.data(), state.folds);
  store_u64(row.data() + 8, state.rows);
  store_u64(row.data() + 16, state.entries);
  txn.put(table::meta, bytes_of(state_key), row);
}

}  // namespace

PendingState read_pending_state(const lmdb::ReadTxn& txn) {
  const auto row = txn.get(table::meta, bytes_of(state_key));
  if (!row) return {};
  if (row->size() != 24) throw Error(ErrorCode::damaged, "table meta: pending does not decode");
  return {load_u64(row->data()), load_u64(row->data() + 8), load_u64(row->data() + 16)};
}

void append_pending(lmdb::WriteTxn& txn, std::vector<ElementEntry> entries) {
  if (entries.empty()) return;
  if (!std::is_sorted(entries.begin(), entries.end())) std::sort(entries.begin(), entries.end());
  PendingState state = read_pending_state(txn);
  for (std::size_t first = 0; first < entries.size(); first += row_entries_max) {
    const std::size_t count = std::min(row_entries_max, entries.size() - first);
    Bytes row(count * entry_octets);
    std::byte* at = row.data();
    for (std::size_t i = 0; i < count; ++i, at += entry_octets) {
      const ElementEntry& entry = entries[first + i];
      store_u16(at, entry.segment);
      std::copy_n(entry.element.bytes.begin(), 16, at + 2);
      store_u64(at + 18, entry.sequence);
    }
    txn.append(table::pending, TableKey().u64(state.rows++), row);
  }
  state.entries += entries.size();
  write_state(txn, state);
}

void clear_pending(lmdb::WriteTxn& txn) {
  PendingState state = read_pending_state(txn);
  std::vector<Bytes> keys;
  lmdb::Cursor cursor = txn.cursor(table::pending);
  for (bool on = cursor.first(); on; on = cursor.next()) keys.push_back(copy_of(cursor.key()));
  for (const Bytes& key : keys) txn.erase(table::pending, key);
  ++state.folds;
  state.entries = 0;
  write_state(txn, state);
}

void for_pending(const lmdb::ReadTxn& txn, std::uint64_t first,
                 const std::function<void(const ElementEntry&)>& each) {
  lmdb::Cursor cursor = txn.cursor(table::pending);
  for (bool on = cursor.seek(TableKey().u64(first)); on; on = cursor.next()) {
    const BytesView row = entries_of(cursor);
    for (std::size_t at = 0; at < row.size(); at += entry_octets) each(entry_at(row.data() + at));
  }
}

void for_pending_between(const lmdb::ReadTxn& txn, SegmentNumber segment, const ElementId& low,
                         const ElementId& high,
                         const std::function<void(const ElementEntry&)>& each) {
  const ElementEntry least{segment, low, 0};
  lmdb::Cursor cursor = txn.cursor(table::pending);
  for (bool on = cursor.first(); on; on = cursor.next()) {
    const BytesView row = entries_of(cursor);
    std::size_t first = 0;
    for (std::size_t count = row.size() / entry_octets; count > 0;) {
      const std::size_t half = count / 2;
      const bool is_below = entry_at(row.data() + (first + half) * entry_octets) < least;
      first = is_below ? first + half + 1 : first;
      count = is_below ? count - half - 1 : half;
    }
    for (std::size_t at = first * entry_octets; at < row.size(); at += entry_octets) {
      const ElementEntry entry = entry_at(row.data() + at);
      if (entry.segment != segment || high < entry.element) break;
      each(entry);
    }
  }
}

void PendingIndex::follow(const lmdb::ReadTxn& txn) {
  const PendingState now = read_pending_state(txn);
  const bool is_sure = reopenings_ == txn.reopenings();  // else what was read may be lost
  if (now == state_ && is_sure) return;
  if (!is_sure || now.folds != state_.folds || now.rows < state_.rows) {
    sequences_.clear();
    state_ = {};
    reopenings_ = txn.reopenings();
  }
  for_pending(txn, state_.rows, [&](const ElementEntry& entry) {
    sequences_.emplace(Key{entry.segment, entry.element}, entry.sequence);
  });
  state_ = now;
}

void PendingIndex::find(SegmentNumber segment, const ElementId& element,
                        std::vector<std::uint64_t>& sequences) const {
  const auto [begin, end] = sequences_.equal_range(Key{segment, element});
  for (auto at = begin; at != end; ++at) sequences.push_back(at->second);
}

std::vector<ElementEntry> PendingIndex::entries() const {
  std::vector<ElementEntry> entries;
  entries.reserve(sequences_.size());
  for (const auto& [key, sequence] : sequences_) {
    entries.push_back({key.segment, key.element, sequence});
  }
  return entries;
}

void SharedPendingIndex::find(const lmdb::ReadTxn& txn, SegmentNumber segment,
                              const ElementId& element,
                              std::vector<std::uint64_t>& sequences) const {
  if (lookups_.load(std::memory_order_relaxed) >= lookups_by_row) {
    const std::pair snapshot{txn.reopenings(), txn.number()};
    {
      const std::shared_lock lock(mutex_);
      if (followed_ == snapshot) return index_.find(segment, element, sequences);
    }
    const std::lock_guard lock(mutex_);
    if (followed_ < snapshot) {
      index_.follow(txn);
      followed_ = snapshot;
    }
    // A snapshot from before the last fold has a list of its own.
    if (followed_ == snapshot || read_pending_state(txn).folds == index_.state().folds) {
      return index_.find(segment, element, sequences);
    }
  }
  lookups_.fetch_add(1, std::memory_order_relaxed);
  for_pending_between(txn, segment, element, element, [&](const ElementEntry& entry) {
    sequences.push_back(entry.sequence);
  });
}

}  // namespace loam
