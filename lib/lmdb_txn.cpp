#include <cassert>
#include <utility>

#include "crdt/big_endian.hpp"
#include "crdt/error.hpp"
#include "lib/lmdb_checksum.hpp"
#include "lib/lmdb_state.hpp"
#include "planted.hpp"

namespace loam::lmdb {
namespace {

MDB_txn* txn_of(void* handle) { return static_cast<MDB_txn*>(handle); }
MDB_cursor* cursor_of(void* handle) { return static_cast<MDB_cursor*>(handle); }

MDB_val value_of(BytesView bytes) {
  return {bytes.size(), const_cast<std::byte*>(bytes.data())};  // LMDB does not write through it
}

BytesView view_of(const MDB_val& value) {
  return {static_cast<const std::byte*>(value.mv_data), value.mv_size};
}

MDB_dbi table_of(const EnvState& env, Table table) {
  const auto index = static_cast<std::size_t>(table);
  assert(index < env.handles.size());
  return env.handles[index];
}

// The name of the table of a handle, for messages.
std::string table_name(const EnvState& env, MDB_dbi handle) {
  for (std::size_t i = 0; i < env.handles.size(); ++i) {
    if (env.handles[i] == handle) return env.tables[i];
  }
  return "?";
}

Stored looked_at(BytesView key, BytesView stored) {
  if (stored.size() < checksum_octets) return {stored, true};
  const BytesView value = stored.first(stored.size() - checksum_octets);
  if (planted(Bug::checksum_not_verified)) return {value, false};
  return {value, load_u32(stored.data() + value.size()) != checksum(key, value)};
}

[[noreturn]] void refuse(const EnvState& env, MDB_dbi table, BytesView key) {
  throw Error(ErrorCode::damaged, "store " + env.dir.string() + ": table " +
                                      table_name(env, table) + ": " + entry_name(key) +
                                      ": its checksum does not match");
}

void store(EnvState& env, MDB_txn* txn, MDB_dbi table, BytesView key, BytesView value,
           unsigned flags) {
  MDB_val key_value = value_of(key);
  MDB_val room{value.size() + checksum_octets, nullptr};
  const int code = mdb_put(txn, table, &key_value, &room, flags | MDB_RESERVE);
  if (code == MDB_MAP_FULL) env.map_full = true;
  if (code == MDB_KEYEXIST) {
    throw Error(ErrorCode::failed, "store " + env.dir.string() + ": table " +
                                       table_name(env, table) +
                                       ": appended key is not the greatest");
  }
  env.check(code, "cannot put");
  auto* const to = static_cast<std::byte*>(room.mv_data);
  if (!value.empty()) std::memcpy(to, value.data(), value.size());
  store_u32(to + value.size(), checksum(key, value));
}

}  // namespace

std::optional<BytesView> ReadTxn::get(Table table, BytesView key) const {
  if (key.empty()) return std::nullopt;
  const MDB_dbi handle = table_of(*env_, table);
  MDB_val key_value = value_of(key);
  MDB_val stored{};
  const int code = mdb_get(txn_of(handle_), handle, &key_value, &stored);
  if (code == MDB_NOTFOUND) return std::nullopt;
  env_->check(code, "cannot get");
  const Stored found = looked_at(key, view_of(stored));
  if (found.is_damaged) refuse(*env_, handle, key);
  return found.value;
}

std::optional<Stored> ReadTxn::look(Table table, BytesView key) const {
  if (key.empty()) return std::nullopt;
  MDB_val key_value = value_of(key);
  MDB_val stored{};
  const int code = mdb_get(txn_of(handle_), table_of(*env_, table), &key_value, &stored);
  if (code == MDB_NOTFOUND) return std::nullopt;
  env_->check(code, "cannot get");
  return looked_at(key, view_of(stored));
}

Cursor ReadTxn::cursor(Table table, Damage damage) const {
  MDB_cursor* cursor = nullptr;
  env_->check(mdb_cursor_open(txn_of(handle_), table_of(*env_, table), &cursor),
              "cannot open a cursor");
  return {cursor, this, damage};
}

std::uint64_t ReadTxn::number() const noexcept {
  return mdb_txn_id(static_cast<MDB_txn*>(handle_));
}

std::uint64_t ReadTxn::reopenings() const noexcept { return env_->reopenings; }

std::uint64_t ReadTxn::count(Table table) const {
  MDB_stat shape{};
  env_->check(mdb_stat(txn_of(handle_), table_of(*env_, table), &shape), "cannot count");
  return shape.ms_entries;
}

void WriteTxn::put(Table table, BytesView key, BytesView value) {
  store(*env_, txn_of(handle_), table_of(*env_, table), key, value, 0);
}

void WriteTxn::append(Table table, BytesView key, BytesView value) {
  store(*env_, txn_of(handle_), table_of(*env_, table), key, value, MDB_APPEND);
}

bool WriteTxn::erase(Table table, BytesView key) {
  if (key.empty()) return false;
  MDB_val key_value = value_of(key);
  const int code = mdb_del(txn_of(handle_), table_of(*env_, table), &key_value, nullptr);
  if (code == MDB_NOTFOUND) return false;
  if (code == MDB_MAP_FULL) env_->map_full = true;
  env_->check(code, "cannot erase");
  return true;
}

Cursor::Cursor(void* handle, const ReadTxn* txn, Damage damage)
    : handle_(handle), env_(txn->env_), damage_(damage) {}

Cursor::Cursor(Cursor&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)),
      env_(other.env_),
      damage_(other.damage_),
      place_(other.place_),
      key_(other.key_),
      value_(other.value_),
      is_damaged_(other.is_damaged_) {}

Cursor::~Cursor() {
  if (handle_ != nullptr) mdb_cursor_close(cursor_of(handle_));
}

bool Cursor::seek(BytesView key) {
  return key.empty() ? first() : move(MDB_SET_RANGE, key, Place::after);
}

bool Cursor::first() { return move(MDB_FIRST, {}, Place::after); }

bool Cursor::last() { return move(MDB_LAST, {}, Place::before); }

bool Cursor::next() {
  if (place_ == Place::after) return false;
  return place_ == Place::before ? first() : move(MDB_NEXT, {}, Place::after);
}

bool Cursor::previous() {
  if (place_ == Place::before) return false;
  return place_ == Place::after ? last() : move(MDB_PREV, {}, Place::before);
}

bool Cursor::move(int operation, BytesView key, Place otherwise) {
  key_ = {};
  value_ = {};
  is_damaged_ = false;
  MDB_val at = value_of(key);
  MDB_val stored{};
  const int code =
      mdb_cursor_get(cursor_of(handle_), &at, &stored, static_cast<MDB_cursor_op>(operation));
  if (code == MDB_NOTFOUND) {
    place_ = otherwise;
    return false;
  }
  env_->check(code, "cannot move a cursor");
  place_ = Place::entry;
  key_ = view_of(at);
  const Stored found = looked_at(key_, view_of(stored));
  value_ = found.value;
  is_damaged_ = found.is_damaged;
  if (is_damaged_ && damage_ == Damage::refuse) {
    refuse(*env_, mdb_cursor_dbi(cursor_of(handle_)), key_);
  }
  return true;
}

}  // namespace loam::lmdb
