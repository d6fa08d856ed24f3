#include "tests/transport/catch_up.hpp"

using loam::AskFrame;
using loam::CompareFrame;
using loam::ContextFrame;
using loam::DeadFrame;
using loam::DeltaFrame;
using loam::LiveFrame;
using loam::Position;
using loam::RangeSet;
using loam::StateFrame;
using test::add;
using test::is_equal;
using test::lessons;
using test::Net;
using test::Peer;
using test::peer;
using test::sync;
using Form = LiveFrame::Form;

namespace {

template <class Type>
std::size_t count(const Net& net, std::size_t link) {
  return net.frames<Type>(link, 0).size() + net.frames<Type>(link, 1).size();
}

std::size_t count(const Net& net, std::size_t link, Form form) {
  std::size_t found = 0;
  for (const int side : {0, 1}) {
    for (const LiveFrame& frame : net.frames<LiveFrame>(link, side)) found += frame.form == form;
  }
  return found;
}

void sync_without_journal(Net& net, Peer& left, Peer& right) {
  sync(net, left, right);
  for (Peer* each : {&left, &right}) each->truncate(lessons, each->state(lessons).head);
}

/// Writes one record under each of so many actors.
void write_as(Peer& to, unsigned first, unsigned actors) {
  for (unsigned i = first; i < first + actors; ++i) {
    to.become({loam::hash128("test many", {loam::bytes_of(std::to_string(i))})});
    to.add(lessons, "by " + std::to_string(i));
  }
}

}  // namespace

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
