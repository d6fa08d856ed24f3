#include <doctest/doctest.h>

#include "tests/support/forall.hpp"
#include "tests/transport/any_frame.hpp"
#include "tests/transport/script.hpp"

using loam::AckFrame;
using loam::Action;
using loam::Apply;
using loam::AskFrame;
using loam::ComparedFrame;
using loam::ContextFrame;
using loam::DeltaFrame;
using loam::Range;
using loam::RangeSet;
using loam::SetsFrame;
using loam::StateFrame;
using test::end_of;
using test::Script;

namespace {

const std::string lessons = "lessons";
constexpr std::uint64_t lessons_index = 1;

/// A conversation that is open: the other side has one record, which was compared and sent.
struct Opened : Script {
  explicit Opened(loam::Role role = loam::Role::listener) : Script(role) {
    other.add(lessons, "theirs");
    own.add(lessons, "ours");
    const auto actions = open();
    REQUIRE(test::sent<ContextFrame>(actions).size() == 1);
    for (const Apply& change : test::only<Apply>(actions)) commit(change);
  }

  DeltaFrame chunk() const {
    DeltaFrame frame;
    frame.index = lessons_index;
    frame.delta = other.store(lessons).full_state();
    frame.authors[other.replica(lessons).actor()] = test::instance_of(2);
    return frame;
  }

  ComparedFrame compared() const {
    return {lessons_index, {}, true, loam::Position{other.state(lessons).journal, 1}};
  }
};

}  // namespace

TEST_CASE("the script: a chunk is applied, and the comparison ends at a position") {
  Opened script;
  const auto chunk = test::only<Apply>(script.receive(script.chunk()));
  REQUIRE(chunk.size() == 1);
  CHECK(chunk[0].delta == script.other.store(lessons).full_state());
  CHECK(!chunk[0].position);
  const auto end = test::only<Apply>(script.receive(script.compared()));
  REQUIRE(end.size() == 1);
  CHECK(end[0].delta.empty());
  CHECK(end[0].position == loam::Position{script.other.state(lessons).journal, 1});
  CHECK(script.own.store(lessons).live().size() == 1);
  script.commit(chunk[0]);
  script.commit(end[0]);
  CHECK(script.own.store(lessons).live().size() == 2);
}

TEST_CASE("bytes that are no frame end the conversation, and nothing is applied") {
  const std::vector<loam::Bytes> messages{{},
                                          {std::byte{0xc1}},
                                          {std::byte{0x90}},
                                          {std::byte{0x05}},
                                          loam::Bytes(100),
                                          loam::Bytes(loam::message_octets_max + 1)};
  for (const loam::Bytes& message : messages) {
    Opened script;
    const auto actions = script.receive(loam::BytesView(message));
    CHECK(end_of(actions) == "1002 invalid");
    CHECK(test::only<Apply>(actions).empty());
  }
}

TEST_CASE("octets behind a frame end the conversation") {
  Opened script;
  loam::Bytes message = loam::encode_frame(script.chunk());
  message.push_back(std::byte{});
  CHECK(end_of(script.receive(loam::BytesView(message))) == "1002 invalid");
}

TEST_CASE("an ack of more than was sent ends the conversation") {
  Opened script;
  const std::uint64_t chunk_octets = 0;  // our chunk waits for the context that was not sent yet
  CHECK(end_of(script.receive(AckFrame{lessons_index, chunk_octets, 0})).empty());
  CHECK(end_of(script.receive(AckFrame{lessons_index, chunk_octets + 1, 0})) == "1002 invalid");
}

TEST_CASE("an ack of a position that was never sent ends the conversation") {
  Opened script;
  script.receive(ContextFrame{.index = lessons_index});
  CHECK(end_of(script.receive(AckFrame{lessons_index, 0, 1})).empty());
  CHECK(end_of(script.receive(AckFrame{lessons_index, 0, 2})) == "1002 invalid");
}

TEST_CASE("a frame for a segment that was not opened ends the conversation") {
  const std::vector<loam::Frame> frames{
      DeltaFrame{.index = 7},    ContextFrame{.index = 7},
      ComparedFrame{.index = 7}, AskFrame{.index = 7, .selected = RangeSet({1, 1})},
      AckFrame{.index = 7},      SetsFrame{.index = 7, .asked = RangeSet({1, 1})}};
  for (const loam::Frame& frame : frames) {
    CAPTURE(frame.index());
    Opened script;
    CHECK(end_of(script.receive(frame)) == "1002 invalid");
  }
}

