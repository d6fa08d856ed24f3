// Comparisons keep to the window: questions, answers and sketches are made part by part as it opens.
#include "tests/support/forall.hpp"
#include "tests/transport/catch_up.hpp"
#include "tests/transport/window_watch.hpp"

using loam::AckFrame;
using loam::CompareFrame;
using loam::ContextFrame;
using loam::DeadFrame;
using loam::LiveFrame;
using test::compare_from;
using test::is_equal;
using test::lessons;
using test::Net;
using test::Peer;
using test::Script;
using test::WindowWatch;

namespace {

const std::string patterns = "patterns";

Peer with_two_sets(unsigned author) {
  return {author, author,
          {{"registry", loam::Kind::map}, {lessons, loam::Kind::set}, {patterns, loam::Kind::set}}};
}

loam::ActorId actor(unsigned number) {
  return {loam::hash128("test pacing", {loam::bytes_of(std::to_string(number))})};
}

/// Brings a peer what an actor has written up to a counter, the same wherever it is brought to.
void bring(Peer& to, const std::string& segment, unsigned number, std::uint64_t counters) {
  loam::Apply change{.segment = segment};
  change.authors.emplace(actor(number), test::instance_of(9));
  change.delta.context.insert(actor(number), loam::Range{1, counters});
  for (std::uint64_t i = 1; i <= counters; ++i) {
    const std::string text = std::to_string(number) + " wrote " + std::to_string(i);
    change.delta.live.emplace(
        loam::Dot{actor(number), i},
        loam::encode(loam::SetRecord{{}, test::content_of(text), test::meta_of("")}));
  }
  to.apply(change, to.id());
}

/// Removes every so manieth dot of an actor, from the first one on.
void thin(Peer& from, unsigned number, std::uint64_t first, std::uint64_t counters,
          std::uint64_t stride) {
  loam::Apply change{.segment = lessons};
  change.authors.emplace(actor(number), test::instance_of(9));
  for (std::uint64_t i = first; i <= counters; i += stride) {
    change.delta.context.insert(actor(number), loam::Range{i, i});
  }
  from.apply(change, from.id());
}

template <class Type>
std::size_t count(const Net& net, int from) {
  return net.frames<Type>(0, from).size();
}

/// Everything that can happen while nothing arrives at one side.
void run_without(Net& net, int deaf, std::size_t link = 0) {
  for (bool more = true; more;) {
    more = net.deliver(link, 1 - deaf);
    for (const int side : {0, 1}) {
      more = net.commit(link, side) || more;
      more = net.wake(link, side) || more;
    }
  }
}

/// What a dialler says first that does not tell anything: the listener lists what it has.
CompareFrame useless_sketch(CompareFrame frame) {
  frame.items.clear();
  frame.cells = loam::Sketch(1).octets();
  frame.estimate = loam::DifferenceEstimate().octets();
  return frame;
}

constexpr loam::SessionLimits tiny{.window_octets = 150,
                                   .part_octets = 60,
                                   .part_actors = 1,
                                   .frame_sets = 2,
                                   .listed_actors = 0,
                                   .first_cells = 64,
                                   .cells_max = 1'000,
                                   .set_counters = 64,
                                   .removals_min = 1'000'000};

}  // namespace

TEST_CASE("both sides answer rows at once through windows that are full of rows") {
  // In one segment the dialler finds out first and sends rows. In its midst the listener has to send
  // rows in another, which come before its answers.
  Peer left = with_two_sets(1);
  Peer right = with_two_sets(2);
  for (unsigned i = 0; i < 100; ++i) {
    bring(left, patterns, i, 2 + i % 2);
    bring(right, patterns, i, 3 - i % 2);
    for (Peer* each : {&left, &right}) bring(*each, lessons, i, 2);
  }
  Net net;
  WindowWatch watch(net, tiny.window_octets);
  net.connect(left, right, {.once = {true, false}, .limits = tiny});
  while (count<ContextFrame>(net, 0) < 4) {
    for (const int side : {0, 1}) net.deliver(0, side);
  }
  for (unsigned i = 0; i < 16; ++i) bring(right, lessons, i, 3);
  right.truncate(lessons, right.state(lessons).head);
  net.changed(right);
  net.pass(std::chrono::seconds(1));
  REQUIRE(net.is_over(0));
  CHECK(net.end(0, 0).session->report().converged);
  for (const std::string& segment : {lessons, patterns}) {
    CHECK(left.store(segment).canonical() == right.store(segment).canonical());
  }
  CHECK(watch.closed(0) > 20);
  CHECK(watch.closed(1) > 20);
  CHECK(watch.frames_beyond() <= 3);
}

