#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/batch_rows.hpp"
#include "lib/shared_store.hpp"
#include "lib/verify_walk.hpp"
#include "tests/lib/scratch.hpp"
#include "tests/lib/site.hpp"
#include "tests/lib/store_walk.hpp"

namespace loam::test {

/// The key of a seed of that octet, 32 times.
inline SigningKey signing_key(unsigned char number) {
  std::array<unsigned char, SigningKey::seed_octets> seed{};
  seed.fill(number);
  return SigningKey(seed);
}

/// A shared environment whose writes are signed.
struct SignedStore {
  explicit SignedStore(SigningKey key = signing_key(1), unsigned number = 1)
      : shared(scratch / "shared", segments, {}, id_of<InstanceId>(number),
               StoreIdentity{"store", id_of<FederationId>(9)}, std::move(key)) {}

  /// In a federation whose registry counts.
  SignedStore(const SigningKey& key, const FederationRoot& root)
      : shared(scratch / "shared", segments, {}, instance_of(key.public_key()),
               StoreIdentity{"store", federation_of(root), root}, key) {}

  Scratch scratch;
  SegmentTable segments;
  SharedStore shared;
  SegmentNumber set = shared.number(set_segment);

  template <class Body>
  void write(Body&& body) {
    shared.env().write([&](lmdb::WriteTxn& txn) {
      SharedBatch batch(shared, txn, 1'000);
      body(batch);
      batch.finish();
    });
  }

  std::vector<ElementId> add(int count, std::size_t octets = 10) {
    std::vector<ElementId> added;
    write([&](SharedBatch& batch) {
      for (int i = 0; i < count; ++i) {
        const std::string text = "record " + std::to_string(made_++) + std::string(octets, 'x');
        added.push_back(batch.add(set, content_of(text), meta_of("")).element);
      }
    });
    return added;
  }

  struct Found {
    std::uint64_t first = 0;
    BatchRow row;
    std::optional<Batch> batch;
  };
  std::vector<Found> batches() const {
    return shared.read([&](const SharedReader& reader) {
      std::vector<Found> found;
      lmdb::Cursor cursor = reader.txn().cursor(table::dot);
      for (bool on = cursor.first(); on; on = cursor.next()) {
        if (cursor.key().size() != batch_key_octets) continue;
        const std::byte* const key = cursor.key().data();
        const BatchRow row = decode_batch_row(cursor.value());
        found.push_back({load_u64(key + 6), row,
                         batch_of(reader, shared.identity(), load_u16(key), load_u32(key + 2), load_u64(key + 6),
                                  std::to_integer<std::uint8_t>(key[14]), row)});
      }
      return found;
    });
  }

  /// What verify says of it.
  std::vector<std::string> findings() const {
    std::vector<std::string> texts;
    walk_shared(shared, [&](const std::string& table, const std::string& text) {
      texts.push_back(table + ": " + text);
    });
    return texts;
  }

  /// Changes the row of the first batch by hand; absent: erases it.
  void change_first(const std::function<std::optional<BatchRow>(BatchRow)>& change) {
    shared.env().write([&](lmdb::WriteTxn& txn) {
      lmdb::Cursor cursor = txn.cursor(table::dot);
      for (bool on = cursor.first(); on; on = cursor.next()) {
        if (cursor.key().size() != batch_key_octets) continue;
        const Bytes key = copy_of(cursor.key());
        const auto row = change(decode_batch_row(cursor.value()));
        if (row) {
          txn.put(table::dot, key, encode(*row));
        } else {
          txn.erase(table::dot, key);
        }
        return;
      }
    });
  }

  bool is_sound() const { return findings().empty() && walk(shared).empty(); }

 private:
  int made_ = 0;
};


}  // namespace loam::test
