#include "tests/transport/catch_up.hpp"

using loam::AskFrame;
using loam::ComparedFrame;
using loam::ContextFrame;
using loam::DeltaFrame;
using loam::Position;
using loam::RangeSet;
using loam::SetsFrame;
using loam::StateFrame;
using test::add;
using test::is_equal;
using test::lessons;
using test::Net;
using test::Peer;
using test::peer;
using test::sync;

TEST_CASE("without a position the contexts are compared, and the journal is followed from there") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 5);
  add(right, 6, 7);
  left.remove(lessons, "lesson 2");
  Net net;
  const std::size_t link = sync(net, left, right);
  CHECK(is_equal(left, right));
  CHECK(left.store(lessons).live().size() == 6);
  CHECK(net.frames<ContextFrame>(link, 0).size() == 1);
  CHECK(net.frames<ContextFrame>(link, 1).size() == 1);
  CHECK(right.position(lessons, left.id()) ==
        Position{left.state(lessons).journal, left.state(lessons).head});
}

TEST_CASE("equal states need no journal and no comparison, and are remembered") {
  Peer left = peer(1);
  add(left, 1, 5);
  Peer right = left;
  right.become_store(test::store_id_of(77));
  right.drop_journal(lessons, test::journal_id_of(77));
  Net net;
  const std::size_t link = sync(net, left, right);
  CHECK(net.frames<ContextFrame>(link, 0).empty());
  CHECK(net.frames<ContextFrame>(link, 1).empty());
  CHECK(right.position(lessons, left.id()) == Position{left.state(lessons).journal, 5});
  CHECK(left.position(lessons, right.id()) == Position{test::journal_id_of(77), 0});
}

TEST_CASE("a removal is found without a journal by the live set of its actor") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 9);
  Net net;
  sync(net, left, right);
  left.remove(lessons, "lesson 4");
  left.truncate(lessons, left.state(lessons).head);
  const std::size_t link = sync(net, left, right);
  CHECK(is_equal(left, right));
  CHECK(right.store(lessons).live().size() == 8);
  const auto sets = net.frames<SetsFrame>(link, 0);
  REQUIRE(sets.size() == 1);
  CHECK(sets[0].asked == RangeSet({1, 9}));
  CHECK(sets[0].live.count() == 8);
  CHECK(net.frames<AskFrame>(link, 1).empty());
  for (const StateFrame& state : net.frames<StateFrame>(link, 0)) CHECK(!state.compare);
}

TEST_CASE("adds that are found without a journal need no live sets") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 9);
  Net net;
  sync(net, left, right);
  add(left, 10, 12);
  left.truncate(lessons, left.state(lessons).head);
  const std::size_t link = sync(net, left, right);
  CHECK(is_equal(left, right));
  CHECK(net.frames<SetsFrame>(link, 0).empty());
  const auto chunks = net.frames<DeltaFrame>(link, 0);
  REQUIRE(chunks.size() == 1);
  CHECK(chunks[0].delta.context.count() == 3);
}

TEST_CASE(
    "where the peer knows more of an actor it is told a fingerprint, and asks for the live set") {
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
  left.drop_journal(lessons, test::journal_id_of(50));
  const std::size_t link = sync(net, left, right);
  CHECK(is_equal(left, right));
  CHECK(right.store(lessons).live().size() == 10);
  const auto compared = net.frames<ComparedFrame>(link, 0);
  REQUIRE(compared.size() == 1);
  REQUIRE(compared[0].summaries.size() == 1);
  CHECK(compared[0].summaries[0].common == RangeSet({1, 9}));
  REQUIRE(net.frames<AskFrame>(link, 1).size() == 1);
  CHECK(net.frames<AskFrame>(link, 1)[0].selected == RangeSet({1, 9}));
  REQUIRE(net.frames<SetsFrame>(link, 0).size() == 1);
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
  CHECK(net.frames<ContextFrame>(link, 1).empty());
}

TEST_CASE("a context is sent in parts, each answered before the next") {
  Peer left = peer(1);
  Peer right = peer(2);
  for (unsigned i = 0; i < 7; ++i) {
    left.become(test::actor_of(1, 10 + i));
    left.add(lessons, "left " + std::to_string(i));
    right.become(test::actor_of(2, 10 + i));
    right.add(lessons, "right " + std::to_string(i));
  }
  Net net;
  const std::size_t link = sync(net, left, right, {.part_actors = 3, .actors_page = 2});
  CHECK(is_equal(left, right));
  CHECK(left.store(lessons).live().size() == 14);
  const auto parts = net.frames<ContextFrame>(link, 0);
  REQUIRE(parts.size() >= 3);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    CHECK(parts[i].after == (i == 0 ? std::nullopt : parts[i - 1].last));
    CHECK(parts[i].last.has_value() == (i + 1 < parts.size()));
  }
  const auto answers = net.frames<ComparedFrame>(link, 1);
  CHECK(answers.size() == parts.size());
  CHECK(answers.back().follow_from.has_value());
}

