#include "tests/transport/catch_up.hpp"

using loam::DeltaFrame;
using loam::Position;
using loam::StateFrame;
using test::add;
using test::is_equal;
using test::lessons;
using test::Net;
using test::Peer;
using test::peer;
using test::sync;
using test::operator""s;

TEST_CASE("the journal of the peer is followed from where we were") {
  Peer left = peer(1);
  Peer right = peer(2);
  Net net;
  add(left, 1, 3);
  sync(net, left, right);
  add(left, 4, 5);
  left.remove(lessons, "lesson 1");
  net.forget_frames();
  const std::size_t link = sync(net, left, right);
  CHECK(is_equal(left, right));
  CHECK(net.frames<loam::CompareFrame>(link, 0).empty());
  const auto chunks = net.frames<DeltaFrame>(link, 0);
  REQUIRE(chunks.size() == 1);
  CHECK(chunks[0].upto == 6);
  CHECK(chunks[0].delta.live.size() == 2);
  CHECK(chunks[0].delta.context.count() == 3);  // the removed dot travels in the context
}

TEST_CASE("what came from the peer is not sent back, but its position moves on") {
  Peer left = peer(1);
  Peer right = peer(2);
  Net net;
  sync(net, left, right);
  add(left, 1, 3);
  net.forget_frames();
  const std::size_t link = sync(net, left, right);
  for (const DeltaFrame& frame : net.frames<DeltaFrame>(link, 1)) CHECK(frame.delta.empty());
  CHECK(left.position(lessons, right.id()) ==
        Position{right.state(lessons).journal, right.state(lessons).head});
}

TEST_CASE("a change is pushed as soon as it is committed, and confirmed as soon as it is durable") {
  Peer left = peer(1);
  Peer right = peer(2);
  Net net;
  const std::size_t link = net.connect(left, right);
  net.run();
  net.forget_frames();
  add(left, 1, 1);
  net.changed(left);
  CHECK(net.frames<DeltaFrame>(link, 0).size() == 1);
  CHECK(net.end(link, 0).session->report().lag.at(lessons) == 1);
  net.deliver(link, 1);
  CHECK(net.frames<loam::AckFrame>(link, 1).empty());
  CHECK(right.store(lessons).live().empty());
  net.commit(link, 1);
  CHECK(is_equal(left, right));
  const auto acks = net.frames<loam::AckFrame>(link, 1);
  REQUIRE(acks.size() == 1);
  CHECK(acks[0].position == 1);
  net.run();
  CHECK(net.end(link, 0).session->report().lag.at(lessons) == 0);
}

TEST_CASE("a change is relayed to the other links, and not sent back") {
  Peer left = peer(1);
  Peer hub = peer(2);
  Peer right = peer(3);
  Net net;
  const std::size_t one = net.connect(left, hub);
  const std::size_t two = net.connect(right, hub);
  net.run();
  net.forget_frames();
  add(left, 1, 1);
  net.changed(left);
  net.run();
  CHECK(is_equal(left, right));
  for (const DeltaFrame& frame : net.frames<DeltaFrame>(one, 1)) CHECK(frame.delta.empty());
  CHECK(net.frames<DeltaFrame>(two, 1).size() == 1);
}

TEST_CASE("a journal that is gone in mid-stream leads to a comparison") {
  for (const bool dials : {true, false}) {
    CAPTURE(dials);
    Peer left = peer(1);
    Peer right = peer(2);
    Net net;
    const std::size_t link = dials ? net.connect(left, right) : net.connect(right, left);
    net.run();
    add(left, 1, 3);
    left.remove(lessons, "lesson 1");
    left.truncate(lessons, left.state(lessons).head);
    net.forget_frames();
    net.changed(left);
    net.run();
    CHECK(is_equal(left, right));
    CHECK(net.frames<loam::CompareFrame>(link, 0).size() == 1);
    const auto states = net.frames<StateFrame>(link, dials ? 0 : 1);
    CHECK(states.size() == (dials ? 0 : 1));  // a listener asks for it
    for (const StateFrame& state : states) CHECK(state.compare);
    CHECK(net.alarms().empty());
    CHECK(right.position(lessons, left.id()) == Position{left.state(lessons).journal, 4});
  }
}

