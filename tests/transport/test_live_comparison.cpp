// Which dots differ of what both sides have covered, and what becomes of those that were removed.
#include "tests/transport/comparing.hpp"

using loam::AskFrame;
using loam::CompareFrame;
using loam::ContextFrame;
using loam::DeadFrame;
using loam::DeltaFrame;
using loam::LiveFrame;
using loam::Position;
using loam::RangeSet;
using loam::StateFrame;
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
using Form = LiveFrame::Form;

TEST_CASE("a removal is found without a journal, whichever side it was on") {
  for (const bool dials : {false, true}) {
    CAPTURE(dials);
    Peer left = peer(1);
    Peer right = peer(2);
    add(left, 1, 9);
    Net net;
    sync_without_journal(net, left, right);
    left.remove(lessons, "lesson 4");
    left.truncate(lessons, left.state(lessons).head);
    const std::size_t link = dials ? sync(net, left, right) : sync(net, right, left);
    CHECK(is_equal(left, right));
    CHECK(right.store(lessons).live().size() == 8);
    CHECK(count(net, link, Form::sets) == 1);
    CHECK(count<AskFrame>(net, link) == 0);
    for (const int side : {0, 1}) {
      for (const DeltaFrame& chunk : net.frames<DeltaFrame>(link, side)) CHECK(chunk.delta.empty());
    }
    for (const StateFrame& state : net.frames<StateFrame>(link, 0)) CHECK(!state.compare);
  }
}

TEST_CASE("where each side knows more of an actor its common part is compared") {
  Peer author = peer(1);
  Peer left = peer(2);
  Peer right = peer(3);
  Net net;
  add(author, 1, 9);
  sync(net, author, left);
  sync(net, left, right);
  add(author, 10, 12);
  sync(net, author, right);
  left.remove(lessons, "lesson 4");
  right.remove(lessons, "lesson 5");
  for (Peer* each : {&left, &right}) {
    each->drop_journal(lessons, test::journal_id_of(50 + each->author()));
  }
  for (const bool dials : {true, false}) {
    Peer one = left;
    Peer other = right;
    const std::size_t link = dials ? sync(net, one, other) : sync(net, other, one);
    CHECK(is_equal(one, other));
    CHECK(one.store(lessons).live().size() == 10);
    REQUIRE(count(net, link, Form::sets) == 1);
    for (const int side : {0, 1}) {
      for (const LiveFrame& frame : net.frames<LiveFrame>(link, side)) {
        CHECK(frame.sets[0].common == RangeSet({1, 9}));
      }
    }
  }
}

TEST_CASE("where the common part is equal nothing is asked") {
  Peer author = peer(1);
  Peer left = peer(2);
  Peer right = peer(3);
  Net net;
  add(author, 1, 9);
  sync(net, author, left);
  sync(net, left, right);
  add(author, 10, 12);
  sync(net, author, right);
  add(left, 20, 20);
  left.drop_journal(lessons, test::journal_id_of(50));
  const std::size_t link = sync(net, left, right);
  CHECK(is_equal(left, right));
  CHECK(count<LiveFrame>(net, link) == 0);
}

TEST_CASE("a removal that was found by comparison is passed on through the journal") {
  Peer left = peer(1);
  Peer middle = peer(2);
  Peer right = peer(3);
  add(left, 1, 4);
  Net net;
  sync(net, left, middle);
  sync(net, middle, right);
  left.remove(lessons, "lesson 2");
  left.truncate(lessons, left.state(lessons).head);
  sync(net, left, middle);
  const std::size_t link = sync(net, middle, right);
  CHECK(is_equal(left, right));
  CHECK(count<CompareFrame>(net, link) == 0);
}

TEST_CASE("a comparison is over only when what it found is removed, however soon a link is cut") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 9);
  Net net;
  sync_without_journal(net, left, right);
  left.remove(lessons, "lesson 4");
  left.truncate(lessons, left.state(lessons).head);
  const Position end{left.state(lessons).journal, left.state(lessons).head};
  const std::size_t link = net.connect(left, right, {.once = {true, false}});
  do {
    CHECK((right.position(lessons, left.id()) != end || is_equal(left, right)));
    while (net.deliver(link, 0) || net.deliver(link, 1) || net.commit(link, 0)) {
    }
  } while (net.commit(link, 1));
  CHECK(right.position(lessons, left.id()) == end);
  CHECK(is_equal(left, right));
}

