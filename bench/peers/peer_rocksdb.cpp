// RocksDB, its log synced at every write. Threads share one handle, and their writes one sync.
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include "bench/harness.hpp"
#include "bench/peers/key_value.hpp"

namespace {

class Rocks final : public bench::KeyValue {
 public:
  explicit Rocks(std::shared_ptr<rocksdb::DB> db) : db_(std::move(db)) { durable_.sync = true; }

  static std::unique_ptr<Rocks> open(const std::filesystem::path& dir) {
    rocksdb::Options options;
    options.create_if_missing = true;
    rocksdb::DB* db = nullptr;
    check(rocksdb::DB::Open(options, dir.string(), &db));
    return std::make_unique<Rocks>(std::shared_ptr<rocksdb::DB>(db));
  }

  void put(const Pairs& pairs) override {
    rocksdb::WriteBatch batch;
    for (const auto& [key, value] : pairs) check(batch.Put(key, value));
    check(db_->Write(durable_, &batch));
  }

  void remove(const std::vector<std::string>& keys) override {
    rocksdb::WriteBatch batch;
    for (const std::string& key : keys) check(batch.Delete(key));
    check(db_->Write(durable_, &batch));
  }

  bool get(const std::string& key) override {
    std::string value;
    check(db_->Get({}, key, &value));
    return value.size() > 100;
  }

  std::size_t scan() override {
    std::size_t found = 0;
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator({}));
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      found += at->value().ToString().size() > 100 ? 1 : 0;
    }
    return found;
  }

  std::unique_ptr<KeyValue> another() override { return std::make_unique<Rocks>(db_); }

 private:
  static void check(const rocksdb::Status& status) {
    bench::require(status.ok(), status.ToString());
  }

  std::shared_ptr<rocksdb::DB> db_;
  rocksdb::WriteOptions durable_;
};

}  // namespace

int main(int argc, char** argv) { return bench::run_key_value(argc, argv, "rocksdb", Rocks::open); }
