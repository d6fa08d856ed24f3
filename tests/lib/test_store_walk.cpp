#include <doctest/doctest.h>

#include "tests/lib/lock_step.hpp"
#include "tests/lib/store_walk.hpp"

namespace loam {
namespace {

using ::test::Gen;
using test::LockStep;

// A store with something in every table that the walk looks at.
void fill(LockStep& trace) {
  Gen gen(1);
  for (int step = 0; step < 40; ++step) REQUIRE(trace.step(gen) == "");
  trace.store().env().write([&](lmdb::WriteTxn& txn) {
    SharedBatch batch(trace.store(), txn, 1);
    for (std::size_t i = 0; i < pending_entries_min + 4; ++i) {
      batch.add(trace.store().number(test::set_segment),
                test::content_of("pending " + std::to_string(i)), test::meta_of(""));
    }
    batch.remember_packet(test::id_of<PacketId>(1), "receipt");
    batch.hold({HeldReason::removal, 1, {}, 0, {{1, RangeSet(Range{1, 2})}}, {}});
    batch.finish();
  });
  REQUIRE(test::walk(trace.store()) == "");
}

// Whether the walk finds something, in whatever way.
bool is_noticed(const SharedStore& store) {
  try {
    return test::walk(store) != "";
  } catch (const Error& error) {
    return error.code() == ErrorCode::damaged;
  } catch (const std::out_of_range&) {
    return true;
  }
}

TEST_CASE("the walk that other tests rely on notices a row that is gone, from any table") {
  const std::map<std::string, lmdb::Table> tables{
      {"actors", table::actors},   {"actor_ids", table::actor_ids},
      {"ctx", table::ctx},         {"rec", table::rec},
      {"dot", table::dot},         {"elem", table::elem},
      {"reg", table::reg},         {"jrnl", table::jrnl},
      {"packets", table::packets}, {"packet_log", table::packet_log},
      {"pending", table::pending}, {"held", table::held}};
  LockStep trace;
  fill(trace);
  for (const auto& listed : tables) {
    INFO(listed.first);
    const lmdb::Table rows = listed.second;
    Bytes key;
    Bytes value;
    trace.store().env().write([&](lmdb::WriteTxn& txn) {
      lmdb::Cursor cursor = txn.cursor(rows);
      REQUIRE(cursor.first());
      key = copy_of(cursor.key());
      value = copy_of(cursor.value());
      txn.erase(rows, key);
    });
    CHECK(is_noticed(trace.store()));
    trace.store().env().write([&](lmdb::WriteTxn& txn) { txn.put(rows, key, value); });
    REQUIRE(test::walk(trace.store()) == "");
  }
}

TEST_CASE("the walk notices counters and roots that are off by one") {
  LockStep trace;
  fill(trace);
  const std::vector<std::function<void(SegmentRow&)>> changes{
      [](SegmentRow& row) { ++row.records; },
      [](SegmentRow& row) { --row.octets; },
      [](SegmentRow& row) { ++row.state.roots.live.low; },
      [](SegmentRow& row) { ++row.state.roots.context.high; },
      [](SegmentRow& row) { ++row.state.head; },
      [](SegmentRow& row) { ++row.state.floor; }};
  const TableKey key = segment_key(trace.store().number(test::set_segment));
  for (std::size_t i = 0; i < changes.size(); ++i) {
    INFO("change ", i);
    SegmentRow row = trace.store().read([&](const SharedReader& reader) {
      return decode_segment_row(*reader.txn().get(table::segs, key));
    });
    const Bytes before = encode(row);
    changes[i](row);
    trace.store().env().write([&](lmdb::WriteTxn& txn) { txn.put(table::segs, key, encode(row)); });
    CHECK(test::walk(trace.store()) != "");
    trace.store().env().write([&](lmdb::WriteTxn& txn) { txn.put(table::segs, key, before); });
  }
  CHECK(test::walk(trace.store()) == "");
}

}  // namespace
}  // namespace loam