TEST_CASE("removals of many actors are told by one sketch of all dots") {
  for (const bool dials : {false, true}) {
    CAPTURE(dials);
    Peer left = peer(1);
    Peer right = peer(2);
    write_as(left, 0, 2'000);
    Net net;
    sync_without_journal(net, left, right);
    for (unsigned i = 0; i < 100; ++i) left.remove(lessons, "by " + std::to_string(i * 7));
    for (unsigned i = 0; i < 30; ++i) right.remove(lessons, "by " + std::to_string(i * 7 + 1));
    for (Peer* each : {&left, &right}) each->truncate(lessons, each->state(lessons).head);
    const std::size_t link = dials ? sync(net, left, right) : sync(net, right, left);
    CHECK(is_equal(left, right));
    CHECK(left.store(lessons).live().size() == 1'870);
    CHECK(count(net, link, Form::all) == 1);
    CHECK(count<ContextFrame>(net, link) == 0);
    CHECK(count<DeadFrame>(net, link) == 1);
  }
}

TEST_CASE("a write in the midst of a sketch of all dots is neither lost nor brought back") {
  Peer left = peer(1);
  Peer right = peer(2);
  write_as(left, 0, 500);
  Net net;
  sync_without_journal(net, left, right);
  for (unsigned i = 0; i < 100; ++i) left.remove(lessons, "by " + std::to_string(i));
  for (Peer* each : {&left, &right}) each->truncate(lessons, each->state(lessons).head);
  for (int after = 0; after < 12; ++after) {
    Peer one = left;
    Peer other = right;
    const std::size_t link = net.connect(one, other, {.once = {true, false}});
    for (int i = 0; i < after; ++i) net.deliver(link, i % 2);
    one.become(test::actor_of(1, 900));
    one.add(lessons, "written here meanwhile");
    one.remove(lessons, "by 400");
    other.become(test::actor_of(2, 900));
    other.add(lessons, "written there meanwhile");
    other.remove(lessons, "by 401");
    net.changed(one);
    net.changed(other);
    net.pass(std::chrono::seconds(5));
    CAPTURE(after);
    CAPTURE(net.end(link, 0).session->report().problem);
    CHECK(net.end(link, 0).session->report().converged);
    CHECK(is_equal(one, other));
    CHECK(one.store(lessons).live().size() == 400);
    CHECK(net.alarms().empty());
  }
}

TEST_CASE("a sketch of all dots that told too little leads to the contexts") {
  Peer left = peer(1);
  Peer right = peer(2);
  for (unsigned i = 0; i < 300; ++i) {
    left.become({loam::hash128("test many", {loam::bytes_of(std::to_string(i))})});
    for (unsigned j = 0; j < 10; ++j) left.add(lessons, std::to_string(i * 10 + j));
  }
  Net net;
  sync_without_journal(net, left, right);
  // As many are removed on either side, so that their number does not show.
  for (unsigned i = 0; i < 300; ++i) {
    for (unsigned j = 0; j < 4; ++j) left.remove(lessons, std::to_string(i * 10 + j));
    for (unsigned j = 4; j < 8; ++j) right.remove(lessons, std::to_string(i * 10 + j));
  }
  for (Peer* each : {&left, &right}) each->truncate(lessons, each->state(lessons).head);
  const std::size_t link =
      sync(net, left, right, {.removals_min = 10'000});
  CHECK(is_equal(left, right));
  CHECK(left.store(lessons).live().size() == 600);
  CHECK(count(net, link, Form::all) >= 1);
}

TEST_CASE("a sketch of some actors' dots that told too little leads to their live sets") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 2'000);
  Net net;
  sync_without_journal(net, left, right);
  for (int i = 1; i < 2'000; i += 4) left.remove(lessons, "lesson " + std::to_string(i));
  for (int i = 3; i < 2'000; i += 4) right.remove(lessons, "lesson " + std::to_string(i));
  for (Peer* each : {&left, &right}) each->truncate(lessons, each->state(lessons).head);
  const std::size_t link = sync(net, left, right);
  CHECK(is_equal(left, right));
  CHECK(left.store(lessons).live().size() == 1'000);
  CHECK(count(net, link, Form::sketch) == 1);
  CHECK(count(net, link, Form::sets) >= 1);
}

TEST_CASE("one dot with two contents ends with the smaller hash on both sides, and an alarm") {
  Peer left = peer(1);
  add(left, 1, 3);
  Peer right = left;  // a clone that goes on as the same actor: what no product may do
  right.become_store(test::store_id_of(8));
  right.drop_journal(lessons, test::journal_id_of(8));
  left.add(lessons, "said here");
  right.add(lessons, "said there");
  right.remove(lessons, "lesson 1");
  Net net;
  sync(net, left, right);
  CHECK(is_equal(left, right));
  CHECK(left.store(lessons).live().size() == 3);
  const auto alarms = net.alarms();
  const std::string two = "segment lessons: 1 dots with two contents: the smaller hash was kept";
  CHECK(std::find(alarms.begin(), alarms.end(), two) != alarms.end());
}

TEST_CASE("removals that only silence tells are held when they are many") {
  for (const bool dials : {false, true}) {
    CAPTURE(dials);
    Peer left = peer(1);
    Peer right = peer(2);
    add(left, 1, 300);
    Net net;
    sync_without_journal(net, left, right);
    const Peer whole = right;
    for (int i = 1; i <= 21; ++i) left.remove(lessons, "lesson " + std::to_string(i));
    left.drop_journal(lessons, test::journal_id_of(50));
    const auto meet = [&](std::uint64_t min) {
      const test::Meeting meeting{.once = {true, false},
                                  .limits = {.removals_min = min, .removals_percent = 1}};
      const std::size_t link = dials ? net.connect(left, right, meeting)
                                     : net.connect(right, left, meeting);
      net.pass(std::chrono::seconds(3));
      CHECK(net.is_over(link));
      return link;
    };
    const std::size_t held = meet(20);
    const int side = dials ? 1 : 0;
    CHECK(net.end(held, side).held.count() == 21);
    CHECK(net.end(held, 1 - side).held.empty());
    CHECK(right.store(lessons).canonical() == whole.store(lessons).canonical());
    CHECK(!net.end(held, 0).session->report().converged);
    CHECK(net.end(held, side).session->report().segments.at(lessons).held == 21);
    CHECK(net.alarms().empty());
    const std::size_t believed = meet(21);
    CHECK(net.end(believed, side).held.empty());
    CHECK(net.end(believed, 0).session->report().converged);
    CHECK(is_equal(left, right));
  }
}

TEST_CASE("once a held removal was confirmed the link is as any other") {
  for (const bool dials : {false, true}) {
    CAPTURE(dials);
    Peer left = peer(1);
    Peer right = peer(2);
    add(left, 1, 300);
    Net net;
    sync_without_journal(net, left, right);
    for (int i = 1; i <= 21; ++i) left.remove(lessons, "lesson " + std::to_string(i));
    left.drop_journal(lessons, test::journal_id_of(50));
    const test::Meeting meeting{.once = {false, false},
                                .limits = {.removals_min = 20, .removals_percent = 1}};
    const std::size_t link =
        dials ? net.connect(left, right, meeting) : net.connect(right, left, meeting);
    net.pass(std::chrono::seconds(3));
    for (const int side : {0, 1}) CHECK(net.end(link, side).session->report().holding);
    for (int i = 1; i <= 21; ++i) right.remove(lessons, "lesson " + std::to_string(i));
    net.changed(right);
    net.pass(std::chrono::seconds(20));
    for (const int side : {0, 1}) {
      const loam::SessionReport report = net.end(link, side).session->report();
      CHECK(!report.holding);
      CHECK(report.converged);
      CHECK(report.segments.at(lessons).held == 0);
    }
    CHECK(is_equal(left, right));
  }
}

TEST_CASE("removals that the journal tells are never held") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 300);
  Net net;
  sync(net, left, right);
  for (int i = 1; i <= 250; ++i) left.remove(lessons, "lesson " + std::to_string(i));
  sync(net, left, right, {.removals_min = 0, .removals_percent = 0});
  CHECK(right.store(lessons).live().size() == 50);
}
