#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "crdt/big_endian.hpp"
#include "lib/lmdb.hpp"
#include "lib/lmdb_format.hpp"
#include "lib/lmdb_marker.hpp"
#include "tests/lib/scratch.hpp"
#include "tests/support/forall.hpp"

namespace loam::lmdb {
namespace {

namespace fs = std::filesystem;

using test::code_of;
using ::test::forall;
using ::test::Gen;
using test::message_of;
using test::read_file;
using test::Scratch;
using test::write_file;

constexpr Table first_table{0};
constexpr Table second_table{1};
constexpr std::size_t page_octets = 4'096;

std::shared_ptr<Env> open_in(const fs::path& dir) {
  return Env::open({.dir = dir, .tables = {"first", "second"}});
}

Bytes key_of(std::uint64_t number) {
  Bytes key(8);
  store_u64(key.data(), number * 0x9e3779b97f4a7c15U);
  return key;
}

// A transaction of many changes of few keys, often with pages that are new and free again in it.
void change(Gen& gen, WriteTxn& txn) {
  const std::uint64_t span = gen.between(1, 800);
  for (std::uint64_t left = gen.below(800); left > 0; --left) {
    const Table table = gen.coin() ? first_table : second_table;
    const Bytes key = key_of(gen.below(span));
    if (gen.one_in(3)) {
      txn.erase(table, key);
    } else {
      txn.put(table, key, Bytes(gen.one_in(20) ? gen.below(9'000) : gen.below(200)));
    }
  }
  if (!gen.one_in(3)) return;
  for (std::uint64_t number = 0; number < span; ++number) {
    if (!gen.one_in(10)) txn.erase(first_table, key_of(number));
  }
}

TEST_CASE("a healthy file passes the check after every commit, and no page of it is lost") {
  forall("healthy file", 25, [](Gen& gen) {
    const Scratch scratch;
    const auto env = open_in(scratch / "store");
    for (int commit = 0; commit < 10; ++commit) {
      env->write([&](WriteTxn& txn) { change(gen, txn); });
      const CheckReport report = env->check();
      REQUIRE(report.findings == std::vector<Finding>{});
      REQUIRE(report.pages_lost() == 0);
      REQUIRE(report.pages <= report.pages_in_file);
      env->read([&](const ReadTxn& txn) {
        REQUIRE(report.transaction == txn.number());
        REQUIRE(report.entries.at("first") == txn.count(first_table));
        REQUIRE(report.entries.at("second") == txn.count(second_table));
      });
    }
  });
}

TEST_CASE("what is checked is the state of a snapshot, while a writer goes on") {
  const Scratch scratch;
  const auto env = open_in(scratch / "store");
  std::atomic<bool> is_done{false};
  std::thread writer([&] {
    Gen gen(1);
    for (int commit = 0; commit < 100; ++commit) {
      env->write([&](WriteTxn& txn) { change(gen, txn); });
    }
    is_done = true;
  });
  std::uint64_t checks = 0;
  std::vector<Finding> findings;
  while (!is_done && findings.empty()) {
    findings = env->check().findings;
    ++checks;
  }
  writer.join();
  CHECK(findings == std::vector<Finding>{});
  CHECK(checks > 0);
}

// ---------------------------------------------------------------- damage, kind by kind

// A closed store: 300 small values and two large ones.
struct Closed {
  Closed() {
    const auto env = open_in(dir);
    for (int commit = 0; commit < 3; ++commit) {
      env->write([&](WriteTxn& txn) {
        for (std::uint64_t i = 0; i < 300; ++i) {
          txn.put(first_table, key_of(i), Bytes(20 + i % 50, std::byte{7}));
        }
        for (std::uint64_t i = 0; i < 2; ++i) {
          txn.put(second_table, key_of(i), Bytes(20'000, std::byte{9}));
        }
        txn.erase(second_table, key_of(1));
      });
    }
  }

  CheckReport check(bool values = true) const { return check_still_file(file, {.values = values}); }

  template <class Plain>
  void put(std::size_t at, Plain value) const {
    std::string octets = read_file(file);
    std::memcpy(octets.data() + at, &value, sizeof value);
    write_file(file, octets);
  }

  // The offset of some used page with these flags, and so many nodes.
  std::size_t page(std::uint16_t flags, std::uint16_t nodes = 0) const {
    const std::string octets = read_file(file);
    for (std::size_t at = 2 * page_octets; at < octets.size(); at += page_octets) {
      format::PageHead head{};
      std::memcpy(&head, octets.data() + at, sizeof head);
      if (head.number != at / page_octets || head.flags != flags) continue;
      if (nodes > 0 && head.lower < 16 + 2 * nodes) continue;
      std::string damaged = octets;  // is it used?
      damaged[at] = static_cast<char>(damaged[at] ^ 1);
      write_file(file, damaged);
      const bool is_used = !check().is_sound();
      write_file(file, octets);
      if (is_used) return at;
    }
    throw std::runtime_error("no such page");
  }

  // One of the leaves with the small values.
  std::size_t value_page() const { return page(format::leaf_page, 20); }

  Scratch scratch;
  fs::path dir = scratch / "store";
  fs::path file = dir / "data.mdb";
};

// What the findings say, after a change of the file that is undone.
template <class Change>
std::string found_after(const Closed& store, Change&& change) {
  const std::string before = read_file(store.file);
  change();
  const CheckReport report = store.check();
  write_file(store.file, before);
  std::string texts;
  for (const Finding& finding : report.findings) texts += finding.text + "\n";
  return texts;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("damage to the structure is named for what it is") {
  const Closed store;
  REQUIRE(store.check().findings.empty());
  const std::size_t branch = store.page(format::branch_page);
  const std::size_t leaf = store.page(format::leaf_page);
  const std::size_t overflow = store.page(format::overflow_page);
  const auto after = [&](std::size_t at, auto value) {
    return found_after(store, [&] { store.put(at, value); });
  };
  using u16 = std::uint16_t;
  CHECK(contains(after(leaf, std::uint64_t{999}), "says that it is page 999"));
  CHECK(contains(after(leaf + 10, format::meta_page), "is neither branch nor leaf"));
  CHECK(contains(after(leaf + 12, u16{15}), "bounds"));
  CHECK(contains(after(leaf + 16, u16{4'094}), "outside"));
  CHECK(contains(after(branch + 12, u16{18}), "has 1 nodes"));
  CHECK(contains(after(overflow + 10, format::leaf_page), "is no overflow page"));
  CHECK(contains(after(overflow + 12, std::uint32_t{1}), "its value needs"));
  CHECK(contains(after(0 + 16, std::uint32_t{1}), "no LMDB file"));
  std::uint16_t second = 0;
  const std::string octets = read_file(store.file);
  std::memcpy(&second, octets.data() + leaf + 18, sizeof second);
  CHECK(contains(after(leaf + 16, second), "overlap"));
}

TEST_CASE("a page that is used twice, or listed as free as well, is found") {
  const Closed store;
  const std::size_t branch = store.page(format::branch_page);
  const std::string octets = read_file(store.file);
  std::uint16_t node[2];
  std::memcpy(node, octets.data() + branch + 16, sizeof node);
  std::uint32_t child = 0;
  std::memcpy(&child, octets.data() + branch + node[1], sizeof child);
  CHECK(contains(found_after(store, [&] { store.put(branch + node[0], child); }), "used twice"));
}

TEST_CASE("a gap between the numbers of the meta pages is a commit that was lost") {
  const Closed store;
  const std::string octets = read_file(store.file);
  std::uint64_t number = 0;
  std::memcpy(&number, octets.data() + offsetof(format::MetaPage, transaction), sizeof number);
  CHECK(contains(
      found_after(store, [&] { store.put(offsetof(format::MetaPage, transaction), number - 4); }),
      "no two commits in a row"));
}

TEST_CASE("a wrong octet in a value is a finding about the value, and of its key") {
  const Closed store;
  const std::size_t overflow = store.page(format::overflow_page);
  store.put(overflow + 100, std::uint8_t{1});
  const CheckReport report = store.check();
  CHECK(report.is_sound());
  REQUIRE(report.value_faults == 1);
  CHECK(report.findings.at(0).severity == Severity::value);
  CHECK(report.findings.at(0).table == "second");
  CHECK(report.findings.at(0).key == key_of(0));
  CHECK(store.check(false).value_faults == 0);
}

TEST_CASE("no more findings are described than asked for, all are counted") {
  const Closed store;
  std::string octets = read_file(store.file);
  const std::string value(20, 7);
  const std::size_t begin = store.value_page();
  for (std::size_t at = begin; (at = octets.find(value, at)) < begin + page_octets; at += 20) {
    octets[at] = 6;
  }
  write_file(store.file, octets);
  const CheckReport report = check_still_file(store.file, {.findings_max = 2});
  CHECK(report.value_faults > 3);
  CHECK(report.findings.size() == 2);
}

TEST_CASE("the progress of a check ends with all pages") {
  const Closed store;
  std::uint64_t done = 0;
  std::uint64_t pages = 1;
  check_still_file(store.file, {.progress = [&](std::uint64_t now, std::uint64_t all) {
                     done = now;
                     pages = all;
                   }});
  CHECK(done == pages);
}

// ---------------------------------------------------------------- short files

TEST_CASE("a file that ends early opens when only free pages are missing, and not otherwise") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  const auto file = dir / "data.mdb";
  {
    const auto env = open_in(dir);
    env->write([](WriteTxn& txn) { txn.put(first_table, key_of(1), Bytes(200)); });
    env->write([](WriteTxn& txn) { txn.put(second_table, key_of(1), Bytes(200'000)); });
    env->write([](WriteTxn& txn) { txn.erase(second_table, key_of(1)); });
    for (int commit = 0; commit < 4; ++commit) {
      env->write([](WriteTxn& txn) { txn.put(first_table, key_of(1), Bytes(200)); });
    }
  }
  const std::string octets = read_file(file);
  const CheckReport whole = check_still_file(file);
  REQUIRE(whole.pages_free > 40);
  std::uint64_t opened = 0;
  std::uint64_t refused = 0;
  for (std::uint64_t pages = whole.pages - 1; pages > 2; --pages) {
    INFO("pages ", pages);
    write_file(file, octets.substr(0, pages * page_octets));
    const bool is_sound = check_still_file(file).is_sound();
    const auto error = test::error_of([&] {
      const auto env = open_in(dir);
      CHECK(env->check().findings == std::vector<Finding>{});
      CHECK(env->read([](const ReadTxn& txn) { return txn.count(first_table); }) == 1);
    });
    CHECK(is_sound == !error);
    if (error) CHECK(error->code() == ErrorCode::damaged);
    if (!error) CHECK(fs::file_size(file) == octets.size());
    ++(error ? refused : opened);
  }
  CHECK(opened > 10);
  CHECK(refused > 0);
}

TEST_CASE("a commit leaves no file behind that ends early") {
  const Scratch scratch;
  const auto env = open_in(scratch / "store");
  Gen gen(7);
  for (int commit = 0; commit < 60; ++commit) {
    env->write([&](WriteTxn& txn) { change(gen, txn); });
    REQUIRE(env->octets_used() <= fs::file_size(env->dir() / "data.mdb"));
  }
}

TEST_CASE("a file that lacks one of its tables is damaged, and gets no empty one instead") {
  const Closed store;
  const std::string octets = read_file(store.file);
  std::string renamed = octets;
  for (std::size_t at = 0; (at = renamed.find("second", at)) != std::string::npos; ++at) {
    renamed.replace(at, 6, "secomd");
  }
  write_file(store.file, renamed);
  CHECK(code_of([&] { open_in(store.dir); }) == ErrorCode::damaged);
  CHECK(read_file(store.file) == renamed);
}

// ---------------------------------------------------------------- after a restart

void damage_structure(const Closed& store) {
  store.put(store.value_page() + 10, format::overflow_page);
}

TEST_CASE("a mark from before a restart has the file checked before it is opened") {
  const Closed store;
  const auto mark = store.dir / "open";
  CHECK(!fs::exists(mark));  // it was closed
  damage_structure(store);
  write_file(mark, boot_id());
  CHECK_NOTHROW(open_in(store.dir));  // not from before a restart
  write_file(mark, "another boot");
  CHECK(code_of([&] { open_in(store.dir); }) == ErrorCode::damaged);
  CHECK(contains(message_of([&] { open_in(store.dir); }), "loam doctor"));
  CHECK(fs::exists(mark));
}

TEST_CASE("a sound file loses its mark after a restart, and is written again") {
  const Closed store;
  const auto mark = store.dir / "open";
  write_file(mark, "another boot");
  const auto env = open_in(store.dir);
  CHECK(!fs::exists(mark));
  env->write([](WriteTxn& txn) { txn.put(first_table, key_of(1), {}); });
  CHECK(read_file(mark) == boot_id());
}

TEST_CASE("the mark stays while any process has written, and after one was killed") {
  const Closed store;
  const auto mark = store.dir / "open";
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto env = open_in(store.dir);
    env->write([](WriteTxn& txn) { txn.put(first_table, key_of(1), {}); });
    [[maybe_unused]] const auto wrote = ::write(ready[1], "x", 1);
    ::pause();
    ::_exit(0);
  }
  char octet = 0;
  REQUIRE(::read(ready[0], &octet, 1) == 1);
  {
    const auto env = open_in(store.dir);
    env->write([](WriteTxn& txn) { txn.put(first_table, key_of(2), {}); });
  }
  CHECK(fs::exists(mark));  // the child has not closed it
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(fs::exists(mark));
  {
    const auto env = open_in(store.dir);
    env->write([](WriteTxn& txn) { txn.put(first_table, key_of(3), {}); });
  }
  CHECK(!fs::exists(mark));  // the last one that closed it
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace loam::lmdb
