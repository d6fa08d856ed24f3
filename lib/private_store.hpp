#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "crdt/record.hpp"
#include "lib/config.hpp"
#include "lib/layout.hpp"
#include "lib/lmdb.hpp"
#include "lib/segment.hpp"
#include "lib/store_identity.hpp"
#include "transport/frame.hpp"

namespace loam {

/// A record of a private segment. Its own type, so that nothing that talks to peers can take one.
struct PrivateRecord {
  PacketId id;
  Bytes record;             ///< an encoded SetRecord
  bool is_damaged = false;  ///< the record cannot be read
};

/// An entry of a private segment.
struct PrivateEntry {
  std::string key;
  Bytes record;             ///< an encoded MapRecord
  bool is_damaged = false;  ///< the record cannot be read
};

// What is private has no form on the wire.
Bytes encode_frame(const PrivateRecord&) = delete;
Bytes encode_frame(const PrivateEntry&) = delete;

struct PrivateCounts {
  std::uint64_t records = 0;
  std::uint64_t octets = 0;
};

class PrivateStore;

/// What one write transaction changes in the private environment. Writer thread only.
class PrivateBatch {
 public:
  PrivateBatch(const PrivateStore& store, lmdb::WriteTxn& txn) : store_(store), txn_(txn) {}

  /// Stores a record. False, and nothing changes: there is one of that id already.
  bool add(SegmentNumber segment, const PrivateRecord& record);

  /// Throws Error(not_found) when there is no such record.
  void remove(SegmentNumber segment, const PacketId& id);

  /// Assigns a key; absent: erases it. Says whether it had a value. Erasing a key without one
  /// throws Error(not_found).
  bool put(SegmentNumber segment, std::string_view key, const std::optional<Bytes>& value,
           std::int64_t now_ms);

  /// The receipt that a packet id led to before; absent: it is new.
  std::optional<std::string> receipt_of(const PacketId& packet) const;
  void remember_packet(const PacketId& packet, const std::string& receipt_id);

 private:
  void count(SegmentNumber segment, std::int64_t records, std::int64_t octets);

  const PrivateStore& store_;
  lmdb::WriteTxn& txn_;
};

/// The private environment of one instance. No network or export-to-peer code holds one. Reads are
/// safe from any thread; batches belong to the writer thread.
class PrivateStore {
 public:
  /// Opens it, or makes it. Throws as SharedStore.
  PrivateStore(const std::filesystem::path& dir, const SegmentTable& segments,
               const Config& config);

  lmdb::Env& env() const noexcept { return *env_; }

  /// Keeps a copy of who the instance is, unless it stands there.
  void remember_identity(const StoreIdentity& identity);

  SegmentNumber number(const std::string& segment) const { return numbers_.at(segment); }

  std::optional<PrivateRecord> get(SegmentNumber segment, const PacketId& id) const;

  /// Records whose ids lie between two ids, both included, in order; at most `max`.
  std::vector<PrivateRecord> between(SegmentNumber segment, const PacketId& low,
                                     const PacketId& high, std::size_t max) const;

  /// The newest records with ids below `before` (absent: from the newest), newest first.
  std::vector<PrivateRecord> newest(SegmentNumber segment, const std::optional<PacketId>& before,
                                    std::size_t max) const;

  std::optional<PrivateEntry> entry(SegmentNumber segment, std::string_view key) const;

  /// Entries with keys after `after`, in order.
  std::vector<PrivateEntry> entries(SegmentNumber segment, std::string_view after,
                                    std::size_t max) const;

  PrivateCounts counts(SegmentNumber segment) const;

 private:
  bool load(const SegmentTable& segments);

  std::shared_ptr<lmdb::Env> env_;
  std::map<std::string, SegmentNumber> numbers_;
};

/// The copy that `remember_identity` kept; absent: there is none.
std::optional<StoreIdentity> read_private_identity(const lmdb::Env& env);

}  // namespace loam
