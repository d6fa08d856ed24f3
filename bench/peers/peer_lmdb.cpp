// LMDB by itself: the limit of what stands on it.
#include <lmdb.h>

#include "bench/harness.hpp"
#include "bench/peers/key_value.hpp"

namespace {

void check(int code) { bench::require(code == 0, mdb_strerror(code)); }

MDB_val value_of(const std::string& text) { return {text.size(), const_cast<char*>(text.data())}; }

class Lmdb final : public bench::KeyValue {
 public:
  explicit Lmdb(const std::filesystem::path& dir) {
    check(mdb_env_create(&env_));
    check(mdb_env_set_mapsize(env_, std::size_t{8} << 30));
    check(mdb_env_open(env_, dir.c_str(), 0, 0600));
    in_transaction(0, [&](MDB_txn* txn) { check(mdb_dbi_open(txn, nullptr, 0, &table_)); });
  }
  ~Lmdb() override { mdb_env_close(env_); }

  void put(const Pairs& pairs) override {
    in_transaction(0, [&](MDB_txn* txn) {
      for (const auto& [key, value] : pairs) {
        MDB_val k = value_of(key);
        MDB_val v = value_of(value);
        check(mdb_put(txn, table_, &k, &v, 0));
      }
    });
  }

  void remove(const std::vector<std::string>& keys) override {
    in_transaction(0, [&](MDB_txn* txn) {
      for (const std::string& key : keys) {
        MDB_val k = value_of(key);
        check(mdb_del(txn, table_, &k, nullptr));
      }
    });
  }

  bool get(const std::string& key) override {
    bool is_there = false;
    in_transaction(MDB_RDONLY, [&](MDB_txn* txn) {
      MDB_val k = value_of(key);
      MDB_val v{};
      is_there = mdb_get(txn, table_, &k, &v) == 0 &&
                 std::string(static_cast<const char*>(v.mv_data), v.mv_size).size() > 100;
    });
    return is_there;
  }

  std::size_t scan() override {
    std::size_t found = 0;
    in_transaction(MDB_RDONLY, [&](MDB_txn* txn) {
      MDB_cursor* cursor = nullptr;
      check(mdb_cursor_open(txn, table_, &cursor));
      MDB_val k{};
      MDB_val v{};
      while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0) {
        found += std::string(static_cast<const char*>(v.mv_data), v.mv_size).size() > 100 ? 1 : 0;
      }
      mdb_cursor_close(cursor);
    });
    return found;
  }

 private:
  template <class Body>
  void in_transaction(unsigned flags, Body&& body) {
    MDB_txn* txn = nullptr;
    check(mdb_txn_begin(env_, nullptr, flags, &txn));
    body(txn);
    check(mdb_txn_commit(txn));
  }

  MDB_env* env_ = nullptr;
  MDB_dbi table_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::run_key_value(argc, argv, "lmdb",
                              [](const auto& dir) { return std::make_unique<Lmdb>(dir); });
}
