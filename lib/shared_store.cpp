#include "lib/shared_store.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>

#include "crdt/error.hpp"
#include "lib/quarantine.hpp"
#include "planted.hpp"

namespace loam {
namespace {

template <class IdType>
IdType random_id() {
  IdType id;
  randombytes_buf(id.bytes.data(), id.bytes.size());
  return id;
}

std::optional<FederationRoot> read_root(const lmdb::ReadTxn& txn) {
  const auto octets = txn.get(table::meta, bytes_of(meta::root));
  if (!octets) return std::nullopt;
  const auto root = decode_root(*octets);
  if (!root) throw Error(ErrorCode::damaged, "shared store: its root does not decode");
  return root;
}

// The format of the file, which is not newer than ours.
std::uint32_t check_format(const lmdb::ReadTxn& txn) {
  const auto row = txn.get(table::meta, bytes_of(meta::format));
  if (!row || row->size() != 4) throw Error(ErrorCode::damaged, "shared store: has no format");
  const std::uint32_t format = load_u32(row->data());
  if (format == 0 || format > store_format) {
    throw Error(ErrorCode::damaged, "shared store: format " + std::to_string(format) +
                                        " is newer than " + std::to_string(store_format) +
                                        ", which this version reads: update loam");
  }
  return format;
}

void write_format(lmdb::WriteTxn& txn) {
  std::array<std::byte, 4> format{};
  store_u32(format.data(), store_format);
  txn.put(table::meta, bytes_of(meta::format), format);
}

// Format 2 has one more table, `held`, which Env has just added. Format 3 has signed batches: rows of actors and
// dots of before are read as those of what was not signed.
void upgrade(lmdb::WriteTxn& txn, const std::vector<std::string>& added) {
  if (check_format(txn) != 1 || added != std::vector<std::string>{"held"}) {
    throw Error(ErrorCode::damaged, "shared store: table " + added.front() + " is missing");
  }
  write_format(txn);
}

}  // namespace

SharedStore::SharedStore(const std::filesystem::path& dir, const SegmentTable& segments,
                         const Config& config, const InstanceId& instance,
                         const std::optional<StoreIdentity>& fresh, SigningKey key)
    : env_(lmdb::Env::open({.dir = dir,
                            .octets_max = config.map_octets_max,
                            .tables = shared_table_names(),
                            .upgrade = upgrade})),
      instance_(instance),
      journal_entries_max_(config.journal_entries_max),
      key_(std::move(key)) {
  if (load(segments)) return;
  env_->write([&](lmdb::WriteTxn& txn) {
    found(txn, fresh);
    declare(txn, segments);
  });
  if (!load(segments)) throw Error(ErrorCode::failed, "shared store: cannot be set up");
}

// The inode of the data file and when it was made: a copied or restored file is another store, and
// peers' cursors into the original's journal must not be taken for cursors into the copy's. File
// systems use inode numbers again, often at once.
Bytes SharedStore::file_identity() const {
  const auto path = env_->dir() / "data.mdb";
  struct statx status {};
  if (::statx(AT_FDCWD, path.c_str(), 0, STATX_INO | STATX_BTIME, &status) != 0) {
    throw Error(ErrorCode::failed, path.string() + ": cannot be examined");
  }
  Bytes identity(20);
  store_u64(identity.data(), status.stx_ino);
  if ((status.stx_mask & STATX_BTIME) != 0) {
    store_u64(identity.data() + 8, static_cast<std::uint64_t>(status.stx_btime.tv_sec));
    store_u32(identity.data() + 16, status.stx_btime.tv_nsec);
  }
  return identity;
}

void SharedStore::found(lmdb::WriteTxn& txn, const std::optional<StoreIdentity>& fresh) {
  const auto known_file = txn.get(table::meta, bytes_of(meta::file));
  const Bytes file = file_identity();
  if (!known_file) {
    if (!fresh) throw Error(ErrorCode::not_found, "no instance in " + env_->dir().string());
    write_format(txn);
    txn.put(table::meta, bytes_of(meta::name), bytes_of(fresh->name));
    txn.put(table::meta, bytes_of(meta::federation), fresh->federation.view());
    if (fresh->root) txn.put(table::meta, bytes_of(meta::root), encode(*fresh->root));
  } else {
    if (check_format(txn) < store_format) write_format(txn);
    if (equal(*known_file, file)) return;
    lmdb::Cursor cursor = txn.cursor(table::segs);
    std::vector<std::pair<Bytes, SegmentRow>> rows;
    for (bool on = cursor.first(); on; on = cursor.next()) {
      rows.emplace_back(copy_of(cursor.key()), decode_segment_row(cursor.value()));
    }
    for (auto& [key, row] : rows) {
      if (!planted(Bug::restored_journal_keeps_id)) row.state.journal = new_journal_id();
      txn.put(table::segs, key, encode(row));
    }
  }
  txn.put(table::meta, bytes_of(meta::file), file);
  if (known_file && planted(Bug::restored_store_keeps_id)) return;
  const StoreId id = !known_file && fresh->store ? *fresh->store : random_id<StoreId>();
  txn.put(table::meta, bytes_of(meta::store), id.view());
}

void SharedStore::declare(lmdb::WriteTxn& txn, const SegmentTable& segments) {
  std::map<std::string, Kind> known;
  SegmentNumber next = 1;
  lmdb::Cursor cursor = txn.cursor(table::segs);
  for (bool on = cursor.first(); on; on = cursor.next()) {
    const SegmentRow row = decode_segment_row(cursor.value());
    known.emplace(row.name, row.state.kind);
    next = static_cast<SegmentNumber>(load_u16(cursor.key().data()) + 1);
  }
  for (const Segment& segment : segments.all()) {
    if (segment.scope != Scope::shared || known.count(segment.name) != 0) continue;
    SegmentRow row;
    row.name = segment.name;
    row.state.kind = segment.kind;
    row.state.journal = new_journal_id();
    txn.put(table::segs, segment_key(next++), encode(row));
  }
}

// Reads identity and segment numbers; false when something must be written first.
bool SharedStore::load(const SegmentTable& segments) {
  return env_->read([&](const lmdb::ReadTxn& txn) {
    const auto file = txn.get(table::meta, bytes_of(meta::file));
    if (!file || !equal(*file, file_identity())) return false;
    if (check_format(txn) < store_format) return false;
    const auto id = txn.get(table::meta, bytes_of(meta::store));
    const auto name = txn.get(table::meta, bytes_of(meta::name));
    const auto federation = txn.get(table::meta, bytes_of(meta::federation));
    if (!id || !name || !federation || id->size() != 16 || federation->size() != 16) {
      throw Error(ErrorCode::damaged, "shared store: its identity is missing");
    }
    id_ = *StoreId::from(*id);
    identity_ = {std::string(text_of(*name)), *FederationId::from(*federation), read_root(txn)};
    if (identity_.root && federation_of(*identity_.root) != identity_.federation) {
      throw Error(ErrorCode::damaged, "shared store: its federation has another root");
    }
    std::map<std::string, std::pair<SegmentNumber, Kind>> stored;
    lmdb::Cursor cursor = txn.cursor(table::segs);
    for (bool on = cursor.first(); on; on = cursor.next()) {
      const SegmentRow row = decode_segment_row(cursor.value());
      stored[row.name] = {load_u16(cursor.key().data()), row.state.kind};
    }
    quarantines_ = read_quarantines(txn);
    numbers_.clear();
    for (const Segment& segment : segments.all()) {
      if (segment.scope != Scope::shared) continue;
      const auto at = stored.find(segment.name);
      if (at == stored.end()) return false;
      if (at->second.second != segment.kind) {
        throw Error(ErrorCode::invalid, "segment " + segment.name + ": is a " +
                                            std::string(kind_name(at->second.second)) +
                                            " in the store, declared as a " +
                                            std::string(kind_name(segment.kind)));
      }
      const SegmentNumber number = at->second.first;
      numbers_by_name_[segment.name] = number;
      names_by_number_[number] = segment.name;
      numbers_.push_back(number);
      if (segment.governed) governed_.insert(number);
    }
    if (identity_.root) {
      registry_ = std::make_unique<const RegistryCache>(number(std::string(registry_name)), *identity_.root);
    }
    return true;
  });
}

const ActorId& SharedStore::own_actor(std::int64_t now_ms) {
  if (!actor_) {
    claim_.author = instance_;
    randombytes_buf(claim_.nonce.data(), claim_.nonce.size());
    actor_ = actor_of(claim_, now_ms);
    if (planted(Bug::reused_actor)) actor_->bytes = instance_.bytes;
  }
  return *actor_;
}

const ActorId& SharedStore::own_actor(std::int64_t now_ms, std::uint64_t quarantines) {
  if (quarantines != quarantines_) renew_actor();
  quarantines_ = quarantines;
  return own_actor(now_ms);
}

std::shared_ptr<const Registry> SharedStore::registry() const {
  return read([&](const SharedReader& reader) { return registry(reader); });
}

AdmissionPlace SharedStore::place(SegmentNumber segment) const {
  return {.federation = identity_.federation, .segment = name(segment), .is_governed = governed_.contains(segment)};
}

JournalId SharedStore::new_journal_id() const {
  JournalId id = 0;
  while (id == 0) randombytes_buf(&id, sizeof id);
  return id;
}

}  // namespace loam
