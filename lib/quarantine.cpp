#include "lib/quarantine.hpp"

#include "crdt/error.hpp"
#include "lib/segment_dots.hpp"
#include "lib/shared_store.hpp"

namespace loam {
namespace {

constexpr std::string_view count_key = "quarantines";

std::vector<Bytes> keys_where(const lmdb::ReadTxn& txn, lmdb::Table table,
                              const std::function<bool(const lmdb::Cursor&)>& matches) {
  std::vector<Bytes> keys;
  lmdb::Cursor cursor = txn.cursor(table, lmdb::Damage::mark);
  for (bool on = cursor.first(); on; on = cursor.next()) {
    if (matches(cursor)) keys.push_back(copy_of(cursor.key()));
  }
  return keys;
}

}  // namespace

namespace {

QuarantineCounts counts_of(const SharedReader& reader, std::optional<SegmentNumber> segment) {
  QuarantineCounts counts;
  if (reader.txn().count(table::held) == 0) return counts;
  for (const HeldItem& item : reader.held(HeldReason::damaged)) {
    if (segment && item.row.segment != *segment) continue;
    for (const auto& [actor, counters] : item.row.dots) {
      const auto row = reader.context(item.row.segment, actor);
      const bool is_known = row && row->covered.contains(counters);
      ++(is_known ? counts.repaired : counts.open);
    }
  }
  return counts;
}

}  // namespace

QuarantineCounts quarantine_counts(const SharedReader& reader) { return counts_of(reader, std::nullopt); }

QuarantineCounts quarantined_of(const SharedReader& reader, SegmentNumber segment) { return counts_of(reader, segment); }

std::set<std::uint64_t> damaged_records(const lmdb::ReadTxn& txn) {
  std::set<std::uint64_t> sequences;
  lmdb::Cursor cursor = txn.cursor(table::rec, lmdb::Damage::mark);
  for (bool on = cursor.first(); on; on = cursor.next()) {
    const bool is_sound = !cursor.is_damaged() && cursor.value().size() >= record_row_octets;
    if (!is_sound) sequences.insert(load_u64(cursor.key().data()));
  }
  return sequences;
}

std::uint64_t read_quarantines(const lmdb::ReadTxn& txn) {
  const auto row = txn.get(table::meta, bytes_of(count_key));
  if (!row) return 0;
  if (row->size() != 8) throw Error(ErrorCode::damaged, "table meta: quarantines does not decode");
  return load_u64(row->data());
}

void write_quarantines(lmdb::WriteTxn& txn, std::uint64_t count) {
  txn.put(table::meta, bytes_of(count_key), TableKey().u64(count).view());
}

std::vector<PlacedDot> placed_dots(const lmdb::ReadTxn& txn,
                                   const std::set<std::uint64_t>& sequences) {
  std::vector<PlacedDot> found;
  lmdb::Cursor cursor = txn.cursor(table::dot);
  for (bool on = cursor.first(); on && found.size() < sequences.size(); on = cursor.next()) {
    if (cursor.key().size() != dot_key_octets) continue;
    const DotRow row = decode_dot_row(cursor.value());
    if (!sequences.contains(row.sequence)) continue;
    const std::byte* const key = cursor.key().data();
    found.push_back({load_u16(key), load_u32(key + 2), load_u64(key + 6), row.sequence});
  }
  return found;
}

void erase_index_rows(lmdb::WriteTxn& txn, SegmentNumber segment, Kind kind,
                      std::uint64_t sequence) {
  const lmdb::Table index = kind == Kind::set ? table::elem : table::reg;
  const TableKey prefix = segment_key(segment);
  const auto keys = keys_where(txn, index, [&](const lmdb::Cursor& at) {
    if (!starts_with(at.key(), prefix)) return false;
    if (kind == Kind::set) return load_u64(at.key().last(8).data()) == sequence;
    return at.value().size() == 8 && load_u64(at.value().data()) == sequence;
  });
  for (const Bytes& key : keys) txn.erase(index, key);
}

std::uint64_t SharedBatch::quarantine(std::set<std::uint64_t> sequences) {
  std::erase_if(sequences, [&](std::uint64_t sequence) {
    const bool is_there = txn_.look(table::rec, TableKey().u64(sequence)).has_value();
    return !is_there || reader_.sound_record(sequence);
  });
  const auto placed = placed_dots(txn_, sequences);
  std::set<SegmentNumber> segments;
  for (const PlacedDot& at : placed) {
    const ActorId actor = reader_.actor(at.actor).id;
    HeldRow row{HeldReason::damaged, at.segment, {}, 0, {}, {}};
    row.record = copy_of(txn_.look(table::rec, TableKey().u64(at.sequence))->value);
    row.dots.emplace_back(at.actor, RangeSet(Range{at.counter, at.counter}));
    SegmentDots(*this, at.segment, {}).drop({actor, at.counter});
    ContextCache& cache = context(at.segment, at.actor, actor);
    cache.row.covered = cache.row.covered.minus(row.dots[0].second);
    cache.dirty = true;
    hold(std::move(row));
    segments.insert(at.segment);
  }
  if (placed.empty()) return 0;
  // Whoever has followed a peer's journal beyond those dots would never hear of them again.
  const auto keys = keys_where(txn_, table::positions, [&](const lmdb::Cursor& at) {
    return at.key().size() == 18 && segments.contains(load_u16(at.key().data() + 16));
  });
  for (const Bytes& key : keys) txn_.erase(table::positions, key);
  // Sessions that are under way compare anew: what they have told peers to be covered no longer is.
  for (const SegmentNumber number : segments) {
    segment(number).row.state.journal = store_.new_journal_id();
  }
  quarantines_ = quarantines() + 1;
  write_quarantines(txn_, *quarantines_);
  return placed.size();
}

std::optional<ActorId> SharedBatch::live_actor() { return store_.live_actor(quarantines()); }

std::uint64_t SharedBatch::quarantines() {
  if (!quarantines_) quarantines_ = read_quarantines(txn_);
  return *quarantines_;
}

}  // namespace loam
