#include <doctest/doctest.h>

#include "tests/transport/script.hpp"

using loam::Action;
using loam::Ping;
using loam::StateFrame;
using loam::Time;
using loam::WakeAt;
using test::Net;
using test::Peer;
using test::Script;
using test::send;
using test::operator""ms;
using test::operator""s;

TEST_CASE("a session that has nothing to say pings after 15 s") {
  Script script;
  script.open();
  CHECK(test::only<loam::Send>(script.woke(15s - 1ms)).empty());
  const auto actions = script.woke(15s);
  CHECK(test::sent<Ping>(actions).size() == 1);
  CHECK(test::only<WakeAt>(actions) == std::vector<WakeAt>{{30s}});
}

TEST_CASE("what has been said puts the ping off") {
  Peer left(1, 1, test::two_segments);
  Peer right(2, 2, test::two_segments);
  Net net;
  const std::size_t link = net.connect(left, right);
  net.pass(10s);
  net.forget_frames();
  left.add("lessons", "one");
  net.changed(left);
  net.pass(5s);  // 15 s
  CHECK(net.frames<Ping>(link, 0).empty());
  net.pass(10s);  // 25 s
  CHECK(net.frames<Ping>(link, 0).empty());
}

TEST_CASE("two silent sides keep their link") {
  Peer left(1, 1, test::two_segments);
  Peer right(2, 2, test::two_segments);
  Net net;
  const std::size_t link = net.connect(left, right);
  net.pass(20s);
  net.forget_frames();
  net.pass(600s);
  CHECK(!net.is_over(link));
  const auto pings = net.frames<Ping>(link, 0).size();
  CHECK(pings >= 39);
  CHECK(pings <= 41);
  CHECK(net.frames<StateFrame>(link, 0).empty());
}

TEST_CASE("a silent peer is dropped after 45 s and not before") {
  Script script;
  script.now = 1s;
  script.open();
  for (const Time when : {16s, 31s}) CHECK(test::only<loam::Close>(script.woke(when)).empty());
  CHECK(test::only<loam::Close>(script.woke(46s - 1ms)).empty());
  CHECK(test::end_of(script.woke(46s)) == "1001 leaving");
  CHECK(script.session().report().problem == "silent for 45 s");
}

TEST_CASE("a ping keeps a peer alive") {
  Script script;
  script.open();
  script.now = 40s;
  CHECK(test::only<loam::Close>(script.receive(Ping{})).empty());
  CHECK(test::only<loam::Close>(script.woke(85s - 1ms)).empty());
  CHECK(test::end_of(script.woke(85s)) == "1001 leaving");
}

TEST_CASE("a session asks to be woken in time for its next deadline") {
  Script script;
  CHECK(script.connected() == std::vector<Action>{WakeAt{10s}});
  script.receive(script.other_hello());
  // Woken for the hello that came: asks for the ping.
  CHECK(test::only<WakeAt>(script.woke(10s)) == std::vector<WakeAt>{{15s}});
}

TEST_CASE("a state that has changed is said within 15 s, instead of a ping") {
  Script script;
  script.open();
  script.own.add("lessons", "one");
  const auto pushed = script.session().changed(1s);
  CHECK(test::sent<loam::DeltaFrame>(pushed).size() == 1);
  const auto actions = script.woke(15s);
  CHECK(test::sent<Ping>(actions).empty());
  const auto states = test::sent<StateFrame>(actions);
  REQUIRE(states.size() == 1);
  CHECK(states[0].state == loam::said(script.own.state("lessons")));
}
