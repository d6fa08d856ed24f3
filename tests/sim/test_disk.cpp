#include <doctest/doctest.h>

#include <cerrno>

#include "lib/lmdb.hpp"
#include "tests/lib/scratch.hpp"
#include "tests/sim/disk_faults.hpp"

namespace loam::sim {
namespace {

constexpr lmdb::Table only_table{0};

std::shared_ptr<lmdb::Env> open_in(const test::Scratch& scratch) {
  return lmdb::Env::open({.dir = scratch / "store", .octets_max = 1 << 20, .tables = {"one"}});
}

void put(lmdb::Env& env, const std::string& value) {
  env.write([&](lmdb::WriteTxn& txn) { txn.put(only_table, bytes_of("key"), bytes_of(value)); });
}

std::string get(const lmdb::Env& env) {
  return env.read([](const lmdb::ReadTxn& txn) {
    return std::string(text_of(txn.get(only_table, bytes_of("key")).value()));
  });
}

}  // namespace

TEST_CASE("whichever write of a commit fails, the store opens again as before or as after") {
  const std::string before = "before";
  const std::string after(50'000, 'a');
  int failures = 0;
  for (const int error : {EIO, ENOSPC}) {
    for (const bool lasts : {false, true}) {
      for (const bool is_torn : {false, true}) {
        for (std::uint64_t count = 0; count < 8; ++count) {
          const test::Scratch scratch;
          {
            const auto env = open_in(scratch);
            put(*env, before);
            break_disk({count, error, lasts, is_torn});
            bool is_refused = false;
            try {
              put(*env, after);
            } catch (const Error&) {
              is_refused = true;
            }
            CHECK(mend_disk() == is_refused);
            failures += is_refused ? 1 : 0;
          }
          const auto env = open_in(scratch);
          const std::string found = get(*env);
          CHECK((found == before || found == after));
          put(*env, "again");
          CHECK(get(*env) == "again");
        }
      }
    }
  }
  CHECK(failures >= 24);
}

}  // namespace loam::sim
