// What two sides pay to become equal, over sizes, differences and numbers of actors: octets, round
// trips, rows read, allocations. COST_RECORDS=1000000 adds a larger size.
#include <doctest/doctest.h>

#include "crdt/record.hpp"
#include "tests/support/allocations.hpp"
#include "tests/support/forall.hpp"
#include "tests/transport/catch_up.hpp"
#include "tests/transport/script.hpp"

using loam::DeltaFrame;
using test::lessons;
using test::Net;
using test::Peer;
using test::operator""s;

namespace {

loam::ActorId actor_number(std::uint64_t number) {
  return {loam::hash128("test cost", {loam::bytes_of(std::to_string(number))})};
}

/// Two sides that have the same records, of so many actors.
class Sides {
 public:
  Sides(std::uint64_t records, std::uint64_t actors) {
    for (std::uint64_t actor = 0; actor < actors; ++actor) {
      loam::Apply change{.segment = lessons};
      const std::uint64_t count = records / actors + (actor < records % actors ? 1 : 0);
      if (count == 0) continue;
      write(change, actor_number(actor), 1, count);
      left.apply(change, left.id());
    }
    right = left;
    right.become_store(test::store_id_of(2));
    left.drop_journal(lessons, test::journal_id_of(10));
    right.drop_journal(lessons, test::journal_id_of(11));
  }

  Peer left{1, 1, test::two_segments};
  Peer right{2, 2, test::two_segments};

