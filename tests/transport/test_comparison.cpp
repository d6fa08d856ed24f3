// Which actors differ, and what the sides have of them.
#include "tests/transport/comparing.hpp"

using loam::CompareFrame;
using loam::ContextFrame;
using loam::DeltaFrame;
using loam::LiveFrame;
using loam::Position;
using test::Net;
using test::Peer;
using test::add;
using test::count;
using test::is_equal;
using test::lessons;
using test::peer;
using test::sync;
using test::sync_without_journal;
using test::write_as;

TEST_CASE("without a position the states are compared, and the journal is followed from there") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 5);
  add(right, 6, 7);
  left.remove(lessons, "lesson 2");
  Net net;
  const std::size_t link = sync(net, left, right);
  CHECK(is_equal(left, right));
  CHECK(left.store(lessons).live().size() == 6);
  CHECK(net.frames<CompareFrame>(link, 0).size() == 1);
  CHECK(net.frames<CompareFrame>(link, 1).empty());
  CHECK(right.position(lessons, left.id()) ==
        Position{left.state(lessons).journal, left.state(lessons).head});
  CHECK(left.position(lessons, right.id()) ==
        Position{right.state(lessons).journal, right.state(lessons).head});
}

TEST_CASE("equal states need no journal and no comparison, and are remembered") {
  Peer left = peer(1);
  add(left, 1, 5);
  Peer right = left;
  right.become_store(test::store_id_of(77));
  right.drop_journal(lessons, test::journal_id_of(77));
  Net net;
  const std::size_t link = sync(net, left, right);
  CHECK(count<CompareFrame>(net, link) == 0);
  CHECK(right.position(lessons, left.id()) == Position{left.state(lessons).journal, 5});
  CHECK(left.position(lessons, right.id()) == Position{test::journal_id_of(77), 0});
}

TEST_CASE("whoever has nothing gets everything at once, without saying what it lacks") {
  for (const bool dials : {false, true}) {
    CAPTURE(dials);
    Peer left = peer(1);
    Peer right = peer(2);
    add(left, 1, 5);
    Net net;
    const std::size_t link = dials ? sync(net, right, left) : sync(net, left, right);
    CHECK(is_equal(left, right));
    for (const int side : {0, 1}) {
      for (const ContextFrame& frame : net.frames<ContextFrame>(link, side)) {
        CHECK(frame.rows.empty());
        CHECK(frame.named.empty());
      }
    }
  }
}

TEST_CASE("adds that are found without a journal need no live sets") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 9);
  Net net;
  sync_without_journal(net, left, right);
  add(left, 10, 12);
  left.truncate(lessons, left.state(lessons).head);
  const std::size_t link = sync(net, left, right);
  CHECK(is_equal(left, right));
  CHECK(count<LiveFrame>(net, link) == 0);
  const auto chunks = net.frames<DeltaFrame>(link, 0);
  REQUIRE(chunks.size() == 1);
  CHECK(chunks[0].delta.context.count() == 3);
}

