#include <doctest/doctest.h>
#include <fcntl.h>

#include <array>

#include "tests/lib/lmdb_env.hpp"

namespace loam::lmdb {
namespace {

using namespace test_env;

TEST_CASE("one flipped bit in a stored value is damage, never wrong data") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  const std::string canary = "a value that nothing else in this file looks like";
  {
    const auto env = Env::open(options_in(dir));
    put(*env, "canary", canary);
    put(*env, "other", "fine");
  }
  std::string file = test::read_file(dir / "data.mdb");
  std::size_t flipped = 0;
  for (auto at = file.find(canary); at != std::string::npos; at = file.find(canary, at + 1)) {
    file[at + 5] = static_cast<char>(file[at + 5] ^ 4);
    ++flipped;
  }
  REQUIRE(flipped > 0);
  test::write_file(dir / "data.mdb", file);

  const auto env = Env::open(options_in(dir));
  CHECK(code_of([&] { get(*env, "canary"); }) == ErrorCode::damaged);
  CHECK(code_of([&] { everything(*env); }) == ErrorCode::damaged);
  CHECK(get(*env, "other") == "fine");
  CHECK(message_of([&] { get(*env, "canary"); }).find("table first: entry ") != std::string::npos);
  put(*env, "canary", "repaired");
  CHECK(get(*env, "canary") == "repaired");
}

TEST_CASE("a value under the key of another is damage") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  {
    const auto env = Env::open(options_in(dir));
    put(*env, "key-aaaa", "value");
  }
  std::string file = test::read_file(dir / "data.mdb");
  for (auto at = file.find("key-aaaa"); at != std::string::npos; at = file.find("key-aaaa")) {
    file[at + 7] = 'b';
  }
  test::write_file(dir / "data.mdb", file);
  const auto env = Env::open(options_in(dir));
  CHECK(code_of([&] { get(*env, "key-aaab"); }) == ErrorCode::damaged);
}

TEST_CASE("a truncated data file is damage, not a signal") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  {
    const auto env = Env::open(options_in(dir));
    for (int i = 0; i < 50; ++i) put(*env, std::to_string(i), number_value(1, 3'000));
  }
  const auto size = std::filesystem::file_size(dir / "data.mdb");
  const std::string whole = test::read_file(dir / "data.mdb");
  for (const std::uint64_t keep :
       {size - 4'096, size / 2, std::uint64_t{8'192}, std::uint64_t{8'191}, std::uint64_t{4'096},
        std::uint64_t{100}, std::uint64_t{0}}) {
    CAPTURE(keep);
    test::write_file(dir / "data.mdb", whole.substr(0, keep));
    const int ended = in_child([&] {
      return code_of([&] { get(*Env::open(options_in(dir)), "1"); }) == ErrorCode::damaged ? 0 : 1;
    });
    CHECK(ended == 0);
  }
  std::filesystem::resize_file(dir / "data.mdb", 0);
  std::filesystem::resize_file(dir / "data.mdb", size / 2);
  CHECK(code_of([&] { Env::open(options_in(dir)); }) == ErrorCode::damaged);
  test::write_file(dir / "data.mdb", whole.substr(0, 16'384));
  const std::string message = message_of([&] { Env::open(options_in(dir)); });
  CHECK(message.find("data.mdb: 16384 octets, its meta page needs ") != std::string::npos);
}

TEST_CASE("a data file that is no LMDB file is damage and stays as it is") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  std::filesystem::create_directory(dir);
  const std::string garbage = number_value(7, 100'000);
  test::write_file(dir / "data.mdb", garbage);
  CHECK(code_of([&] { Env::open(options_in(dir)); }) == ErrorCode::damaged);
  CHECK(test::read_file(dir / "data.mdb") == garbage);
}

TEST_CASE("any flipped bit of a meta page is refused or harmless, and never a signal") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  {
    const auto env = Env::open(options_in(dir));
    put(*env, "key", "value");
  }
  const std::string whole = test::read_file(dir / "data.mdb");
  // Offsets of magic, version and last page: the fields that are checked.
  for (const std::size_t offset : {16U, 20U, 136U + 2U, 136U + 7U}) {
    for (const std::size_t page : {std::size_t{0}, std::size_t{4'096}}) {
      CAPTURE(offset);
      std::string broken = whole;
      broken[page + offset] = static_cast<char>(broken[page + offset] ^ 0x40);
      test::write_file(dir / "data.mdb", broken);
      const int ended = in_child([&] {
        try {
          return get(*Env::open(options_in(dir)), "key") == "value" ? 0 : 1;
        } catch (const Error& error) {
          return error.code() == ErrorCode::damaged ? 0 : 2;
        }
      });
      CHECK(ended == 0);
    }
  }
}

TEST_CASE("a store whose data file was taken away is damaged, not new") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  Env::open(options_in(dir)).reset();
  std::filesystem::remove(dir / "data.mdb");
  CHECK(code_of([&] { Env::open(options_in(dir)); }) == ErrorCode::damaged);
  CHECK_FALSE(std::filesystem::exists(dir / "data.mdb"));
}

TEST_CASE("a symlink is not followed") {
  const Scratch scratch;
  Env::open(options_in(scratch / "store")).reset();
  std::filesystem::create_directory_symlink(scratch / "store", scratch / "link");
  CHECK(code_of([&] { Env::open(options_in(scratch / "link")); }) == ErrorCode::denied);
  std::filesystem::create_directory(scratch / "other");
  std::filesystem::create_symlink(scratch / "store/data.mdb", scratch / "other/data.mdb");
  CHECK(code_of([&] { Env::open(options_in(scratch / "other")); }) == ErrorCode::denied);
}

}  // namespace
}  // namespace loam::lmdb