TEST_CASE("a part of a context ends where it has enough octets, and the next one goes on") {
  Peer left = peer(1);
  Peer right = peer(2);
  for (unsigned i = 0; i < 7; ++i) {
    left.become(test::actor_of(1, 10 + i));
    left.add(lessons, "left " + std::to_string(i));
  }
  Net net;
  sync(net, left, right);
  right.drop_journal(lessons, test::journal_id_of(33));
  left.add(lessons, "one more");
  left.truncate(lessons, left.state(lessons).head);
  const std::size_t link = sync(net, left, right, {.part_octets = 100});
  CHECK(is_equal(left, right));
  const auto parts = net.frames<ContextFrame>(link, 1);
  std::size_t actors = 0;
  for (const ContextFrame& part : parts) actors += part.actors.size();
  CHECK(actors == 7);
  CHECK(parts.size() == 3);
  CHECK(net.end(link, 0).session->report().segments.at(lessons).sent == 1);
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
  CHECK(net.frames<ComparedFrame>(link, 0)[0].summaries.size() == 1);
  CHECK(net.frames<AskFrame>(link, 1).empty());
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
  };
  octets = loam::encode_frame(sent[0]).size();
  own.become(test::actor_of(1, 40));
  for (int i = 0; i < 5; ++i) own.remove(lessons, "lesson " + std::to_string(i));
  sent.clear();
  take(script.receive(ContextFrame{.index = 1}));
  for (int i = 0; i < 10; ++i) take(script.receive(loam::AckFrame{1, octets, 0}));
  std::uint64_t accounted = 0;
  for (const DeltaFrame& chunk : sent) {
    CHECK(chunk.delta.live.empty());
    CHECK(!chunk.upto);
    accounted += chunk.delta.context.count();
  }
  CHECK(accounted == 5);
}

TEST_CASE("the position waits until every question is answered") {
  test::Script script;
  add(script.own, 1, 4);
  script.other.add(lessons, "theirs");
  script.open();
  const auto actor = script.own.replica(lessons).actor();
  const Position position{script.other.state(lessons).journal, 1};
  const ComparedFrame compared{
      1, {{actor, RangeSet({1, 4}), loam::Fingerprint{1, 2}}}, true, position};
  CHECK(test::sent<AskFrame>(script.receive(compared)).size() == 1);
  const auto answer = [&](std::uint64_t first, std::uint64_t last) {
    const RangeSet asked({first, last});
    return test::only<loam::Apply>(script.receive(
        SetsFrame{1, actor, asked, asked, script.own.live_fingerprint(lessons, actor, asked)}));
  };
  CHECK(answer(1, 2).empty());
  CHECK(answer(4, 4).empty());
  const auto end = answer(3, 3);
  REQUIRE(end.size() == 1);
  CHECK(end[0].position == position);
}

TEST_CASE("a comparison may begin anew between its parts") {
  test::Script script;
  for (int i = 0; i < 3; ++i) {
    script.own.become(test::actor_of(1, static_cast<unsigned>(60 + i)));
    add(script.own, i, i);
  }
  script.other.add(lessons, "theirs");  // so that they do not begin equal
  script.open();
  const auto first = script.own.store(lessons).context().begin()->first;
  const ContextFrame part{1, std::nullopt, first, {{first, RangeSet({1, 1}), 1, {}}}};
  const auto answer = script.receive(part);
  CHECK(test::sent<ComparedFrame>(answer).size() == 1);
  const auto anew = script.receive(ContextFrame{.index = 1});
  std::uint64_t accounted = 0;
  for (const DeltaFrame& chunk : test::sent<DeltaFrame>(anew))
    accounted += chunk.delta.context.count();
  CHECK(accounted == 3);
}

TEST_CASE("records that are asked for between two parts of a comparison are sent at once") {
  test::Script script;
  add(script.own, 1, 2);
  script.other.add(lessons, "theirs");
  script.open();
  const auto actor = script.own.replica(lessons).actor();
  loam::ActorId last{};
  const ContextFrame part{1, std::nullopt, last, {{last, RangeSet({1, 1}), 1, {}}}};
  script.receive(part);
  const auto actions = script.receive(AskFrame{1, actor, RangeSet({2, 2}), true});
  const auto chunks = test::sent<DeltaFrame>(actions);
  REQUIRE(chunks.size() == 1);
  CHECK(chunks[0].delta.context.of(actor) == RangeSet({2, 2}));
}
