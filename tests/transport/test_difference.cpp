#include "tests/transport/catch_up.hpp"

using loam::CompareFrame;
using loam::ContextFrame;
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

TEST_CASE("a position beyond the head of a restored journal is not followed") {
  Peer left = peer(1);
  Peer right = peer(2);
  Net net;
  sync(net, left, right);
  const Peer backup = left;
  add(left, 1, 3);
  sync(net, left, right);
  left = backup;
  left.become(test::actor_of(1, 99));
  add(left, 4, 4);
  const std::size_t link = sync(net, left, right);
  CHECK(is_equal(left, right));
  CHECK(net.frames<CompareFrame>(link, 0).size() == 1);
  for (const int side : {0, 1}) {  // nobody had to ask for it
    for (const StateFrame& state : net.frames<StateFrame>(link, side)) CHECK(!state.compare);
  }
}

TEST_CASE(
    "states that differ although both sides followed to the end are compared, with an alarm") {
  Peer left = peer(1);
  Peer right = peer(2);
  Net net;
  sync(net, left, right);
  Peer backup = left;
  add(left, 1, 3);
  sync(net, left, right);
  left = backup;  // the same store, as an older backup has it; it writes as much as it had written
  left.become(test::actor_of(1, 99));
  add(left, 4, 6);
  left.remember(lessons, {right.state(lessons).journal, right.state(lessons).head}, right.id());
  net.connect(left, right);
  net.run();
  CHECK(is_equal(left, right));
  CHECK(left.store(lessons).live().size() == 6);
  const std::string alarm =
      "segment lessons: both sides followed each other to the end and differ: comparing everything";
  CHECK(net.alarms() == std::vector<std::string>{alarm, alarm});
}

TEST_CASE("a restored peer gets back what it had sent itself, on a live link too") {
  Peer left = peer(1);
  Peer right = peer(2);
  Net net;
  sync(net, left, right);
  const Peer backup = left;
  add(left, 1, 3);
  sync(net, left, right);
  left = backup;
  left.become(test::actor_of(1, 99));
  net.connect(left, right);
  net.pass(40s);
  CHECK(is_equal(left, right));
  CHECK(left.store(lessons).live().size() == 3);
}

TEST_CASE("a busy link compares states all the same") {
  Peer left = peer(1);
  Peer right = peer(2);
  Net net;
  sync(net, left, right);
  const Peer backup = left;
  add(left, 1, 3);
  sync(net, left, right);
  left = backup;
  left.become(test::actor_of(1, 99));
  net.connect(left, right);
  for (int i = 0; i < 20; ++i) {
    left.add(lessons, "busy " + std::to_string(i));
    net.changed(left);
    net.pass(2s);
  }
  CHECK(is_equal(left, right));
  CHECK(left.store(lessons).live().size() == 23);
}

TEST_CASE("a slow writer is not taken for a difference, where the journal is new and empty too") {
  Peer left = peer(1);
  Peer right = peer(2);
  add(left, 1, 3);
  left.drop_journal(lessons, test::journal_id_of(44));
  Net net;
  const std::size_t link = net.connect(left, right, {.limits = {.chunk_records = 1}});
  const auto run_without_commits = [&] {
    while (net.deliver(link, 0) || net.deliver(link, 1) || net.wake(link, 0) || net.wake(link, 1)) {
    }
  };
  const auto commit_left = [&] {
    while (net.commit(link, 0)) {
    }
  };
  run_without_commits();
  commit_left();
  run_without_commits();
  while (right.store(lessons).live().empty()) {  // the first of three records
    net.commit(link, 1);
    run_without_commits();
  }
  for (int i = 0; i < 2; ++i) {
    commit_left();
    run_without_commits();
    net.now += 16s;
    run_without_commits();
  }
  CHECK(net.end(link, 1).applies.size() > 0);
  CHECK(net.alarms().empty());
  net.run();
  CHECK(is_equal(left, right));
}

TEST_CASE("a difference that a comparison does not mend is alarmed once, until states were equal") {
  test::Script script;
  std::uint64_t comparisons = 0;
  for (const loam::Apply& change : test::only<loam::Apply>(script.open())) script.commit(change);
  const auto in_step = [&](bool is_equal) {
    StateFrame frame = state_from(script.other, lessons, script.own);
    frame.position = {script.own.state(lessons).journal, script.own.state(lessons).head};
    if (!is_equal) frame.state.digest.bytes[0] ^= std::byte{1};
    const auto actions = script.receive(frame);
    for (const loam::Apply& change : test::only<loam::Apply>(actions)) script.commit(change);
    const auto states = test::sent<StateFrame>(actions);
    if (!states.empty() && states[0].compare) {  // we compare: to no avail
      script.receive(compare_from(script.other, lessons, 1, ++comparisons, script.other_hello(),
                                  script.own_hello()));
      script.receive(ContextFrame{.index = 1, .number = comparisons, .end = true});
      const auto end = script.receive(DeltaFrame{.index = 1, .upto = 0});
      for (const loam::Apply& change : test::only<loam::Apply>(end)) script.commit(change);
    }
    return test::only<loam::Alarm>(actions).size();
  };
  CHECK(in_step(true) == 0);
  CHECK(in_step(false) == 1);
  CHECK(in_step(false) == 0);
  CHECK(in_step(true) == 0);
  CHECK(in_step(false) == 1);
}