  /// Adds records on the left, under so many new actors.
  void add(std::uint64_t records, std::uint64_t actors) {
    for (std::uint64_t i = 0; i < actors; ++i) {
      loam::Apply change{.segment = lessons};
      write(change, actor_number(1'000'000'000 + i), 1, records / actors);
      left.apply(change, left.id());
    }
  }

  /// Removes records on the left, far from each other, in one write.
  void remove(std::uint64_t records) {
    loam::Apply change{.segment = lessons};
    const auto& live = left.store(lessons).live();
    const std::size_t stride = live.size() / records;
    auto at = live.begin();
    for (std::uint64_t i = 0; i < records; ++i, std::advance(at, stride)) {
      change.delta.context.insert(at->first);
    }
    for (const auto& [actor, counters] : change.delta.context) {
      change.authors.emplace(actor, test::instance_of(1));
    }
    left.apply(change, left.id());
  }

  void forget_journal() { left.truncate(lessons, left.state(lessons).head); }

 private:
  void write(loam::Apply& change, const loam::ActorId& actor, std::uint64_t first,
             std::uint64_t count) {
    change.authors.emplace(actor, test::instance_of(1));
    change.delta.context.insert(actor, loam::Range{first, first + count - 1});
    for (std::uint64_t i = 0; i < count; ++i) {
      const loam::Bytes content = test::content_of(std::to_string(++texts_));
      change.delta.live.emplace(loam::Dot{actor, first + i},
                                loam::encode(loam::SetRecord{{}, content, test::meta_of("")}));
    }
  }

  std::uint64_t texts_ = 0;
};

// Memory is taken for what differs, and for the actors, whose contexts both sides read once in a
// comparison; never for the records that both have.
struct TableCost {
  std::uint64_t octets = 0;   ///< beyond the records, both directions, without hello and bye
  std::uint64_t records = 0;  ///< that travelled
  std::uint64_t rows = 0;     ///< read by both sides
  std::uint64_t allocations = 0;  ///< of both sides, with those of the stores and the network in memory
  double round_trips = 0;     ///< after the hellos, until both sides were equal
};

TableCost meet(Sides& sides) {
  Net net;
  sides.left.rows_read = sides.right.rows_read = 0;
  const std::size_t link =
      net.connect(sides.left, sides.right,
                  {.once = {true, false}, .limits = {.removals_min = 1'000'000'000}});
  const std::uint64_t allocations_before = test::allocations();
  int half_trips = 0;
  for (; sides.left.store(lessons).roots() != sides.right.store(lessons).roots(); ++half_trips) {
    REQUIRE(half_trips < 1'000);
    std::array<std::size_t, 2> flying{net.end(link, 0).inbox.size(), net.end(link, 1).inbox.size()};
    for (int side = 0; side < 2; ++side) {
      for (std::size_t& left = flying[static_cast<std::size_t>(side)]; left > 0; --left) {
        net.deliver(link, side);
      }
    }
    for (int side = 0; side < 2; ++side) {
      while (net.commit(link, side) || net.wake(link, side)) {
      }
    }
  }
  net.pass(1s);
  const std::uint64_t made = test::allocations() - allocations_before;
  REQUIRE(net.is_over(link));
  REQUIRE(net.end(link, 0).session->report().converged);
  TableCost cost;
  cost.allocations = made;
  cost.rows = sides.left.rows_read + sides.right.rows_read;
  // The listener's states come with its hello, so that is when the count begins.
  cost.round_trips = std::max(0.0, (half_trips - 1) / 2.0);
  for (const test::Sent& sent : net.sent()) {
    const loam::Frame frame = sent.frame();
    if (std::holds_alternative<loam::Hello>(frame) || std::holds_alternative<loam::Bye>(frame)) {
      continue;
    }
    cost.octets += sent.bytes.size();
    const auto* delta = std::get_if<DeltaFrame>(&frame);
    if (delta == nullptr) continue;
    cost.records += delta->delta.live.size();
    for (const auto& [dot, record] : delta->delta.live) cost.octets -= record.size();
  }
  return cost;
}

void report(const char* what, std::uint64_t records, std::uint64_t actors,
            std::uint64_t differences, const TableCost& cost) {
  MESSAGE(std::string(what), ": ", records, " records of ", actors, " actors, ", differences,
          " differences: ", cost.octets, " octets, ", cost.round_trips, " round trips, ", cost.rows,
          " rows read, ", cost.allocations, " allocations");
}

struct Size {
  std::uint64_t records;
  std::uint64_t actors;
};

std::vector<Size> sizes() {
  std::vector<Size> all{{10'000, 10}, {10'000, 1'000}, {100'000, 10}, {100'000, 30'000}};
  if (test::scaled(10) < 10) all.resize(2);  // counts are the same under a sanitizer, only slower
  const char* more = test::environment("COST_RECORDS");
  const std::uint64_t records = more ? std::strtoull(more, nullptr, 10) : 0;
  if (records > 0) {
    for (const std::uint64_t actors : {10U, 1'000U, 100'000U}) all.push_back({records, actors});
  }
  return all;
}

constexpr std::uint64_t table_segments = 2;
constexpr std::uint64_t states = 128 * table_segments;

}  // namespace

TEST_CASE("the cost of nothing: 128 octets a segment, whatever the size") {
  for (const auto& [records, actors] : sizes()) {
    Sides sides(records, actors);
    meet(sides);
    const TableCost cost = meet(sides);
    report("nothing", records, actors, 0, cost);
    CHECK(cost.octets <= states);
    CHECK(cost.round_trips <= 1);
    CHECK(cost.rows <= 200);
    CHECK(cost.allocations <= 500);
  }
}

TEST_CASE("the cost of adds that the journal tells: 24 octets a record, one round trip") {
  for (const auto& [records, actors] : sizes()) {
    Sides sides(records, actors);
    meet(sides);
    for (const std::uint64_t adds : {1U, 100U, 10'000U}) {
      Sides now = sides;
      now.add(adds, 1);
      const TableCost cost = meet(now);
      report("adds by journal", records, actors, adds, cost);
      CHECK(cost.records == adds);
      CHECK(cost.octets <= 24 * adds + 40 + 2 * states);
      CHECK(cost.round_trips <= 1);
      CHECK(cost.rows <= 6 * adds + 300);
      CHECK(cost.allocations <= 32 * adds + 1'000);
    }
  }
}

TEST_CASE("the cost of adds without a journal: the same and the actors that changed") {
  for (const auto& [records, actors] : sizes()) {
    const Sides sides(records, actors);
    for (const std::uint64_t adds : {1U, 100U, 10'000U}) {
      Sides now = sides;
      now.add(adds, 1);
      now.forget_journal();
      const TableCost cost = meet(now);
      report("adds of one actor, no journal", records, actors, adds, cost);
      CHECK(cost.records == adds);
      CHECK(cost.octets <= 24 * adds + 2 * states + 1'200);
      CHECK(cost.round_trips <= 2);
      CHECK(cost.rows <= 6 * adds + 3 * actors + 400);  // not a row for each record
      CHECK(cost.allocations <= 32 * adds + 12 * actors + 1'000);
    }
    for (const std::uint64_t adds : {10U, 1'000U}) {
      Sides now = sides;
      now.add(adds, adds);
      now.forget_journal();
      const TableCost cost = meet(now);
      report("adds of as many actors, no journal", records, actors, adds, cost);
      CHECK(cost.records == adds);
      // A chunk names each actor with its author and range; a comparison has its item and row.
      CHECK(cost.octets <= (24 + 160) * adds + 2 * states + 1'200);
      CHECK(cost.round_trips <= 3);
      CHECK(cost.rows <= 12 * adds + 3 * actors + 400);
      CHECK(cost.allocations <= 120 * adds + 12 * actors + 1'000);
    }
  }
}

TEST_CASE("the cost of removals without a journal: 20 octets each, three round trips") {
  for (const auto& [records, actors] : sizes()) {
    const Sides sides(records, actors);
    for (const std::uint64_t removals : {1U, 10U, 100U, 1'000U, 10'000U}) {
      if (removals * 4 > records) continue;
      Sides now = sides;
      now.remove(removals);
      now.forget_journal();
      const TableCost cost = meet(now);
      report("removals, no journal", records, actors, removals, cost);
      CHECK(cost.records == 0);
      CHECK(cost.octets <= 20 * removals + 1'024 + states);
      CHECK(cost.round_trips <= 3);
      CHECK(cost.rows <= 6 * (records + 2 * actors) + 400);
      CHECK(cost.allocations <= 16 * removals + 12 * actors + 1'500);
    }
  }
}

TEST_CASE("the cost of removals on both sides without a journal: 50 octets each at most") {
  for (const auto& [records, actors] : sizes()) {
    const Sides sides(records, actors);
    for (const std::uint64_t removals : {1U, 30U, 1'000U}) {
      Sides now = sides;
      now.remove(removals);
      std::swap(now.left, now.right);
      now.remove(removals * 2 + 1);
      for (Peer* each : {&now.left, &now.right}) {
        each->truncate(lessons, each->state(lessons).head);
      }
      const TableCost cost = meet(now);
      report("removals on both sides, no journal", records, actors, 3 * removals + 1, cost);
      CHECK(cost.records == 0);
      CHECK(cost.octets <= 50 * (3 * removals + 1) + 16'384);
      CHECK(cost.round_trips <= 4);
      CHECK(cost.allocations <= 16 * (3 * removals + 1) + 12 * actors + 1'500);
    }
  }
}

TEST_CASE("the cost of a first copy: 8 octets a record") {
  for (const auto& [records, actors] : sizes()) {
    Sides sides(records, actors);
    sides.right = Peer(2, 2, test::two_segments);
    const TableCost cost = meet(sides);
    report("first copy", records, actors, records, cost);
    CHECK(cost.records == records);
    CHECK(cost.octets <= 8 * records + 48 * actors + 2 * states);
    CHECK(cost.rows <= 3 * (records + 2 * actors) + 400);
    CHECK(cost.allocations <= 32 * records + 50 * actors + 1'000);
  }
}