TEST_CASE("one index for two segments, or two for one, ends the conversation") {
  for (const char* segment : {"registry", "lessons"}) {
    Opened script;
    StateFrame frame = state_from(script.other, segment, script.own);
    frame.index = frame.index == 0 ? lessons_index : 9;
    CHECK(end_of(script.receive(frame)) == "1002 invalid");
  }
}

TEST_CASE("a chunk with a live record outside its context is not applied") {
  Opened script;
  DeltaFrame frame = script.chunk();
  frame.delta.live[{script.other.replica(lessons).actor(), 9}] = frame.delta.live.begin()->second;
  const auto actions = script.receive(frame);
  CHECK(end_of(actions) == "1002 invalid");
  CHECK(test::only<Apply>(actions).empty());
}

TEST_CASE("a chunk with a malformed record is not applied, not even in part") {
  Opened script;
  DeltaFrame frame = script.chunk();
  const loam::ActorId actor = script.other.replica(lessons).actor();
  frame.delta.context.insert(actor, Range{2, 2});
  frame.delta.live[{actor, 2}] = loam::Bytes(3, std::byte{0xc0});
  const auto actions = script.receive(frame);
  CHECK(end_of(actions) == "1002 invalid");
  CHECK(test::only<Apply>(actions).empty());
}

TEST_CASE("a position that goes back ends the conversation") {
  Opened script;
  script.receive(script.compared());
  DeltaFrame frame{.index = lessons_index, .upto = 5};
  CHECK(test::only<Apply>(script.receive(frame)).size() == 1);
  frame.upto = 4;
  const auto actions = script.receive(frame);
  CHECK(end_of(actions) == "1002 invalid");
  CHECK(test::only<Apply>(actions).empty());
}

TEST_CASE("a position that goes back ends the conversation while questions are open, too") {
  Opened script;
  ComparedFrame compared = script.compared();
  compared.summaries.push_back(
      {script.own.replica(lessons).actor(), RangeSet({1, 1}), loam::Fingerprint{1, 2}});
  compared.follow_from->sequence = 3;
  CHECK(test::sent<AskFrame>(script.receive(compared)).size() == 1);
  DeltaFrame frame{.index = lessons_index, .upto = 5};
  const auto applies = test::only<Apply>(script.receive(frame));
  REQUIRE(applies.size() == 1);
  CHECK(!applies[0].position);  // it waits for the answer
  frame.upto = 4;
  CHECK(end_of(script.receive(frame)) == "1002 invalid");
}

TEST_CASE("the end of a comparison that nobody asked for ends the conversation") {
  Opened script;
  script.receive(script.compared());
  CHECK(end_of(script.receive(script.compared())) == "1002 invalid");
}

TEST_CASE("a comparison that ends without a position ends the conversation") {
  Opened script;
  ComparedFrame frame = script.compared();
  frame.follow_from.reset();
  CHECK(end_of(script.receive(frame)) == "1002 invalid");
}

TEST_CASE("a comparison that ends before all parts were sent ends the conversation") {
  Script script(loam::Role::listener, {.part_actors = 1});
  for (unsigned i = 0; i < 3; ++i) {
    script.own.become(test::actor_of(1, 70 + i));
    script.own.add(lessons, std::to_string(i));
  }
  const auto parts = test::sent<ContextFrame>(script.open());
  REQUIRE(parts.size() == 1);
  REQUIRE(parts[0].last.has_value());
  const ComparedFrame end{
      lessons_index, {}, true, loam::Position{script.other.state(lessons).journal, 0}};
  CHECK(end_of(script.receive(end)) == "1002 invalid");
}

