#include <doctest/doctest.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "tests/lib/lmdb_env.hpp"

namespace loam::lmdb {
namespace {

using namespace test_env;

TEST_CASE("what was written is read, and survives closing") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  {
    const auto env = Env::open(options_in(dir));
    put(*env, "key", "value");
    put(*env, "empty", "");
    CHECK(get(*env, "key") == "value");
  }
  const auto env = Env::open(options_in(dir));
  CHECK(get(*env, "key") == "value");
  CHECK(get(*env, "empty") == "");
  CHECK_FALSE(get(*env, "other"));
  CHECK_FALSE(get(*env, ""));
  CHECK(count(*env) == 2);
}

TEST_CASE("an erased key is gone, and erasing says whether there was one") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  put(*env, "key", "value");
  std::vector<bool> had;
  env->write([&](WriteTxn& txn) {
    had = {txn.erase(first_table, bytes_of("key")), txn.erase(first_table, bytes_of("key")),
           txn.erase(first_table, {})};
  });
  CHECK(had == std::vector<bool>{true, false, false});
  CHECK(count(*env) == 0);
}

TEST_CASE("tables do not see each other") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  put(*env, "key", "value");
  const bool seen = env->read(
      [](const ReadTxn& txn) { return txn.get(second_table, bytes_of("key")).has_value(); });
  CHECK_FALSE(seen);
}

TEST_CASE("files and directory belong to the user alone") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  const auto env = Env::open(options_in(dir));
  const auto mode = [](const std::filesystem::path& path) {
    struct stat status {};
    stat(path.c_str(), &status);
    return status.st_mode & 0777U;
  };
  CHECK(mode(dir) == 0700);
  CHECK(mode(dir / "data.mdb") == 0600);
  CHECK(mode(dir / "lock.mdb") == 0600);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(dir)) ++files;
  CHECK(files == 2);
}

TEST_CASE("a cursor walks both ways and stops at both ends") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  env->write([](WriteTxn& txn) {
    for (const char* key : {"b", "d", "f"}) txn.append(first_table, bytes_of(key), bytes_of("v"));
  });
  env->read([](const ReadTxn& txn) {
    Cursor cursor = txn.cursor(first_table);
    const auto at = [&](bool stands) { return stands ? std::string(text_of(cursor.key())) : "-"; };
    CHECK(at(cursor.next()) == "b");
    CHECK(at(cursor.previous()) == "-");
    CHECK(at(cursor.previous()) == "-");
    CHECK(at(cursor.next()) == "b");
    CHECK(at(cursor.last()) == "f");
    CHECK(at(cursor.next()) == "-");
    CHECK(at(cursor.next()) == "-");
    CHECK(at(cursor.previous()) == "f");
    CHECK(at(cursor.previous()) == "d");
    CHECK(at(cursor.first()) == "b");
    CHECK(at(cursor.seek(bytes_of("d"))) == "d");
    CHECK(at(cursor.seek(bytes_of("c"))) == "d");
    CHECK(at(cursor.seek({})) == "b");
    CHECK(at(cursor.seek(bytes_of("g"))) == "-");
    CHECK(at(cursor.next()) == "-");
    CHECK(at(cursor.previous()) == "f");
    Cursor backwards = txn.cursor(first_table);
    CHECK(backwards.previous());
    CHECK(text_of(backwards.key()) == "f");
    Cursor nothing = txn.cursor(second_table);
    CHECK_FALSE(nothing.first());
    CHECK_FALSE(nothing.last());
    CHECK_FALSE(nothing.next());
  });
}

TEST_CASE("a snapshot does not see later writes") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  put(*env, "key", "old");
  env->read([&](const ReadTxn& txn) {
    std::thread([&] { put(*env, "key", "new"); }).join();
    CHECK(text_of(*txn.get(first_table, bytes_of("key"))) == "old");
  });
  CHECK(get(*env, "key") == "new");
}

TEST_CASE("nothing is stored when the body throws") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  const auto before = env->last_transaction();
  CHECK_THROWS_AS(env->write([](WriteTxn& txn) {
    txn.put(first_table, bytes_of("key"), bytes_of("value"));
    throw std::runtime_error("no");
  }),
                  std::runtime_error);
  CHECK_FALSE(get(*env, "key"));
  CHECK(env->last_transaction() == before);
  put(*env, "key", "value");
  CHECK(env->last_transaction() == before + 1);
}

TEST_CASE("an append that is not the greatest key is an error") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  put(*env, "m", "");
  const auto append = [&](const char* key) {
    env->write([&](WriteTxn& txn) { txn.append(first_table, bytes_of(key), {}); });
  };
  CHECK(code_of([&] { append("m"); }) == ErrorCode::failed);
  CHECK(code_of([&] { append("a"); }) == ErrorCode::failed);
  append("n");
  CHECK(count(*env) == 2);
}

TEST_CASE("a key of 511 octets is stored, one of 512 is an error") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  put(*env, std::string(511, 'k'), "value");
  CHECK(code_of([&] { put(*env, std::string(512, 'k'), "value"); }) == ErrorCode::limit);
  CHECK_FALSE(get(*env, std::string(512, 'k')));
  CHECK(count(*env) == 1);
}

TEST_CASE("values of every size survive page splits, overwriting and erasing") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  std::map<std::string, std::string> model;
  std::mt19937 random(1);
  for (int round = 0; round < 60; ++round) {
    auto changed = model;
    env->write([&](WriteTxn& txn) {
      changed = model;
      for (int i = 0; i < 40; ++i) {
        const std::string key = std::to_string(random() % 700);
        if (random() % 4 == 0) {
          const bool had = changed.erase(key) != 0;
          CHECK(txn.erase(first_table, bytes_of(key)) == had);
          continue;
        }
        const std::size_t size = random() % 8 == 0 ? random() % 20'000 : random() % 400;
        changed[key] = number_value(random(), size);
        txn.put(first_table, bytes_of(key), bytes_of(changed[key]));
      }
    });
    model = changed;
  }
  CHECK(everything(*env) == model);
}

TEST_CASE("a copy is a store of its own with the same entries") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  for (std::uint64_t i = 0; i < 300; ++i) {
    put(*env, std::to_string(i), number_value(i, 1'000));
  }
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 0; !done; ++i) put(*env, "later", number_value(1, 10'000));
  });
  env->copy_to(scratch / "copy");
  done = true;
  writer.join();
  auto expected = everything(*env);
  auto found = everything(*Env::open(options_in(scratch / "copy")));
  expected.erase("later");
  found.erase("later");
  CHECK(found == expected);
  CHECK(std::filesystem::file_size(scratch / "copy/data.mdb") <= env->octets_used());
  struct stat status {};
  stat((scratch / "copy/data.mdb").c_str(), &status);
  CHECK((status.st_mode & 0777U) == 0600);
  const auto error = test::error_of([&] { env->copy_to(scratch / "copy"); });
  REQUIRE(error);
  CHECK(error->code() == ErrorCode::failed);
}

TEST_CASE("a directory that others may not enter is denied") {
  if (getuid() == 0) return;  // root may
  const Scratch scratch;
  std::filesystem::create_directory(scratch / "closed");
  std::filesystem::permissions(scratch / "closed", std::filesystem::perms::none);
  CHECK(code_of([&] { Env::open(options_in(scratch / "closed/store")); }) == ErrorCode::denied);
}

TEST_CASE("a directory without a parent is an error of the environment") {
  const Scratch scratch;
  CHECK(code_of([&] { Env::open(options_in(scratch / "no/store")); }) == ErrorCode::failed);
}

}  // namespace
}  // namespace loam::lmdb
