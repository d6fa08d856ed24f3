#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>

#include "lib/identity.hpp"
#include "lib/shared_store.hpp"
#include "tests/lib/opened.hpp"
#include "tests/lib/store_walk.hpp"

namespace loam {
namespace {

namespace fs = std::filesystem;

const fs::path golden = "tests/golden/store-v1";

// An instance directory as a release of the first format left it.
struct FirstFormat {
  FirstFormat() {
    for (const char* part : {"shared", "private"}) {
      fs::create_directory(dir.path() / part);
      fs::permissions(dir.path() / part, fs::perms::owner_all);
      copy(std::string(part) + ".mdb", dir.path() / part / "data.mdb");
    }
    copy("identity.key", dir.path() / "identity.key");
    test::write_file(dir.path() / "config.toml", "");
    fs::permissions(dir.path() / "config.toml", fs::perms(0600));
  }

  static void copy(const std::string& name, const fs::path& to) {
    fs::copy_file(golden / name, to);
    fs::permissions(to, fs::perms(0600));
  }

  test::Scratch dir;
};

std::map<std::string, std::string> golden_digests() {
  std::map<std::string, std::string> digests;
  std::istringstream lines(test::read_file(golden / "digest.txt"));
  for (std::string segment, digest; lines >> segment >> digest;) digests[segment] = digest;
  return digests;
}

std::uint32_t format_of(const lmdb::ReadTxn& txn) {
  return load_u32(txn.get(table::meta, bytes_of(meta::format))->data());
}

// The tables of the first format.
std::vector<std::string> first_tables() {
  auto names = shared_table_names();
  names.pop_back();
  return names;
}

std::uint32_t format_in(const fs::path& dir) {
  return lmdb::Env::open({.dir = dir, .tables = {"meta"}})->read(format_of);
}

TEST_CASE("a store of the first format is upgraded at opening, and keeps all that it held") {
  const FirstFormat store;
  REQUIRE(format_in(store.dir / "shared") == 1);
  REQUIRE(golden_digests().size() == 6);
  for (int times = 0; times < 2; ++times) {
    Memory memory = Memory::open({.dir = store.dir.path()});
    CHECK(memory.name() == "alpha");
    CHECK(memory.digest() == golden_digests());
    CHECK(test::texts(memory, "lessons_learned").size() == 25);
    CHECK(test::texts(memory, "project_history") ==
          std::vector<std::string>{"a private one", "another private one"});
    CHECK(memory.siblings("governance_meta", "goal").size() == 1);
    CHECK(memory.value("session_context", "here"));
    CHECK(!memory.value("governance_meta", "limit"));
    CHECK(memory.status().peers.size() == 1);
  }
  CHECK(format_in(store.dir / "shared") == store_format);
  CHECK(format_in(store.dir / "private") == store_format);
  const SharedStore shared(store.dir / "shared", SegmentTable(), {},
                           load_instance_key(store.dir.path()).id, {});
  CHECK(test::walk(shared) == "");
}

TEST_CASE("an upgraded store can be written, and holds things") {
  const FirstFormat store;
  Memory memory = Memory::open({.dir = store.dir.path()});
  memory.remember({.text = "after the upgrade"});
  CHECK(test::texts(memory, "lessons_learned").size() == 26);
}

// Whether the store opens as one of the first format still, and then upgrades.
void check_unchanged(const FirstFormat& store) {
  CHECK(format_in(store.dir / "shared") == 1);
  const Memory memory = Memory::open({.dir = store.dir.path()});
  CHECK(memory.digest() == golden_digests());
}

TEST_CASE("a process that dies before the upgrade is committed has changed nothing") {
  const FirstFormat store;
  const pid_t child = ::fork();
  if (child == 0) {
    lmdb::Env::open({.dir = store.dir / "shared",
                     .tables = shared_table_names(),
                     .upgrade = [](lmdb::WriteTxn& txn, const auto&) {
                       txn.put(table::meta, bytes_of(meta::format), Bytes(4));
                       ::raise(SIGKILL);
                     }});
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  REQUIRE(WIFSIGNALED(status));
  check_unchanged(store);
}

TEST_CASE("an upgrade that throws has changed nothing") {
  const FirstFormat store;
  const auto refuse = [](lmdb::WriteTxn& txn, const auto&) {
    txn.put(table::meta, bytes_of(meta::format), Bytes(4));
    throw Error(ErrorCode::failed, "no");
  };
  CHECK(test::code_of([&] {
          lmdb::Env::open(
              {.dir = store.dir / "shared", .tables = shared_table_names(), .upgrade = refuse});
        }) == ErrorCode::failed);
  check_unchanged(store);
}

TEST_CASE("a newer format is refused with its number, and the file gets no table of ours") {
  const FirstFormat store;
  const auto set = [&](std::uint32_t format) {
    const auto env = lmdb::Env::open({.dir = store.dir / "shared", .tables = first_tables()});
    env->write([&](lmdb::WriteTxn& txn) {
      txn.put(table::meta, bytes_of(meta::format), TableKey().u32(format).view());
    });
  };
  const auto open = [&] { return Memory::open({.dir = store.dir.path()}); };
  const auto before = [&] { return test::read_file(store.dir.path() / "shared" / "data.mdb"); };
  set(store_format + 1);
  const std::string octets = before();
  CHECK(test::code_of(open) == ErrorCode::damaged);
  CHECK(test::message_of(open).find("format " + std::to_string(store_format + 1)) !=
        std::string::npos);
  CHECK(before() == octets);
  set(1);
  CHECK(open().name() == "alpha");
}

}  // namespace
}  // namespace loam
