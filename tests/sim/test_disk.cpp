#include <doctest/doctest.h>

#include <cerrno>

#include "crdt/codec.hpp"
#include "lib/committer.hpp"
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
    for (const std::uint64_t times : {std::uint64_t{1}, std::uint64_t{1'000}}) {
      for (const bool is_torn : {false, true}) {
        for (std::uint64_t count = 0; count < 8; ++count) {
          const test::Scratch scratch;
          {
            const auto env = open_in(scratch);
            put(*env, before);
            break_disk({count, error, times, is_torn});
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

TEST_CASE("nobody is told that a record is missing because of a removal that the disk refused") {
  const test::Scratch scratch;
  const SegmentTable table;
  const Config config;
  const StoreIdentity fresh{"alpha", {}};
  SharedStore shared(scratch / "shared", table, config, InstanceId{}, fresh);
  PrivateStore priv(scratch / "private", table, config);
  Committer committer(
      shared, priv, [] { return 1'000; }, [] {});
  const SegmentNumber segment = shared.number("lessons_learned");
  const Bytes content = encode(Map{{"payload", Map{{"text", "x"}}}, {"type", "lesson"}});
  Job add;
  add.shared = [&](SharedBatch& batch) { batch.add(segment, content, encode(Map{})); };
  committer.commit({add});
  std::vector<ErrorCode> codes;
  Job remove;
  remove.shared = [&](SharedBatch& batch) {
    batch.remove(segment, element_of("lessons_learned", content));
  };
  remove.done = [&](std::exception_ptr failure) {
    try {
      if (failure) std::rethrow_exception(failure);
    } catch (const Error& error) {
      codes.push_back(error.code());
    }
  };
  break_disk({0, EIO, 1'000, false});
  committer.commit({remove, remove});
  CHECK(mend_disk());
  CHECK(codes == std::vector<ErrorCode>{ErrorCode::failed, ErrorCode::failed});
}

}  // namespace loam::sim
