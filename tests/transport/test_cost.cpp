#include <doctest/doctest.h>

#include "tests/support/allocations.hpp"
#include "tests/support/forall.hpp"
#include "tests/transport/script.hpp"

using loam::AckFrame;
using loam::DeltaFrame;
using loam::StateFrame;
using test::Net;
using test::Peer;
using test::operator""s;

namespace {

const std::string cost_segment = "lessons_learned";
const std::vector<test::Declared> cost_segments{{"instance_registry", loam::Kind::map},
                                                {cost_segment, loam::Kind::set}};

Peer cost_peer(unsigned author) { return {author, author, cost_segments}; }

/// A record of about 300 octets, as performance.md has them.
void add_long(Peer& to, std::uint64_t first, std::uint64_t last) {
  for (std::uint64_t i = first; i <= last; ++i) {
    to.write(cost_segment, [&](test::Replica& replica) {
      return replica.add({"lesson " + std::to_string(i) + std::string(220, 'x'), "tags", 1});
    });
  }
}

std::string text_of(std::uint64_t i) {
  return "lesson " + std::to_string(i) + std::string(220, 'x');
}

struct Cost {
  std::uint64_t octets = 0;         ///< both directions, without hello and bye
  std::uint64_t records = 0;        ///< that travelled
  std::uint64_t record_octets = 0;  ///< of those records
  double round_trips = 0;           ///< after the hellos, until both sides were equal

  std::uint64_t beyond() const { return octets - record_octets; }
};

/// One round between two peers. The trips are counted until the stores are equal.
Cost sync(Peer& left, Peer& right) {
  Net net;
  const std::size_t link = net.connect(left, right, {.once = {true, false}});
  int half_trips = 0;
  while (left.store(cost_segment).roots() != right.store(cost_segment).roots() && half_trips < 50) {
    ++half_trips;
    std::array<std::size_t, 2> flying{net.end(link, 0).inbox.size(), net.end(link, 1).inbox.size()};
    for (int side = 0; side < 2; ++side) {
      for (std::size_t left_over = flying[static_cast<std::size_t>(side)]; left_over > 0;
           --left_over) {
        net.deliver(link, side);
      }
    }
    for (int side = 0; side < 2; ++side) {
      while (net.commit(link, side) || net.wake(link, side)) {
      }
    }
  }
  net.pass(1s);
  REQUIRE(net.is_over(link));
  REQUIRE(net.end(link, 0).session->report().converged);
  Cost cost;
  // The listener's states come with its hello, so that is when the count begins.
  cost.round_trips = std::max(0.0, (half_trips - 1) / 2.0);
  for (const test::Sent& sent : net.sent()) {
    const loam::Frame frame = sent.frame();
    if (std::holds_alternative<loam::Hello>(frame) || std::holds_alternative<loam::Bye>(frame))
      continue;
    cost.octets += sent.bytes.size();
    const auto* delta = std::get_if<DeltaFrame>(&frame);
    if (delta == nullptr) continue;
    for (const auto& [dot, record] : delta->delta.live) {
      ++cost.records;
      cost.record_octets += record.size();
    }
  }
  return cost;
}

void report(const char* what, const Cost& cost) {
  MESSAGE(std::string(what), ": ", cost.beyond(), " octets beyond ", cost.records, " records, ",
          cost.round_trips, " round trips");
}

}  // namespace

