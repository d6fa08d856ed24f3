#include "lib/held.hpp"

#include "crdt/error.hpp"
#include "crdt/hash.hpp"

namespace loam {
namespace {

constexpr std::string_view counters_key = "held";

std::optional<BytesView> counters_row(const lmdb::ReadTxn& txn) {
  const auto row = txn.get(table::meta, bytes_of(counters_key));
  if (row && row->size() != 16) {
    throw Error(ErrorCode::damaged, "table meta: held does not decode");
  }
  return row;
}

// Two rows are one when they say the same of the same dots, whoever said it and when.
ContentHash name_of(const HeldRow& row) {
  HeldRow what = row;
  what.peer = {};
  what.at_ms = 0;
  return content_hash(encode(what));
}

}  // namespace

std::uint64_t held_octets(const lmdb::ReadTxn& txn) {
  const auto row = counters_row(txn);
  return row ? load_u64(row->data() + 8) : 0;
}

HeldCounters& HeldWriter::counters() {
  if (!counters_) {
    counters_.emplace();
    if (const auto row = counters_row(txn_)) {
      *counters_ = {load_u64(row->data()), load_u64(row->data() + 8)};
    }
  }
  return *counters_;
}

bool HeldWriter::is_known(const HeldRow& row) {
  if (!known_) {
    known_.emplace();
    for (const HeldItem& item : SharedReader(txn_).held(HeldReason::equivocation)) {
      known_->insert(name_of(item.row));
    }
  }
  return !known_->insert(name_of(row)).second;
}

void HeldWriter::hold(const HeldRow& row) {
  if (row.reason == HeldReason::equivocation && is_known(row)) return;
  const Bytes octets = encode(row);
  HeldCounters& counters = this->counters();
  txn_.append(table::held, TableKey().u64(counters.next++), octets);
  counters.octets += octets.size();
  make_room();
}

void HeldWriter::make_room() {
  lmdb::Cursor cursor = txn_.cursor(table::held);
  bool on = cursor.first();
  while (on && (txn_.count(table::held) > held_rows_max || counters().octets > held_octets_max)) {
    const Bytes key = copy_of(cursor.key());
    const bool stays = decode_held_row(cursor.value()).reason == HeldReason::removal;
    if (!stays) release(load_u64(key.data()));
    on = cursor.seek(key) && (!stays || cursor.next());
  }
}

bool HeldWriter::release(std::uint64_t sequence) {
  const TableKey key = TableKey().u64(sequence);
  const auto row = txn_.get(table::held, key);
  if (!row) return false;
  counters().octets -= row->size();
  txn_.erase(table::held, key);
  return true;
}

void HeldWriter::finish() {
  if (!counters_) return;
  std::array<std::byte, 16> row{};
  store_u64(row.data(), counters_->next);
  store_u64(row.data() + 8, counters_->octets);
  txn_.put(table::meta, bytes_of(counters_key), row);
}

}  // namespace loam