TEST_CASE("a very large set of live sets is asked about as the window opens, from both sides at once") {
  for (const bool is_swapped : {false, true}) {
    CAPTURE(is_swapped);
    Peer left = test::peer(1);
    Peer right = test::peer(2);
    // Each side asks about the actors of which it knows less or has fewer.
    for (unsigned i = 0; i < 20; ++i) {
      bring(left, lessons, i, 400 + i % 2);
      bring(right, lessons, i, 401 - i % 2);
      thin(left, i, 2 - i % 2, 400, 3);
      thin(right, i, 1 + i % 2, 400, 3);
    }
    Net net;
    WindowWatch watch(net, tiny.window_octets);
    Peer& dialler = is_swapped ? right : left;
    Peer& listener = is_swapped ? left : right;
    net.connect(dialler, listener, {.once = {true, false}, .limits = tiny});
    net.pass(std::chrono::seconds(1));
    CHECK(net.end(0, 0).session->report().converged);
    CHECK(is_equal(left, right));
    CHECK(left.store(lessons).live().size() == 20 * 133 + 20);
    for (const int side : {0, 1}) {
      CHECK(count<LiveFrame>(net, side) > 20);
      CHECK(count<LiveFrame>(net, side) == count<DeadFrame>(net, 1 - side));
    }
    CHECK(watch.frames_beyond() <= 3);
  }
}

TEST_CASE("a side that hears nothing is not asked, told or answered more than its windows hold") {
  Peer left_before = with_two_sets(1);
  Peer right_before = with_two_sets(2);
  for (unsigned i = 0; i < 40; ++i) {
    bring(left_before, patterns, i, 2);
    bring(right_before, patterns, i, 3);
    bring(left_before, lessons, i, 200);
    bring(right_before, lessons, i, 200);
    thin(left_before, i, 1, 200, 3);
    thin(right_before, i, 2, 200, 3);
  }
  const int stride = test::scaled(10) < 10 ? 12 : 3;
  for (const int deaf : {0, 1}) {
    for (int after = 0; after < 60; after += stride) {
      CAPTURE(deaf);
      CAPTURE(after);
      Peer left = left_before;
      Peer right = right_before;
      Net net;
      WindowWatch watch(net, tiny.window_octets);
      net.connect(left, right, {.once = {true, false}, .limits = tiny});
      for (int i = 0; i < after; ++i) {
        for (const int side : {0, 1}) net.deliver(0, side);
      }
      run_without(net, deaf);
      std::uint64_t octets = 0;
      for (const loam::Bytes& frame : net.end(0, deaf).inbox) octets += frame.size();
      // Two windows: one of parts, half of one of answers to questions, and the small rest.
      CHECK(octets < 2 * tiny.window_octets + 5 * watch.largest(1 - deaf));
      net.pass(std::chrono::seconds(1));
      CHECK(net.end(0, 0).session->report().converged);
      CHECK(is_equal(left, right));
    }
  }
}

TEST_CASE("questions whose answers are large are asked a few at a time") {
  Peer left = test::peer(1);
  Peer right = test::peer(2);
  constexpr std::uint64_t counters = 20'000;
  for (Peer* each : {&left, &right}) bring(*each, lessons, 0, counters);
  // Whoever has fewer asks.
  thin(left, 0, 1, counters, 20);
  thin(right, 0, 2, counters, 40);
  loam::SessionLimits limits = tiny;
  limits.window_octets = 2'000;
  limits.listed_actors = 1;
  limits.set_counters = 512;
  Net net;
  net.connect(left, right, {.once = {true, false}, .limits = limits});
  while (count<LiveFrame>(net, 0) == 0) {
    for (const int side : {0, 1}) net.deliver(0, side);
  }
  run_without(net, 0);
  CHECK(count<DeadFrame>(net, 1) == 1);  // of forty
  net.pass(std::chrono::seconds(1));
  CHECK(net.end(0, 0).session->report().converged);
  CHECK(is_equal(left, right));
  CHECK(left.store(lessons).live().size() == counters - counters / 20 - counters / 40);
  CHECK(count<DeadFrame>(net, 1) == 40);
}

