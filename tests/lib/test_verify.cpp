#include <doctest/doctest.h>

#include <set>

#include "lib/held.hpp"
#include "lib/private_tables.hpp"
#include "lib/verify_walk.hpp"
#include "tests/lib/lock_step.hpp"
#include "tests/lib/opened.hpp"

namespace loam {
namespace {

using ::test::Gen;
using test::LockStep;

std::vector<std::string> found_in(const SharedStore& store) {
  std::vector<std::string> found;
  walk_shared(store, [&](const std::string& table, const std::string& text) {
    found.push_back(table + ": " + text);
  });
  return found;
}

// A store with something in every table.
void fill_every_table(LockStep& trace) {
  Gen gen(3);
  for (int step = 0; step < 40; ++step) REQUIRE(trace.step(gen) == "");
  trace.store().env().write([&](lmdb::WriteTxn& txn) {
    SharedBatch batch(trace.store(), txn, 1);
    for (std::size_t i = 0; i < pending_entries_min + 4; ++i) {
      batch.add(trace.store().number(test::set_segment),
                test::content_of("pending " + std::to_string(i)), test::meta_of(""));
    }
    batch.remember_packet(test::id_of<PacketId>(1), "receipt");
    batch.set_position(1, test::id_of<StoreId>(3), {1, 2});
    batch.hold({HeldReason::removal, 1, {}, 0, {{1, RangeSet(Range{1, 2})}}, {}});
    batch.finish();
  });
}

TEST_CASE("a sound store has no findings, whatever happened in it") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    LockStep trace;
    Gen gen(seed);
    for (int step = 0; step < 30; ++step) REQUIRE(trace.step(gen) == "");
    CHECK(found_in(trace.store()) == std::vector<std::string>{});
  }
}

TEST_CASE("a row that is gone is found, from any table") {
  const std::map<std::string, lmdb::Table> tables{
      {"actors", table::actors},   {"actor_ids", table::actor_ids},
      {"ctx", table::ctx},         {"rec", table::rec},
      {"dot", table::dot},         {"elem", table::elem},
      {"reg", table::reg},         {"jrnl", table::jrnl},
      {"packets", table::packets}, {"packet_log", table::packet_log},
      {"pending", table::pending}, {"held", table::held},
      {"segs", table::segs}};
  LockStep trace;
  fill_every_table(trace);
  REQUIRE(found_in(trace.store()) == std::vector<std::string>{});
  for (const auto& listed : tables) {
    INFO(listed.first);
    const lmdb::Table rows = listed.second;
    Bytes key;
    Bytes value;
    trace.store().env().write([&](lmdb::WriteTxn& txn) {
      lmdb::Cursor cursor = txn.cursor(rows);
      REQUIRE(cursor.last());
      key = copy_of(cursor.key());
      value = copy_of(cursor.value());
      txn.erase(rows, key);
    });
    CHECK(!found_in(trace.store()).empty());
    trace.store().env().write([&](lmdb::WriteTxn& txn) { txn.put(rows, key, value); });
    REQUIRE(found_in(trace.store()) == std::vector<std::string>{});
  }
}

TEST_CASE("a row that says something else is found, from any table") {
  const std::map<std::string, lmdb::Table> tables{{"actor_ids", table::actor_ids},
                                                  {"ctx", table::ctx},
                                                  {"rec", table::rec},
                                                  {"dot", table::dot},
                                                  {"reg", table::reg},
                                                  {"segs", table::segs},
                                                  {"pending", table::pending}};
  LockStep trace;
  fill_every_table(trace);
  for (const auto& listed : tables) {
    const lmdb::Table rows = listed.second;
    Bytes key;
    Bytes value;
    trace.store().env().read([&](const lmdb::ReadTxn& txn) {
      lmdb::Cursor cursor = txn.cursor(rows);
      REQUIRE(cursor.last());
      key = copy_of(cursor.key());
      value = copy_of(cursor.value());
    });
    for (const std::size_t at : {std::size_t{0}, value.size() / 2, value.size() - 1}) {
      INFO(listed.first, " octet ", at);
      Bytes other = value;
      other[at] ^= std::byte{1};
      trace.store().env().write([&](lmdb::WriteTxn& txn) { txn.put(rows, key, other); });
      CHECK(!found_in(trace.store()).empty());
    }
    trace.store().env().write([&](lmdb::WriteTxn& txn) { txn.put(rows, key, value); });
    REQUIRE(found_in(trace.store()) == std::vector<std::string>{});
  }
}

TEST_CASE("a private store whose counts are wrong is found") {
  const test::Instances instances;
  {
    Memory memory = instances.open("alpha");
    memory.remember({.segment = "project_history", .text = "one"});
    memory.put("session_context", "key", 1);
  }
  const PrivateStore store(instances.path("alpha") / "private", SegmentTable(), {});
  const auto found = [&] {
    std::size_t count = 0;
    walk_private(store, [&](const std::string&, const std::string&) { ++count; });
    return count;
  };
  CHECK(found() == 0);
  store.env().write([](lmdb::WriteTxn& txn) {
    lmdb::Cursor cursor = txn.cursor(private_table::counts);
    REQUIRE(cursor.first());
    Bytes value = copy_of(cursor.value());
    value.back() ^= std::byte{1};
    const Bytes key = copy_of(cursor.key());
    txn.put(private_table::counts, key, value);
  });
  CHECK(found() == 1);
}

TEST_CASE("an open instance verifies itself while it is written") {
  const test::Instances instances;
  Memory memory = instances.open("alpha");
  for (int i = 0; i < 20; ++i) memory.remember({.text = "number " + std::to_string(i)});
  const VerifyReport report = memory.verify({.deep = true});
  CHECK(report.is_sound());
  CHECK(report.findings.empty());
  CHECK(report.stores.at("shared").entries > 60);
  const VerifyReport outside = verify_instance(instances.path("alpha"), {.deep = true});
  CHECK(outside.is_sound());
}

}  // namespace
}  // namespace loam
