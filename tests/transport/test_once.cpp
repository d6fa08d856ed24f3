#include <doctest/doctest.h>

#include "tests/transport/catch_up.hpp"

using loam::Bye;
using loam::SegmentTally;
using loam::StateFrame;
using test::add;
using test::lessons;
using test::Net;
using test::peer;
using test::Peer;
using test::operator""ms;
using test::operator""s;

TEST_CASE("one round brings both sides up to date, and reports what it did") {
  Peer left = peer(1);
  Peer right = peer(2);
  Net net;
  net.connect(left, right, {.once = {true, false}});
  net.pass(1s);
  add(left, 1, 3);
  add(right, 4, 8);
  right.remove(lessons, "lesson 4");
  net.forget_frames();
  const std::size_t link = net.connect(left, right, {.once = {true, false}});
  net.pass(1s);
  CHECK(left.store(lessons).canonical() == right.store(lessons).canonical());
  const auto& report = net.end(link, 0).session->report();
  CHECK(report.converged);
  CHECK(report.problem.empty());
  CHECK(report.segments.at(lessons) == SegmentTally{.sent = 3, .received = 4});
  CHECK(report.segments.at("registry") == SegmentTally{});
  CHECK(report.octets_sent == net.octets(link, 0));
  CHECK(report.octets_received == net.octets(link, 1));
  std::uint64_t opening = 0;
  for (const test::Sent& sent : net.sent()) opening += is_of_opening(sent.frame()) ? sent.bytes.size() : 0;
  CHECK(opening > 0);
  CHECK(report.octets_opening == opening);
  const auto& theirs = net.end(link, 1).session->report();
  CHECK(theirs.converged);
  CHECK(theirs.segments.at(lessons) == SegmentTally{.sent = 4, .received = 3});
  CHECK(net.end(link, 0).close == loam::Close{1000, "done"});
  CHECK(net.end(link, 1).close == loam::Close{1000, "done"});
}

TEST_CASE("one round reports what it removed") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 5);
  Net net;
  net.connect(left, right, {.once = {true, false}});
  net.pass(1s);
  right.remove(lessons, "lesson 1");
  right.remove(lessons, "lesson 2");
  left.remove(lessons, "lesson 5");
  const std::size_t link = net.connect(left, right, {.once = {true, false}});
  net.pass(1s);
  CHECK(net.end(link, 0).session->report().segments.at(lessons) == SegmentTally{.removed = 2});
  CHECK(net.end(link, 1).session->report().segments.at(lessons) == SegmentTally{.removed = 1});
}

TEST_CASE("one round with nothing to do ends after the states, without asking for them again") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 5);
  Net net;
  net.connect(left, right, {.once = {true, false}});
  net.pass(1s);
  net.forget_frames();
  const std::size_t link = net.connect(left, right, {.once = {true, false}});
  net.pass(1s);
  CHECK(net.is_over(link));
  CHECK(net.frames<StateFrame>(link, 0).size() == 2);
  CHECK(net.frames<StateFrame>(link, 1).size() == 2);
  CHECK(net.end(link, 0).session->report().converged);
  CHECK(net.end(link, 1).session->report().converged);
}

TEST_CASE("a round goes on while the other side has not made durable what it was sent") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 3);
  Net net;
  const std::size_t link = net.connect(left, right, {.once = {true, false}});
  for (bool more = true; more;) {  // nothing is committed at the right
    more = net.deliver(link, 0);
    more = net.deliver(link, 1) || more;
    more = net.commit(link, 0) || more;
  }
  CHECK(!net.end(link, 0).close);
  net.pass(1s);
  CHECK(net.end(link, 0).close == loam::Close{1000, "done"});
}

TEST_CASE("two sides that both want one round both finish") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 3);
  add(right, 4, 8);
  Net net;
  const std::size_t link = net.connect(left, right, {.once = {true, true}});
  net.pass(1s);
  for (int side = 0; side < 2; ++side) {
    CHECK(net.end(link, side).close == loam::Close{1000, "done"});
    CHECK(net.end(link, side).session->report().converged);
    CHECK(net.end(link, side).session->report().problem.empty());
  }
}