TEST_CASE("sketches of several segments wait for the window") {
  std::vector<test::Declared> segments{{"registry", loam::Kind::map}};
  for (int i = 0; i < 6; ++i) segments.push_back({"set " + std::to_string(i), loam::Kind::set});
  Peer left(1, 1, segments);
  Peer right(2, 2, segments);
  for (const test::Declared& segment : segments) {
    for (unsigned i = 0; i < 200 && segment.kind == loam::Kind::set; ++i) {
      bring(left, segment.name, i, i % 2 + 1);
      bring(right, segment.name, i, 2 - i % 2);
    }
  }
  Net net;
  WindowWatch watch(net, 100);
  net.connect(left, right, {.once = {true, false},
                            .limits = {.window_octets = 100, .listed_actors = 0}});
  run_without(net, 0);
  CHECK(count<CompareFrame>(net, 1) == 0);  // the dialler has hardly begun
  while (count<CompareFrame>(net, 1) == 0) net.deliver(0, 0), net.deliver(0, 1);
  run_without(net, 0);
  CHECK(count<CompareFrame>(net, 1) == 1);  // of six
  net.pass(std::chrono::seconds(1));
  CHECK(net.end(0, 0).session->report().converged);
  CHECK(watch.frames_beyond() <= 3);
  for (const test::Declared& segment : segments) {
    CHECK(left.store(segment.name).canonical() == right.store(segment.name).canonical());
  }
}

TEST_CASE("a listener that changes while its sketch of all dots waits goes on without it") {
  Peer left = with_two_sets(1);
  Peer right = with_two_sets(2);
  for (unsigned i = 0; i < 300; ++i) bring(left, lessons, i, 1);
  Net net;
  net.connect(left, right, {.once = {true, false}});
  net.pass(std::chrono::seconds(1));
  for (unsigned i = 0; i < 100; ++i) right.remove(lessons, std::to_string(i) + " wrote 1");
  for (Peer* each : {&left, &right}) each->truncate(lessons, each->state(lessons).head);
  right.add(patterns, std::string(500, 'x'));  // streamed at once: its window is closed
  const std::size_t link = net.connect(
      left, right, {.once = {true, false}, .limits = {.window_octets = 100, .listed_actors = 0}});
  while (net.frames<CompareFrame>(link, 0).empty()) net.deliver(link, 0), net.deliver(link, 1);
  run_without(net, 0, link);  // no acknowledgement opens that window
  CHECK(net.frames<LiveFrame>(link, 1).empty());
  right.add(lessons, "meanwhile");
  net.changed(right);
  net.pass(std::chrono::seconds(5));
  CAPTURE(net.end(link, 0).session->report().problem);
  CAPTURE(net.end(link, 1).session->report().problem);
  CHECK(net.end(link, 0).session->report().converged);
  CHECK(is_equal(left, right));
  CHECK(left.store(lessons).live().size() == 201);
  CHECK(net.alarms().empty());
}

TEST_CASE("a comparison that is dropped while rows wait for their answers leaves the window open") {
  Script script(loam::Role::listener, {.window_octets = 150, .part_octets = 200});
  for (unsigned i = 0; i < 20; ++i) {
    bring(script.own, lessons, i, 2);
    bring(script.other, lessons, i, 3);
  }
  script.open();
  const auto compare = [&](std::uint64_t number) {
    return compare_from(script.other, lessons, 1, number, script.other_hello(),
                        script.own_hello());
  };
  std::uint64_t said = 0;
  std::uint64_t confirmed = 0;
  const auto say = [&](const loam::Frame& frame) {
    said += loam::encode_frame(frame).size();
    for (const AckFrame& ack : test::sent<AckFrame>(script.receive(frame))) confirmed = ack.octets;
  };
  say(useless_sketch(compare(1)));
  CHECK(confirmed == said);
  ContextFrame rows{.index = 1, .number = 1};
  rows.base = loam::Position{script.other.state(lessons).journal, 0};
  rows.all = true;
  for (const loam::ActorState& each : script.other.actors(lessons, std::nullopt, 20)) {
    rows.rows.push_back({each.actor, each.covered, each.live_count, each.live, false});
  }
  say(rows);
  CHECK(confirmed < said);
  say(compare(2));
  CHECK(confirmed == said);
}

TEST_CASE("a peer that sends rows and waits for no answer is refused") {
  Script script(loam::Role::listener, {.window_octets = 150, .part_octets = 200});
  for (unsigned i = 0; i < 20; ++i) bring(script.own, lessons, i, 2);
  script.other.add(lessons, "theirs");
  script.open();
  script.receive(useless_sketch(
      compare_from(script.other, lessons, 1, 1, script.other_hello(), script.own_hello())));
  loam::RangeSet gaps;
  for (std::uint64_t i = 1; i < 100'000; i += 2) gaps.insert(i);
  ContextFrame rows{.index = 1, .number = 1};
  rows.base = loam::Position{script.other.state(lessons).journal, 0};
  std::string end;
  int sent = 0;
  for (const loam::ActorState& each : script.own.actors(lessons, std::nullopt, 20)) {
    rows.rows = {{each.actor, gaps, 1, {}, false}};
    if (end.empty()) end = test::end_of(script.receive(rows));
    if (end.empty()) ++sent;
  }
  CHECK(end == "1002 invalid");
  CHECK(sent >= 8);
}