TEST_CASE("parts of a context out of order end the conversation") {
  const loam::ActorId low{{std::byte{1}}};
  const loam::ActorId high{{std::byte{2}}};
  const loam::ActorState one{low, RangeSet({1, 1}), 0, {}};
  SUBCASE("a second part first") {
    Opened script;
    CHECK(end_of(script.receive(ContextFrame{.index = lessons_index, .after = low})) ==
          "1002 invalid");
  }
  SUBCASE("a part that does not begin where the last one ended") {
    Opened script;
    CHECK(end_of(script.receive(ContextFrame{.index = lessons_index, .last = low, .actors = {one}}))
              .empty());
    CHECK(end_of(script.receive(ContextFrame{.index = lessons_index, .after = high})) ==
          "1002 invalid");
  }
  SUBCASE("a part after the end") {
    Opened script;
    CHECK(end_of(script.receive(ContextFrame{.index = lessons_index})).empty());
    CHECK(end_of(script.receive(ContextFrame{.index = lessons_index, .after = high})) ==
          "1002 invalid");
  }
}

TEST_CASE("a part of a context before the last one was answered ends the conversation") {
  test::Peer left(1, 1, test::two_segments);
  test::Peer right(2, 2, test::two_segments);
  for (int i = 0; i < 10; ++i) left.add(lessons, std::to_string(i));
  test::Net net;
  const auto link = net.connect(left, right, {.limits = {.window_octets = 1, .chunk_octets = 1}});
  while (net.frames<DeltaFrame>(link, 0).empty()) {
    for (int side = 0; side < 2; ++side) net.deliver(link, side);
  }
  const auto actions = net.end(link, 0).session->received(
      loam::encode_frame(ContextFrame{.index = lessons_index}), net.now);
  CHECK(end_of(actions) == "1002 invalid");
}

TEST_CASE("asking for the live set of every counter there is costs one answer") {
  Opened script;
  const loam::ActorId actor = script.own.replica(lessons).actor();
  const auto actions =
      script.receive(AskFrame{lessons_index, actor, RangeSet({1, loam::counter_max}), false});
  const auto sets = test::sent<SetsFrame>(actions);
  REQUIRE(sets.size() == 1);
  CHECK(sets[0].live == RangeSet({1, 1}));
}

TEST_CASE("asking for records again and again does not pile up") {
  Opened script;
  script.receive(ContextFrame{.index = lessons_index});
  const loam::ActorId actor = script.own.replica(lessons).actor();
  const AskFrame ask{lessons_index, actor, RangeSet({1, loam::counter_max}), true};
  const auto actions = script.receive(ask);
  const auto chunks = test::sent<DeltaFrame>(actions);
  REQUIRE(chunks.size() == 1);
  CHECK(chunks[0].delta == script.own.store(lessons).full_state());
  CHECK(!chunks[0].upto);
  const AskFrame unknown{lessons_index, loam::ActorId{}, RangeSet({1, 5}), true};
  CHECK(script.receive(unknown).empty());
}

TEST_CASE("live sets that were not asked for kill only what the sender accounts for as dead") {
  Opened script;
  const loam::ActorId actor = script.own.replica(lessons).actor();
  SetsFrame sets{lessons_index, actor, RangeSet({1, 9}), {}, {}};  // of which there is one here
  const auto applies = test::only<Apply>(script.receive(sets));
  REQUIRE(applies.size() == 1);  // the store decides whether that peer may remove
  CHECK(applies[0].delta.context.of(actor) == RangeSet({1, 1}));
  CHECK(!applies[0].position);
}

TEST_CASE("whatever frames come, a session never throws, and closes or goes on") {
  test::forall("hostile frames", 1'500, [](test::Gen& gen) {
    Opened script(gen.coin() ? loam::Role::dialler : loam::Role::listener);
    std::vector<Apply> pending;
    for (int left = 12; left > 0; --left) {
      loam::Frame frame = test::any_frame(gen);
      std::visit(
          [&](auto& item) {
            if constexpr (requires { item.index; }) item.index = gen.below(3);
            if constexpr (requires { item.actor; }) {
              if (gen.coin()) item.actor = script.own.replica(lessons).actor();
            }
          },
          frame);
      const auto actions = script.receive(frame);
      const bool has_closed = !test::only<loam::Close>(actions).empty();
      if (has_closed) {
        REQUIRE(std::holds_alternative<loam::Close>(actions.back()));
        REQUIRE(script.receive(frame).empty());
        return;
      }
    }
  });
}