TEST_CASE(
    "a round in which somebody keeps writing ends all the same, and says that states differ") {
  Peer left = peer(1);
  Peer right = peer(2);
  Net net;
  const std::size_t link = net.connect(left, right, {.once = {true, false}});
  int written = 0;
  net.watch = [&](const test::Sent& sent) {
    const auto frame = sent.frame();
    const auto* state = std::get_if<StateFrame>(&frame);
    if (state == nullptr || !state->wanted) return;
    right.add(lessons, "busy " + std::to_string(++written));
  };
  right.add(lessons, "busy");
  for (int i = 0; i < 60 && !net.is_over(link); ++i) {
    net.changed(right);
    for (bool more = true; more;) {  // all that was sent arrives before any of it is durable
      more = false;
      while (net.deliver(link, 0) || net.deliver(link, 1)) more = true;
      while (net.commit(link, 0) || net.commit(link, 1)) more = true;
    }
    net.now += 50ms;
    net.wake(link, 0);
  }
  REQUIRE(net.end(link, 0).close == loam::Close{1000, "leaving: the states still differ"});
  const auto& report = net.end(link, 0).session->report();
  CHECK(!report.converged);
  CHECK(report.problem == "the states still differ");
  CHECK(written >= 20);
}

TEST_CASE("a round that has to compare everything is not given up meanwhile") {
  // The states differ although both followed to the end; the comparison takes longer than the
  // rounds.
  Peer left = peer(1);
  Peer right = peer(2);
  Net net;
  net.connect(left, right, {.once = {true, false}});
  net.pass(1s);
  const Peer backup = left;
  add(left, 1, 30);
  net.connect(left, right, {.once = {true, false}});
  net.pass(1s);
  left = backup;
  left.become(test::actor_of(1, 99));
  const std::size_t link = net.connect(
      left, right, {.once = {true, false}, .limits = {.window_octets = 1, .chunk_records = 1}});
  for (int i = 0; i < 400 && !net.is_over(link); ++i) {
    for (int side = 0; side < 2; ++side) {
      net.deliver(link, side);
      net.commit(link, side);
      net.wake(link, side);
    }
    net.now += 40ms;
  }
  CHECK(net.end(link, 0).session->report().converged);
  CHECK(left.store(lessons).canonical() == right.store(lessons).canonical());
}

TEST_CASE("a round that the other side leaves has a problem") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 3);
  Net net;
  const std::size_t link = net.connect(left, right, {.once = {true, false}});
  net.deliver(link, 1);
  net.leave(link, 1, "shutting down");
  net.pass(1s);
  CHECK(net.is_over(link));
  CHECK(net.end(link, 0).session->report().problem == "the peer left: shutting down");
  CHECK(!net.end(link, 0).session->report().converged);
}

TEST_CASE(
    "a round in which a chunk is refused has a problem, and keeps the position where it was") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 3);
  Net net;
  net.refuse = [&](const Peer& peer, const loam::Apply& change) -> std::optional<std::string> {
    if (&peer != &right || change.delta.empty()) return std::nullopt;
    return "no permission";
  };
  const std::size_t link = net.connect(left, right, {.once = {true, false}});
  net.pass(1s);
  CHECK(net.end(link, 1).close == loam::Close{1011, "refused: a part could not be stored"});
  CHECK(net.end(link, 1).session->report().segments.at(lessons) == SegmentTally{.refused = 1});
  CHECK(net.end(link, 0).session->report().problem == "the peer ended: refused: a part could not be stored");
  CHECK(right.position(lessons, left.id()) == loam::Position{});
  CHECK(right.store(lessons).live().empty());
}

TEST_CASE("round trips are counted: one for the hello, one for the states, one for what follows") {
  Peer left = peer(1);
  Peer right = peer(2);
  Net net;
  const std::size_t first = net.connect(left, right, {.once = {true, false}});
  net.pass(1s);
  CHECK(net.end(first, 0).session->report().round_trips >= 2);
  const std::size_t second = net.connect(left, right, {.once = {true, false}});
  net.pass(1s);
  CHECK(net.end(second, 0).session->report().round_trips == 2);
}
