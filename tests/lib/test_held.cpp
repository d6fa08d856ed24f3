#include <doctest/doctest.h>

#include "lib/shared_store.hpp"
#include "tests/lib/damaged.hpp"
#include "tests/lib/scratch.hpp"
#include "tests/lib/site.hpp"
#include "tests/lib/store_walk.hpp"

namespace loam {
namespace {

using test::id_of;

struct HoldingStore {
  test::Scratch scratch;
  SegmentTable segments;
  SharedStore shared{scratch / "shared",
                     segments,
                     {},
                     id_of<InstanceId>(1),
                     StoreIdentity{"alpha", id_of<FederationId>(9)}};
  SegmentNumber set = shared.number(test::set_segment);

  template <class Body>
  void write(Body&& body) {
    shared.env().write([&](lmdb::WriteTxn& txn) {
      SharedBatch batch(shared, txn, 1'000);
      body(batch);
      batch.finish();
    });
  }

  std::vector<HeldItem> held() {
    return shared.read([](const SharedReader& reader) { return reader.held(); });
  }

  HeldRow row(HeldReason reason, std::uint64_t counter, std::size_t octets = 10) const {
    return {reason, set, {}, 0, {{1, RangeSet(Range{counter, counter})}}, Bytes(octets)};
  }
};

// An actor for the rows to be about.
void add_actor(HoldingStore& store) {
  store.write(
      [&](SharedBatch& batch) { batch.add(store.set, test::content_of("a"), test::meta_of("")); });
}

std::vector<std::uint64_t> counters(const std::vector<HeldItem>& items) {
  std::vector<std::uint64_t> found;
  for (const HeldItem& item : items) found.push_back(item.row.dots.at(0).second.highest());
  return found;
}

TEST_CASE("what is held is read in order, with its time, until it is released") {
  HoldingStore store;
  add_actor(store);
  store.write([&](SharedBatch& batch) {
    batch.hold(store.row(HeldReason::damaged, 7));
    batch.hold(store.row(HeldReason::removal, 8));
  });
  const auto items = store.held();
  REQUIRE(counters(items) == std::vector<std::uint64_t>{7, 8});
  CHECK(items[0].row.at_ms == 1'000);
  const auto removals =
      store.shared.read([](const SharedReader& r) { return r.held(HeldReason::removal); });
  CHECK(removals == std::vector<HeldItem>{items[1]});
  std::vector<bool> had;
  store.write([&](SharedBatch& batch) {
    had = {batch.release(items[1].sequence), batch.release(items[1].sequence)};
  });
  CHECK(had == std::vector<bool>{true, false});
  CHECK(counters(store.held()) == std::vector<std::uint64_t>{7});
  CHECK(test::walk(store.shared) == "");
}

TEST_CASE("the sequence of a released row is not given to another") {
  HoldingStore store;
  add_actor(store);
  store.write([&](SharedBatch& batch) { batch.hold(store.row(HeldReason::removal, 1)); });
  const std::uint64_t first = store.held().at(0).sequence;
  store.write([&](SharedBatch& batch) { batch.release(first); });
  store.write([&](SharedBatch& batch) { batch.hold(store.row(HeldReason::removal, 2)); });
  CHECK(store.held().at(0).sequence > first);
}

TEST_CASE("a second content of a dot is held once, however often it comes") {
  HoldingStore store;
  add_actor(store);
  for (int times = 0; times < 2; ++times) {
    store.write([&](SharedBatch& batch) {
      for (int i = 0; i < 2; ++i) batch.hold(store.row(HeldReason::equivocation, 5));
    });
  }
  CHECK(store.held().size() == 1);
  store.write([&](SharedBatch& batch) { batch.hold(store.row(HeldReason::equivocation, 5, 11)); });
  CHECK(store.held().size() == 2);
}

TEST_CASE("the oldest row that is no removal makes room: at the bound of rows and not below") {
  HoldingStore store;
  add_actor(store);
  store.write([&](SharedBatch& batch) {
    batch.hold(store.row(HeldReason::removal, 1));
    batch.hold(store.row(HeldReason::equivocation, 2));
    for (std::uint64_t i = 3; i <= held_rows_max; ++i) {
      batch.hold(store.row(HeldReason::damaged, i));
    }
  });
  CHECK(store.held().size() == held_rows_max);
  store.write([&](SharedBatch& batch) { batch.hold(store.row(HeldReason::damaged, 5'000)); });
  const auto left = counters(store.held());
  REQUIRE(left.size() == held_rows_max);
  CHECK(std::vector<std::uint64_t>(left.begin(), left.begin() + 2) ==
        std::vector<std::uint64_t>{1, 3});
  CHECK(left.back() == 5'000);
  CHECK(test::walk(store.shared) == "");
}

TEST_CASE("octets are bounded too, by what stands in the table") {
  HoldingStore store;
  add_actor(store);
  const std::size_t around = encode(store.row(HeldReason::damaged, 1, 0)).size();
  const std::size_t quarter = held_octets_max / 4 - around;
  for (std::uint64_t i = 1; i <= 4; ++i) {
    store.write(
        [&](SharedBatch& batch) { batch.hold(store.row(HeldReason::damaged, i, quarter)); });
  }
  CHECK(counters(store.held()) == std::vector<std::uint64_t>{1, 2, 3, 4});
  store.write([&](SharedBatch& batch) { batch.hold(store.row(HeldReason::damaged, 5, 0)); });
  CHECK(counters(store.held()) == std::vector<std::uint64_t>{2, 3, 4, 5});
  CHECK(test::walk(store.shared) == "");
}

TEST_CASE("removals are kept beyond both bounds, and nothing else finds room then") {
  HoldingStore store;
  add_actor(store);
  store.write([&](SharedBatch& batch) {
    for (std::uint64_t i = 1; i <= held_rows_max + 1; ++i) {
      batch.hold(store.row(HeldReason::removal, i));
    }
    batch.hold(store.row(HeldReason::equivocation, 9'000));
  });
  const auto left = counters(store.held());
  CHECK(left.size() == held_rows_max + 1);
  CHECK(left.back() == held_rows_max + 1);
  CHECK(test::walk(store.shared) == "");
}

// A change of one dot by another store.
Delta one(const Dot& dot, const std::string& text) {
  Delta delta;
  delta.context.insert(dot);
  delta.live.emplace(dot, encode(SetRecord{{}, test::content_of(text), test::meta_of("")}));
  return delta;
}

TEST_CASE("of a dot with two contents the other one is kept aside, whichever came first") {
  const Dot dot{id_of<ActorId>(50), 1};
  const Authors authors{{dot.actor, ActorClaim(id_of<InstanceId>(51))}};
  std::vector<Bytes> kept;
  for (const bool swapped : {false, true}) {
    HoldingStore store;
    const Delta first = one(dot, swapped ? "two" : "one");
    const Delta second = one(dot, swapped ? "one" : "two");
    const StoreId peer = id_of<StoreId>(60);
    store.write([&](SharedBatch& batch) { batch.join(store.set, first, authors, {}, {}); });
    store.write([&](SharedBatch& batch) {
      CHECK(batch.join(store.set, second, authors, {}, peer).equivocated.size() == 1);
    });
    const auto items = store.held();
    REQUIRE(items.size() == 1);
    CHECK(items[0].row.reason == HeldReason::equivocation);
    CHECK(items[0].row.peer == peer);
    kept.push_back(items[0].row.record);
    CHECK(test::walk(store.shared) == "");
  }
  CHECK(kept[0] == kept[1]);
}

TEST_CASE("what is refused of a peer adds up, and begins again where its row is damaged") {
  const test::Scratch scratch;
  const SegmentTable segments;
  const StoreId peer = id_of<StoreId>(5);
  using Counts = std::map<SegmentNumber, std::uint64_t>;
  const auto note = [&](const Counts& refused) {
    SharedStore store(scratch / "shared", segments, {}, id_of<InstanceId>(1),
                      StoreIdentity{"alpha", id_of<FederationId>(9)});
    store.env().write([&](lmdb::WriteTxn& txn) {
      SharedBatch batch(store, txn, 1'000);
      batch.set_peer(peer, PeerRow{.name = "a peer of this name", .refused = refused});
      batch.finish();
    });
    return store.read([&](const SharedReader& reader) {
      return decode_peer_row(*reader.txn().get(table::peers, peer.view())).refused;
    });
  };
  CHECK(note({{1, 2}}) == Counts{{1, 2}});
  CHECK(note({{1, 3}, {2, 1}}) == Counts{{1, 5}, {2, 1}});
  CHECK(note({}) == Counts{{1, 5}, {2, 1}});
  test::damage_text(scratch / "shared", "a peer of this name");
  CHECK(note({{2, 4}}) == Counts{{2, 4}});
}

}  // namespace
}  // namespace loam
