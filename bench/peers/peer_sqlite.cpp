// SQLite with its write-ahead log, synced at every commit (synchronous=FULL).
#include <sqlite3.h>

#include "bench/harness.hpp"
#include "bench/peers/key_value.hpp"

namespace {

class Sqlite final : public bench::KeyValue {
 public:
  explicit Sqlite(const std::filesystem::path& dir) {
    check(sqlite3_open((dir / "data.sqlite").c_str(), &db_));
    run("PRAGMA journal_mode=WAL");
    run("PRAGMA synchronous=FULL");
    run("CREATE TABLE IF NOT EXISTS records (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID");
    put_ = prepared("INSERT OR REPLACE INTO records VALUES (?, ?)");
    remove_ = prepared("DELETE FROM records WHERE key = ?");
    get_ = prepared("SELECT value FROM records WHERE key = ?");
    scan_ = prepared("SELECT key, value FROM records");
  }
  ~Sqlite() override {
    for (sqlite3_stmt* each : {put_, remove_, get_, scan_}) sqlite3_finalize(each);
    sqlite3_close(db_);
  }

  void put(const Pairs& pairs) override {
    run("BEGIN IMMEDIATE");
    for (const auto& [key, value] : pairs) {
      bind(put_, 1, key);
      bind(put_, 2, value);
      step(put_, SQLITE_DONE);
      sqlite3_reset(put_);
    }
    run("COMMIT");
  }

  void remove(const std::vector<std::string>& keys) override {
    run("BEGIN IMMEDIATE");
    for (const std::string& key : keys) {
      bind(remove_, 1, key);
      step(remove_, SQLITE_DONE);
      sqlite3_reset(remove_);
    }
    run("COMMIT");
  }

  bool get(const std::string& key) override {
    bind(get_, 1, key);
    step(get_, SQLITE_ROW);
    const bool is_there = sqlite3_column_bytes(get_, 0) > 100;
    sqlite3_reset(get_);
    return is_there;
  }

  std::size_t scan() override {
    std::size_t found = 0;
    while (sqlite3_step(scan_) == SQLITE_ROW) {
      const std::string value(static_cast<const char*>(sqlite3_column_blob(scan_, 1)),
                              static_cast<std::size_t>(sqlite3_column_bytes(scan_, 1)));
      found += value.size() > 100 ? 1 : 0;
    }
    sqlite3_reset(scan_);
    return found;
  }

 private:
  void check(int code) const { bench::require(code == SQLITE_OK, sqlite3_errmsg(db_)); }
  void run(const char* text) { check(sqlite3_exec(db_, text, nullptr, nullptr, nullptr)); }
  void step(sqlite3_stmt* statement, int wanted) const {
    bench::require(sqlite3_step(statement) == wanted, sqlite3_errmsg(db_));
  }
  sqlite3_stmt* prepared(const char* text) {
    sqlite3_stmt* statement = nullptr;
    check(sqlite3_prepare_v2(db_, text, -1, &statement, nullptr));
    return statement;
  }
  void bind(sqlite3_stmt* statement, int index, const std::string& octets) const {
    check(sqlite3_bind_blob(statement, index, octets.data(), static_cast<int>(octets.size()),
                            SQLITE_STATIC));
  }

  sqlite3* db_ = nullptr;
  sqlite3_stmt* put_ = nullptr;
  sqlite3_stmt* remove_ = nullptr;
  sqlite3_stmt* get_ = nullptr;
  sqlite3_stmt* scan_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::run_key_value(argc, argv, "sqlite",
                              [](const auto& dir) { return std::make_unique<Sqlite>(dir); });
}