TEST_CASE("many actors are told apart by a sketch, and only those that differ are named") {
  for (const bool dials : {false, true}) {
    CAPTURE(dials);
    Peer left = peer(1);
    Peer right = peer(2);
    write_as(left, 0, 300);
    Net net;
    sync_without_journal(net, left, right);
    write_as(left, 1'000, 3);
    write_as(right, 2'000, 2);
    for (Peer* each : {&left, &right}) each->truncate(lessons, each->state(lessons).head);
    const std::size_t link = dials ? sync(net, left, right) : sync(net, right, left);
    CHECK(is_equal(left, right));
    CHECK(left.store(lessons).live().size() == 305);
    const auto first = net.frames<CompareFrame>(link, 0);
    REQUIRE(first.size() == 1);
    CHECK(first[0].items.empty());
    CHECK(first[0].cells.size() == 16 * loam::Sketch::cell_octets);
    CHECK(net.frames<CompareFrame>(link, 1).empty());
    std::size_t rows = 0;
    std::size_t named = 0;
    for (const int side : {0, 1}) {
      for (const ContextFrame& frame : net.frames<ContextFrame>(link, side)) {
        rows += frame.rows.size();
        named += frame.named.size();
      }
    }
    CHECK(rows == (dials ? 2 : 3));
    CHECK(named == (dials ? 3 : 2));
  }
}

TEST_CASE("a sketch that told too little is answered by one that is large enough") {
  Peer left = peer(1);
  Peer right = peer(2);
  write_as(left, 0, 3'000);
  Net net;
  sync_without_journal(net, left, right);
  write_as(left, 5'000, 100);
  write_as(right, 6'000, 150);
  for (Peer* each : {&left, &right}) each->truncate(lessons, each->state(lessons).head);
  const std::size_t link = sync(net, left, right);
  CHECK(is_equal(left, right));
  CHECK(left.store(lessons).live().size() == 3'250);
  const auto answer = net.frames<CompareFrame>(link, 1);
  REQUIRE(answer.size() == 1);
  CHECK(answer[0].items.empty());
  const std::size_t cells = answer[0].cells.size() / loam::Sketch::cell_octets;
  CHECK(cells > 250);
  CHECK(cells < 900);
  CHECK(net.frames<CompareFrame>(link, 0).size() == 1);
}

TEST_CASE("where nearly all actors differ they are listed") {
  Peer left = peer(1);
  Peer right = peer(2);
  write_as(left, 0, 400);
  write_as(right, 1'000, 300);
  Net net;
  const std::size_t link = sync(net, left, right, {.part_octets = 800});
  CHECK(is_equal(left, right));
  CHECK(left.store(lessons).live().size() == 700);
  const auto answer = net.frames<CompareFrame>(link, 1);
  REQUIRE(answer.size() == 3);
  CHECK(answer[0].items.size() == 100);
  CHECK(!answer[0].end);
  CHECK(answer[2].end);
}

TEST_CASE("a context is sent in parts") {
  Peer left = peer(1);
  Peer right = peer(2);
  for (unsigned i = 0; i < 7; ++i) {
    left.become(test::actor_of(1, 10 + i));
    left.add(lessons, "left " + std::to_string(i));
    right.become(test::actor_of(2, 10 + i));
    right.add(lessons, "right " + std::to_string(i));
  }
  Net net;
  const std::size_t link = sync(net, left, right, {.part_actors = 3});
  CHECK(is_equal(left, right));
  CHECK(left.store(lessons).live().size() == 14);
  const auto parts = net.frames<ContextFrame>(link, 1);
  REQUIRE(parts.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(parts[i].end == (i == 2));
}

TEST_CASE("parts wait for the window") {
  Peer left = peer(1);
  Peer right = peer(2);
  write_as(left, 0, 50);
  write_as(right, 100, 50);
  Net net;
  const std::size_t link = net.connect(
      left, right,
      {.once = {true, false}, .limits = {.window_octets = 200, .part_octets = 100}});
  for (int i = 0; net.frames<CompareFrame>(link, 0).empty(); ++i) net.deliver(link, i % 2);
  CHECK(net.frames<CompareFrame>(link, 0).size() == 2);  // of five
  net.pass(std::chrono::seconds(1));
  CHECK(net.end(link, 0).session->report().converged);
  CHECK(is_equal(left, right));
}

TEST_CASE("a chunk that was begun before a comparison says nothing about it") {
  // The window closes on a half-filled chunk; a record in it is removed; then the peer compares.
  test::Script script(loam::Role::listener, {.window_octets = 1, .chunk_records = 3});
  script.open();
  Peer& own = script.own;
  for (int i = 0; i < 5; ++i) {
    own.become(test::actor_of(1, static_cast<unsigned>(30 + i)));
    add(own, i, i);
  }
  std::vector<DeltaFrame> sent = test::sent<DeltaFrame>(script.session().changed(script.now));
  REQUIRE(sent.size() == 1);
  std::uint64_t octets = 0;
  const auto take = [&](const std::vector<loam::Action>& actions) {
    for (const DeltaFrame& chunk : test::sent<DeltaFrame>(actions)) {
      octets += loam::encode_frame(chunk).size();
      sent.push_back(chunk);
    }
    for (const ContextFrame& part : test::sent<ContextFrame>(actions)) {
      octets += loam::encode_frame(part).size();
    }
  };
  octets = loam::encode_frame(sent[0]).size();
  own.become(test::actor_of(1, 40));
  for (int i = 0; i < 5; ++i) own.remove(lessons, "lesson " + std::to_string(i));
  sent.clear();
  const auto compare = [&](std::uint64_t number) {
    return compare_from(script.other, lessons, 1, number, script.other_hello(),
                        script.own_hello());
  };
  take(script.receive(compare(1)));
  for (int i = 0; i < 20; ++i) take(script.receive(loam::AckFrame{1, octets, 0}));
  take(script.receive(ContextFrame{.index = 1, .number = 1, .end = true}));
  for (int i = 0; i < 20; ++i) take(script.receive(loam::AckFrame{1, octets, 0}));
  std::uint64_t accounted = 0;
  for (const DeltaFrame& chunk : sent) {
    CHECK(chunk.delta.live.empty());
    accounted += chunk.delta.context.count();
  }
  CHECK(accounted == 5);
}

TEST_CASE("a comparison may begin anew in its midst") {
  test::Script script;
  for (int i = 0; i < 3; ++i) {
    script.own.become(test::actor_of(1, static_cast<unsigned>(60 + i)));
    add(script.own, i, i);
  }
  script.other.add(lessons, "theirs");  // so that they do not begin equal
  script.open();
  const auto compare = [&](std::uint64_t number) {
    return compare_from(script.other, lessons, 1, number, script.other_hello(),
                        script.own_hello());
  };
  script.receive(compare(1));
  script.receive(compare(2));
  const auto end = script.receive(ContextFrame{.index = 1, .number = 2, .end = true});
  std::uint64_t accounted = 0;
  for (const DeltaFrame& chunk : test::sent<DeltaFrame>(end)) {
    accounted += chunk.delta.context.count();
  }
  CHECK(accounted == 3);
}