TEST_CASE("nothing changed: at most 128 octets a segment, one round trip") {
  Peer left = cost_peer(1);
  Peer right = cost_peer(2);
  add_long(left, 1, 20'000);
  sync(left, right);
  sync(left, right);
  const Cost cost = sync(left, right);
  report("nothing changed, two segments", cost);
  CHECK(cost.octets <= 128 * cost_segments.size());
  CHECK(cost.round_trips <= 1);
}

TEST_CASE("adds by journal: at most 24 octets a record in bulk") {
  Peer left = cost_peer(1);
  Peer right = cost_peer(2);
  add_long(left, 1, 1'000);
  sync(left, right);
  for (const std::uint64_t adds : {100U, 1'000U, 10'000U}) {
    const std::uint64_t have = left.store(cost_segment).live().size();
    add_long(left, have + 1, have + adds);
    const Cost cost = sync(left, right);
    report("adds by journal", cost);
    CHECK(cost.records == adds);
    CHECK(cost.beyond() <= 24 * adds + 128 * cost_segments.size() * 2);
    CHECK(cost.round_trips <= 1);
  }
}

TEST_CASE("adds on both sides by journal: no more, and nothing travels twice") {
  Peer left = cost_peer(1);
  Peer right = cost_peer(2);
  add_long(left, 1, 100);
  sync(left, right);
  add_long(left, 101, 200);
  add_long(right, 201, 300);
  const Cost cost = sync(left, right);
  report("100 adds on either side by journal", cost);
  CHECK(cost.records == 200);
  CHECK(cost.beyond() <= 24 * 200 + 128 * cost_segments.size() * 2);
}

TEST_CASE("one add on a live link: at most 64 octets beyond the record to push it") {
  Peer left = cost_peer(1);
  Peer right = cost_peer(2);
  add_long(left, 1, 1'000);
  Net net;
  const std::size_t link = net.connect(left, right);
  net.run();
  net.forget_frames();
  add_long(left, 1'001, 1'001);
  net.changed(left);
  net.run();
  const auto chunks = net.frames<DeltaFrame>(link, 0);
  REQUIRE(chunks.size() == 1);
  const std::size_t record = chunks[0].delta.live.begin()->second.size();
  const std::uint64_t pushed = loam::encode_frame(chunks[0]).size() - record;
  const std::uint64_t all = net.octets(link, 0) + net.octets(link, 1) - record;
  MESSAGE("one add: ", pushed, " octets beyond the record in the push, ", all,
          " with its confirmations, ", net.sent().size(), " frames");
  CHECK(pushed <= 64);
}

TEST_CASE("a first copy: at most 8 octets a record beyond the records of one actor") {
  Peer left = cost_peer(1);
  Peer right = cost_peer(2);
  add_long(left, 1, 50'000);
  const Cost cost = sync(left, right);
  report("first copy", cost);
  CHECK(cost.records == 50'000);
  CHECK(cost.beyond() <= 8 * 50'000);
}

TEST_CASE(
    "removes without a journal: at most 3 round trips, and nothing that depends on the size") {
  Peer left = cost_peer(1);
  Peer right = cost_peer(2);
  const std::uint64_t records = 20'000;  // test_cost_table.cpp has more
  add_long(left, 1, records);
  sync(left, right);
  for (const std::uint64_t removes : {1U, 100U, 1'000U}) {
    for (std::uint64_t i = 0; i < removes; ++i) {
      left.remove(cost_segment, text_of(1 + (i * 7'919 + removes * 31) % records));
    }
    left.truncate(cost_segment, left.state(cost_segment).head);
    const Cost cost = sync(left, right);
    report("removes without a journal", cost);
    CHECK(cost.records == 0);
    CHECK(cost.beyond() <= 300 * removes + 16'384);
    CHECK(cost.round_trips <= 3);
  }
}

TEST_CASE("removes without a journal where the peer knows more: one more question, 3 round trips") {
  Peer author = cost_peer(1);
  Peer left = cost_peer(2);
  Peer right = cost_peer(3);
  add_long(author, 1, 10'000);
  sync(author, left);
  sync(left, right);
  add_long(author, 10'001, 10'100);
  sync(author, right);
  for (std::uint64_t i = 1; i <= 100; ++i) left.remove(cost_segment, text_of(i * 97));
  left.truncate(cost_segment, left.state(cost_segment).head);
  const Cost cost = sync(left, right);
  report("removes and adds without a journal, by asking", cost);
  CHECK(cost.records == 100);
  CHECK(cost.beyond() <= 300 * 100 + 16'384 + 24 * 100);
  CHECK(cost.round_trips <= 3);
}

TEST_CASE(
    "adds without a journal: the same and the difference of the contexts, at most 2 round trips") {
  Peer left = cost_peer(1);
  Peer right = cost_peer(2);
  add_long(left, 1, 10'000);
  sync(left, right);
  add_long(left, 10'001, 10'100);
  left.truncate(cost_segment, left.state(cost_segment).head);
  const Cost cost = sync(left, right);
  report("100 adds without a journal", cost);
  CHECK(cost.records == 100);
  CHECK(cost.beyond() <= 24 * 100 + 1'000);
  CHECK(cost.round_trips <= 2);
}

TEST_CASE("what a session keeps once it has compared does not depend on how many actors there are") {
  std::array<std::array<std::size_t, 2>, 2> kept{};  // by actors, by side
  for (const std::size_t many : {0U, 1U}) {
    Peer left = cost_peer(1);
    for (unsigned i = 0; i < (many == 0 ? 10U : 1'000U); ++i) {
      left.become({loam::hash128("test kept", {loam::bytes_of(std::to_string(i))})});
      add_long(left, i, i);
    }
    Peer right = left;
    right.become_store(test::store_id_of(77));
    right.drop_journal(cost_segment, test::journal_id_of(77));
    right.become({loam::hash128("test kept", {})});
    add_long(right, 2'000, 2'000);
    Net net;
    const std::size_t link = net.connect(left, right);
    net.pass(60s);
    REQUIRE(net.is_up(link));
    REQUIRE(left.store(cost_segment).roots() == right.store(cost_segment).roots());
    for (const int side : {0, 1}) {
      const std::size_t before = test::octets_in_use();
      net.end(link, side).session.reset();
      kept[many][static_cast<std::size_t>(side)] = before - test::octets_in_use();
    }
    net.cut(link);
  }
  for (const std::size_t side : {0U, 1U}) {
    CAPTURE(kept[0][side]);
    CAPTURE(kept[1][side]);
    CHECK(kept[1][side] < kept[0][side] + 1'000);
  }
}
