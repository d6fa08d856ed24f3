#include "lib/private_store.hpp"

#include "crdt/error.hpp"
#include "lib/packet_log.hpp"
#include "lib/private_tables.hpp"
#include "lib/shared_tables.hpp"

namespace loam {
namespace {

namespace tables = private_table;

constexpr PacketLog packet_log{tables::packets, tables::packet_log};

TableKey record_key(SegmentNumber segment, const PacketId& id) {
  return TableKey().u16(segment).octets(id.view());
}

PrivateCounts read_counts(const lmdb::ReadTxn& txn, SegmentNumber segment) {
  const auto row = txn.get(tables::counts, segment_key(segment));
  if (!row) return {};
  if (row->size() != 16) throw Error(ErrorCode::damaged, "table counts: a row does not decode");
  return {load_u64(row->data()), load_u64(row->data() + 8)};
}

PrivateRecord record_at(const lmdb::Cursor& cursor) {
  return {*PacketId::from(cursor.key().subspan(2, 16)), copy_of(cursor.value()),
          cursor.is_damaged()};
}

}  // namespace

bool PrivateBatch::add(SegmentNumber segment, const PrivateRecord& record) {
  const TableKey key = record_key(segment, record.id);
  if (txn_.look(tables::rec, key)) return false;
  txn_.put(tables::rec, key, record.record);
  count(segment, 1, static_cast<std::int64_t>(record.record.size()));
  return true;
}

void PrivateBatch::remove(SegmentNumber segment, const PacketId& id) {
  const TableKey key = record_key(segment, id);
  const auto row = txn_.look(tables::rec, key);  // what cannot be read can be removed
  if (!row) throw Error(ErrorCode::not_found, "record " + id.text());
  const auto octets = static_cast<std::int64_t>(row->value.size());
  txn_.erase(tables::rec, key);
  count(segment, -1, -octets);
}

bool PrivateBatch::put(SegmentNumber segment, std::string_view key,
                       const std::optional<Bytes>& value, std::int64_t now_ms) {
  const TableKey at = register_prefix(segment, key);
  Hlc after;
  std::optional<std::size_t> before;
  if (const auto row = txn_.look(tables::reg, at)) {
    if (!row->is_damaged) after = decode_map_record(row->value).stamp;
    before = row->value.size();
  }
  if (!value) {
    if (!before) throw Error(ErrorCode::not_found, "key " + std::string(key));
    txn_.erase(tables::reg, at);
    count(segment, -1, -static_cast<std::int64_t>(*before));
    return true;
  }
  const Bytes record = encode(MapRecord{Clock().next(now_ms, after), std::string(key), value});
  txn_.put(tables::reg, at, record);
  count(segment, before ? 0 : 1,
        static_cast<std::int64_t>(record.size()) - static_cast<std::int64_t>(before.value_or(0)));
  return before.has_value();
}

std::optional<std::string> PrivateBatch::receipt_of(const PacketId& packet) const {
  return packet_log.receipt_of(txn_, packet);
}

void PrivateBatch::remember_packet(const PacketId& packet, const std::string& receipt_id) {
  packet_log.remember(txn_, packet, receipt_id);
}

void PrivateBatch::count(SegmentNumber segment, std::int64_t records, std::int64_t octets) {
  const PrivateCounts counts = read_counts(txn_, segment);
  std::array<std::byte, 16> row{};
  store_u64(row.data(), counts.records + static_cast<std::uint64_t>(records));
  store_u64(row.data() + 8, counts.octets + static_cast<std::uint64_t>(octets));
  txn_.put(tables::counts, segment_key(segment), row);
}

PrivateStore::PrivateStore(const std::filesystem::path& dir, const SegmentTable& segments,
                           const Config& config)
    : env_(lmdb::Env::open(
          {.dir = dir, .octets_max = config.map_octets_max, .tables = private_table_names()})) {
  if (load(segments)) return;
  env_->write([&](lmdb::WriteTxn& txn) {
    std::array<std::byte, 4> format{};
    store_u32(format.data(), store_format);
    txn.put(tables::meta, bytes_of(meta::format), format);
    SegmentNumber next = static_cast<SegmentNumber>(txn.count(tables::segs) + 1);
    for (const Segment& segment : segments.all()) {
      if (segment.scope != Scope::priv || txn.get(tables::segs, bytes_of(segment.name))) continue;
      std::array<std::byte, 3> row{};
      store_u16(row.data(), next++);
      row[2] = static_cast<std::byte>(segment.kind);
      txn.put(tables::segs, bytes_of(segment.name), row);
    }
  });
  if (!load(segments)) throw Error(ErrorCode::failed, "private store: cannot be set up");
}

// Beside the shared environment, so that an instance that lost it still knows who it is.
void PrivateStore::remember_identity(const StoreIdentity& identity) {
  const auto known = read_private_identity(*env_);
  const bool is_known = known && known->name == identity.name && known->federation == identity.federation &&
                        known->root == identity.root;
  if (is_known) return;
  env_->write([&](lmdb::WriteTxn& txn) {
    txn.put(tables::meta, bytes_of(meta::name), bytes_of(identity.name));
    txn.put(tables::meta, bytes_of(meta::federation), identity.federation.view());
    if (identity.root) txn.put(tables::meta, bytes_of(meta::root), encode(*identity.root));
  });
}

std::optional<StoreIdentity> read_private_identity(const lmdb::Env& env) {
  return env.read([](const lmdb::ReadTxn& txn) -> std::optional<StoreIdentity> {
    const auto name = txn.get(tables::meta, bytes_of(meta::name));
    const auto federation = txn.get(tables::meta, bytes_of(meta::federation));
    if (!name || !federation || federation->size() != 16) return std::nullopt;
    const auto root = txn.get(tables::meta, bytes_of(meta::root));
    return StoreIdentity{std::string(text_of(*name)), *FederationId::from(*federation),
                         root ? decode_root(*root) : std::nullopt};
  });
}

// False: segments are missing, or the format is older; that must be written first.
bool PrivateStore::load(const SegmentTable& segments) {
  return env_->read([&](const lmdb::ReadTxn& txn) {
    const auto format = txn.get(tables::meta, bytes_of(meta::format));
    if (!format) return false;
    if (format->size() != 4 || load_u32(format->data()) > store_format) {
      throw Error(ErrorCode::damaged, "private store: its format is newer than " +
                                          std::to_string(store_format) + ": update loam");
    }
    if (load_u32(format->data()) < store_format) return false;  // 2 is as 1 was
    for (const Segment& segment : segments.all()) {
      if (segment.scope != Scope::priv) continue;
      const auto row = txn.get(tables::segs, bytes_of(segment.name));
      if (!row) return false;
      if (row->size() != 3) throw Error(ErrorCode::damaged, "table segs: a row does not decode");
      if ((*row)[2] != static_cast<std::byte>(segment.kind)) {
        throw Error(ErrorCode::invalid, "segment " + segment.name + ": changed its kind");
      }
      numbers_[segment.name] = load_u16(row->data());
    }
    return true;
  });
}

std::optional<PrivateRecord> PrivateStore::get(SegmentNumber segment, const PacketId& id) const {
  return env_->read([&](const lmdb::ReadTxn& txn) -> std::optional<PrivateRecord> {
    const auto row = txn.look(tables::rec, record_key(segment, id));
    if (!row) return std::nullopt;
    return PrivateRecord{id, copy_of(row->value), row->is_damaged};
  });
}

std::vector<PrivateRecord> PrivateStore::between(SegmentNumber segment, const PacketId& low,
                                                 const PacketId& high, std::size_t max) const {
  return env_->read([&](const lmdb::ReadTxn& txn) {
    std::vector<PrivateRecord> found;
    lmdb::Cursor cursor = txn.cursor(tables::rec, lmdb::Damage::mark);
    const TableKey prefix = segment_key(segment);
    for (bool on = cursor.seek(record_key(segment, low)); on; on = cursor.next()) {
      if (!starts_with(cursor.key(), prefix) || found.size() >= max) break;
      PrivateRecord record = record_at(cursor);
      if (high < record.id) break;
      found.push_back(std::move(record));
    }
    return found;
  });
}

std::vector<PrivateRecord> PrivateStore::newest(SegmentNumber segment,
                                                const std::optional<PacketId>& before,
                                                std::size_t max) const {
  return env_->read([&](const lmdb::ReadTxn& txn) {
    std::vector<PrivateRecord> found;
    lmdb::Cursor cursor = txn.cursor(tables::rec, lmdb::Damage::mark);
    const TableKey prefix = segment_key(segment);
    // Stand just behind the part that is wanted, then walk backwards.
    const TableKey behind = before ? record_key(segment, *before)
                                   : segment_key(static_cast<SegmentNumber>(segment + 1));
    bool on = cursor.seek(behind) ? cursor.previous() : cursor.last();
    for (; on && found.size() < max && starts_with(cursor.key(), prefix); on = cursor.previous()) {
      found.push_back(record_at(cursor));
    }
    return found;
  });
}

std::optional<PrivateEntry> PrivateStore::entry(SegmentNumber segment, std::string_view key) const {
  return env_->read([&](const lmdb::ReadTxn& txn) -> std::optional<PrivateEntry> {
    const auto row = txn.look(tables::reg, register_prefix(segment, key));
    if (!row) return std::nullopt;
    return PrivateEntry{std::string(key), copy_of(row->value), row->is_damaged};
  });
}

std::vector<PrivateEntry> PrivateStore::entries(SegmentNumber segment, std::string_view after,
                                                std::size_t max) const {
  return env_->read([&](const lmdb::ReadTxn& txn) {
    std::vector<PrivateEntry> found;
    lmdb::Cursor cursor = txn.cursor(tables::reg, lmdb::Damage::mark);
    const TableKey prefix = segment_key(segment);
    for (bool on = cursor.seek(TableKey(prefix).text(after)); on; on = cursor.next()) {
      if (!starts_with(cursor.key(), prefix) || found.size() >= max) break;
      const BytesView key = cursor.key().subspan(2);
      const std::string text(text_of(key.first(key.size() - 1)));
      if (!after.empty() && text <= after) continue;
      found.push_back({text, copy_of(cursor.value()), cursor.is_damaged()});
    }
    return found;
  });
}

PrivateCounts PrivateStore::counts(SegmentNumber segment) const {
  return env_->read([&](const lmdb::ReadTxn& txn) { return read_counts(txn, segment); });
}

}  // namespace loam