TEST_CASE("a journal that is replaced in mid-stream is followed under its new name") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 3);
  Net net;
  const std::size_t link = net.connect(left, right);
  net.run();
  left.drop_journal(lessons, test::journal_id_of(90));
  net.changed(left);
  net.run();
  CHECK(right.position(lessons, left.id()) == Position{test::journal_id_of(90), 0});
  add(left, 4, 4);
  net.changed(left);
  net.run();
  CHECK(is_equal(left, right));
  CHECK(right.position(lessons, left.id()) == Position{test::journal_id_of(90), 1});
  CHECK(net.end(link, 1).session->report().problem.empty());
}

TEST_CASE("a journal that is replaced and outgrows the old one is not taken for it") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 3);
  Net net;
  net.connect(left, right);
  net.run();
  left.drop_journal(lessons, test::journal_id_of(90));
  add(left, 4, 9);
  net.changed(left);
  net.run();
  CHECK(is_equal(left, right));
  CHECK(right.position(lessons, left.id()) == Position{test::journal_id_of(90), 6});
}

TEST_CASE("what is not confirmed in a replaced journal counts as lag") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 3);
  Net net;
  const std::size_t link = net.connect(left, right);
  net.run();
  add(left, 4, 9);
  net.changed(left);
  net.run();
  left.drop_journal(lessons, test::journal_id_of(90));
  net.changed(left);
  net.run();
  CHECK(net.end(link, 0).session->report().lag.at(lessons) == 0);
  add(left, 10, 11);
  net.changed(left);
  CHECK(net.end(link, 0).session->report().lag.at(lessons) == 2);
  net.run();
  CHECK(net.end(link, 0).session->report().lag.at(lessons) == 0);
}

TEST_CASE("a journal that is replaced while contexts are compared is followed under its new name") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 3);
  Net net;
  const std::size_t link = net.connect(left, right, {.once = {true, false}});
  while (net.frames<loam::CompareFrame>(link, 0).empty()) {
    for (int side = 0; side < 2; ++side) net.deliver(link, side);
  }
  left.drop_journal(lessons, test::journal_id_of(91));  // the context is on its way
  net.pass(1s);
  CHECK(net.is_over(link));
  CHECK(net.end(link, 0).session->report().converged);
  CHECK(is_equal(left, right));
  CHECK(right.position(lessons, left.id()) == Position{test::journal_id_of(91), 0});
}

TEST_CASE("an Apply that ends after its comparison began anew does not move the position") {
  Peer left = peer(1);
  Peer right = peer(2);
  Net net;
  const std::size_t link = net.connect(left, right);
  net.run();
  add(left, 1, 3);
  net.changed(left);
  net.deliver(link, 1);  // handed to the writer, which is slow
  left.drop_journal(lessons, test::journal_id_of(60));
  net.changed(left);
  while (net.deliver(link, 1)) {
  }
  net.commit(link, 1);
  for (const loam::AckFrame& ack : net.frames<loam::AckFrame>(link, 1)) CHECK(ack.position == 0);
  net.run();
  CHECK(is_equal(left, right));
  CHECK(right.position(lessons, left.id()) == Position{test::journal_id_of(60), 0});
}

TEST_CASE("two links to one peer carry everything, and do no harm") {
  Peer left = peer(1);
  Peer right = peer(2);
  Net net;
  net.connect(left, right);
  net.connect(right, left);
  net.run();
  add(left, 1, 3);
  net.changed(left);
  net.run();
  right.remove(lessons, "lesson 2");
  net.changed(right);
  net.pass(40s);
  CHECK(is_equal(left, right));
  CHECK(left.store(lessons).live().size() == 2);
  CHECK(net.alarms().empty());
}
