#include <doctest/doctest.h>

#include "tests/support/forall.hpp"
#include "tests/transport/any_frame.hpp"
#include "tests/transport/catch_up.hpp"
#include "tests/transport/script.hpp"

using loam::AckFrame;
using loam::Action;
using loam::Apply;
using loam::AskFrame;
using loam::CompareFrame;
using loam::ContextFrame;
using loam::DeadFrame;
using loam::DeltaFrame;
using loam::LiveFrame;
using loam::Range;
using loam::RangeSet;
using loam::StateFrame;
using test::end_of;
using test::lessons;
using test::Script;

namespace {

constexpr std::uint64_t lessons_index = 1;

/// A conversation that is open: either side has one record of its own, and they must compare.
struct Opened : Script {
  explicit Opened(loam::Role role = loam::Role::listener) : Script(role) {
    other.add(lessons, "theirs");
    own.add(lessons, "ours");
    first = open();
  }

  std::vector<Action> first;

  /// What the other side says first when it is the dialler.
  CompareFrame compare(std::uint64_t number = 1) const {
    return compare_from(other, lessons, lessons_index, number, other_hello(), own_hello());
  }

  /// Its answer to our rows: it has none of our actors.
  ContextFrame no_rows(std::uint64_t number = 1) const {
    return {.index = lessons_index, .number = number, .end = true};
  }

  DeltaFrame chunk() const {
    DeltaFrame frame;
    frame.index = lessons_index;
    frame.delta = other.store(lessons).full_state();
    frame.authors[other.replica(lessons).actor()] = loam::ActorClaim(test::instance_of(2));
    return frame;
  }

  /// The end of what it owes.
  DeltaFrame owed() const { return {.index = lessons_index, .upto = 1}; }

  void compared() {
    receive(compare());
    receive(no_rows());
  }
};

}  // namespace

TEST_CASE("the script: a chunk is applied, and the comparison ends at a position") {
  Opened script;
  const auto rows = test::sent<ContextFrame>(script.receive(script.compare()));
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].all);
  CHECK(rows[0].end);
  REQUIRE(rows[0].rows.size() == 1);
  CHECK(rows[0].rows[0].actor == script.own.replica(lessons).actor());
  const auto ours = test::sent<DeltaFrame>(script.receive(script.no_rows()));
  REQUIRE(ours.size() == 1);
  CHECK(ours[0].delta == script.own.store(lessons).full_state());
  CHECK(ours[0].upto == 1);
  const auto chunk = test::only<Apply>(script.receive(script.chunk()));
  REQUIRE(chunk.size() == 1);
  CHECK(chunk[0].delta == script.other.store(lessons).full_state());
  CHECK(!chunk[0].position);
  const auto end = test::only<Apply>(script.receive(script.owed()));
  REQUIRE(end.size() == 2);
  CHECK(!end[0].position);
  CHECK(end[1].delta.empty());
  CHECK(end[1].position == loam::Position{script.other.state(lessons).journal, 1});
  CHECK(script.own.store(lessons).live().size() == 1);
  script.commit(chunk[0]);
  for (const Apply& each : end) script.commit(each);
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
  const std::uint64_t chunk_octets = 0;  // ours waits for the comparison that has not begun yet
  CHECK(end_of(script.receive(AckFrame{lessons_index, chunk_octets, 0})).empty());
  CHECK(end_of(script.receive(AckFrame{lessons_index, chunk_octets + 1, 0})) == "1002 invalid");
}

TEST_CASE("an ack of a position that was never sent ends the conversation") {
  Opened script;
  script.compared();
  CHECK(end_of(script.receive(AckFrame{lessons_index, 0, 1})).empty());
  CHECK(end_of(script.receive(AckFrame{lessons_index, 0, 2})) == "1002 invalid");
}

TEST_CASE("a frame for a segment that was not opened ends the conversation") {
  const std::vector<loam::Frame> frames{
      DeltaFrame{.index = 7}, CompareFrame{.index = 7}, ContextFrame{.index = 7},
      LiveFrame{.index = 7},  DeadFrame{.index = 7},    AckFrame{.index = 7},
      AskFrame{.index = 7, .selected = RangeSet({1, 1})}};
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
  script.compared();
  script.receive(script.owed());
  DeltaFrame frame{.index = lessons_index, .upto = 5};
  CHECK(test::only<Apply>(script.receive(frame)).size() == 1);
  frame.upto = 4;
  const auto actions = script.receive(frame);
  CHECK(end_of(actions) == "1002 invalid");
  CHECK(test::only<Apply>(actions).empty());
}

TEST_CASE("a position below the base of a comparison ends the conversation") {
  Opened script;
  script.receive(script.compare());
  CHECK(end_of(script.receive(DeltaFrame{.index = lessons_index, .upto = 0})) == "1002 invalid");
}

TEST_CASE("a position waits for the end of the comparison, and does not go back before it") {
  Opened script;
  script.receive(script.compare());
  DeltaFrame frame{.index = lessons_index, .upto = 5};
  const auto applies = test::only<Apply>(script.receive(frame));
  REQUIRE(applies.size() == 1);
  CHECK(!applies[0].position);
  frame.upto = 4;
  CHECK(end_of(script.receive(frame)) == "1002 invalid");
}

TEST_CASE("frames of a comparison out of order end the conversation") {
  const auto end = [](const loam::Frame& frame, int steps) {
    Opened script;
    if (steps > 0) script.receive(script.compare());
    if (steps > 1) script.receive(script.no_rows());
    if (steps > 2) script.receive(script.owed());
    return end_of(script.receive(frame));
  };
  const Opened script;
  ContextFrame based = script.no_rows();
  based.base = loam::Position{1, 1};
  const LiveFrame sets{.index = lessons_index, .number = 1};
  const LiveFrame all{.index = lessons_index,
                      .number = 1,
                      .form = LiveFrame::Form::all,
                      .base = loam::Position{1, 1},
                      .cells = loam::Sketch(3).octets()};
  const DeadFrame dead{.index = lessons_index, .number = 1};
  SUBCASE("anything but its beginning first") {
    CHECK(end(script.no_rows(), 0) == "1002 invalid");
    CHECK(end(based, 0) == "1002 invalid");
    CHECK(end(sets, 0) == "1002 invalid");
    CHECK(end(dead, 0) == "1002 invalid");
    CHECK(end(ContextFrame{.index = lessons_index}, 0) == "1002 invalid");
  }
  SUBCASE("its beginning twice under one number") {
    CHECK(end(script.compare(), 1) == "1002 invalid");
    CHECK(end(script.compare(), 2) == "1002 invalid");
    CHECK(end(script.compare(), 3) == "1002 invalid");
  }
  SUBCASE("rows after the end of the rows") {
    CHECK(end(script.no_rows(), 2) == "1002 invalid");
    CHECK(end(script.no_rows(), 3) == "1002 invalid");
  }
  SUBCASE("a question before the rows, or after the end") {
    CHECK(end(sets, 1) == "1002 invalid");
    CHECK(end(sets, 2).empty());
    CHECK(end(sets, 3) == "1002 invalid");
  }
  SUBCASE("a sketch of everything from a dialler") {
    LiveFrame wanted{.index = lessons_index, .number = 1, .form = LiveFrame::Form::wanted};
    wanted.wanted = 9;
    for (const int steps : {0, 1, 2, 3}) CHECK(end(all, steps) == "1002 invalid");
    for (const int steps : {0, 1, 2, 3}) CHECK(end(wanted, steps) == "1002 invalid");
  }
  SUBCASE("an answer to no question") {
    for (const int steps : {0, 1, 2, 3}) CHECK(end(dead, steps) == "1002 invalid");
  }
  SUBCASE("a comparison that was given up is passed over") {
    CHECK(end(script.compare(2), 3).empty());
    Opened again;
    again.receive(again.compare(2));
    CHECK(end_of(again.receive(again.no_rows(1))).empty());
    CHECK(end_of(again.receive(sets)).empty());
    CHECK(end_of(again.receive(dead)).empty());
  }
}

TEST_CASE("a listener that begins a comparison ends the conversation") {
  Opened script(loam::Role::dialler);
  REQUIRE(test::sent<CompareFrame>(script.first).size() == 1);
  CHECK(end_of(script.receive(script.compare(2))) == "1002 invalid");
}

TEST_CASE("naming more actors than there are ends the conversation") {
  Opened script(loam::Role::dialler);
  ContextFrame frame{.index = lessons_index, .number = 1};
  frame.base = loam::Position{script.other.state(lessons).journal, 1};
  frame.named = {1, 2};
  CHECK(end_of(script.receive(frame)) == "1002 invalid");
}

TEST_CASE("items that do not ascend end the conversation, also over several frames") {
  Opened script;
  CompareFrame frame = script.compare();
  frame.items = {5, 5};
  CHECK(end_of(script.receive(frame)) == "1002 invalid");
  Opened again;
  frame.items = {5, 6};
  frame.end = false;
  CHECK(end_of(again.receive(frame)).empty());
  frame.items = {6};
  CHECK(end_of(again.receive(frame)) == "1002 invalid");
}

TEST_CASE("an actor that has two rows ends the conversation") {
  Opened script;
  script.receive(script.compare());
  ContextFrame rows = script.no_rows();
  rows.end = false;
  rows.rows = {{script.own.replica(lessons).actor(), RangeSet({3, 4}), 0, {}, false}};
  CHECK(end_of(script.receive(rows)).empty());
  CHECK(end_of(script.receive(rows)) == "1002 invalid");
}

TEST_CASE("a context without a base ends the conversation") {
  Opened script(loam::Role::dialler);
  CHECK(end_of(script.receive(ContextFrame{.index = lessons_index, .number = 1})) ==
        "1002 invalid");
}

TEST_CASE("asking for records again and again does not pile up") {
  Opened script;
  script.compared();
  const loam::ActorId actor = script.own.replica(lessons).actor();
  const AskFrame ask{lessons_index, actor, RangeSet({1, loam::counter_max})};
  const auto actions = script.receive(ask);
  const auto chunks = test::sent<DeltaFrame>(actions);
  REQUIRE(chunks.size() == 1);
  CHECK(chunks[0].delta == script.own.store(lessons).full_state());
  CHECK(!chunks[0].upto);
  const AskFrame unknown{lessons_index, loam::ActorId{}, RangeSet({1, 5})};
  CHECK(script.receive(unknown).empty());
}

TEST_CASE("a live set kills only what its sender accounts for as dead, at the comparison's end") {
  Opened script;
  script.compared();
  const loam::ActorId actor = script.own.replica(lessons).actor();
  LiveFrame live{.index = lessons_index, .number = 1};
  live.sets.push_back({actor, RangeSet({1, 9}), {}, {}});  // of which there is one here
  const auto actions = script.receive(live);
  CHECK(test::only<Apply>(actions).empty());
  REQUIRE(test::sent<DeadFrame>(actions).size() == 1);
  CHECK(test::sent<DeadFrame>(actions)[0].dots.empty());
  const auto applies = test::only<Apply>(script.receive(script.owed()));
  REQUIRE(applies.size() == 3);  // the store decides whether that peer may remove
  CHECK(applies[1].delta.context.of(actor) == RangeSet({1, 1}));
  CHECK(!applies[1].position);
  CHECK(applies[2].position);
}

TEST_CASE("what is not covered here is never called dead") {
  Opened script;
  script.compared();
  const loam::ActorId actor = script.own.replica(lessons).actor();
  LiveFrame live{.index = lessons_index, .number = 1};
  live.sets.push_back({actor, RangeSet({1, 9}), RangeSet({1, 9}), {}});
  const loam::ActorId stranger{{std::byte{7}}};
  live.sets.push_back({stranger, RangeSet({1, 9}), RangeSet({1, 9}), {}});
  const auto answer = test::sent<DeadFrame>(script.receive(live));
  REQUIRE(answer.size() == 1);
  CHECK(answer[0] == DeadFrame{.index = lessons_index, .number = 1});
}

TEST_CASE("a sketch of what is not covered here is not answered") {
  Opened script;
  script.compared();
  const loam::ActorId actor = script.own.replica(lessons).actor();
  LiveFrame live{.index = lessons_index, .number = 1, .form = LiveFrame::Form::sketch};
  live.sets.push_back({actor, RangeSet({1, 9}), {}, {}});
  live.cells = loam::Sketch(20).octets();
  const auto answer = test::sent<DeadFrame>(script.receive(live));
  REQUIRE(answer.size() == 1);
  CHECK(answer[0].undecided);
  CHECK(answer[0].items.empty());
}

TEST_CASE("a sketch that tells nothing is not answered, and nothing dies") {
  Opened script;
  script.compared();
  const loam::ActorId actor = script.own.replica(lessons).actor();
  LiveFrame live{.index = lessons_index, .number = 1, .form = LiveFrame::Form::sketch};
  live.sets.push_back({actor, RangeSet({1, 1}), {}, {}});
  live.cells = loam::Bytes(5 * loam::Sketch::cell_octets, std::byte{0x5a});
  const auto answer = test::sent<DeadFrame>(script.receive(live));
  REQUIRE(answer.size() == 1);
  CHECK(answer[0].undecided);
  CHECK(test::only<Apply>(script.receive(script.owed())).size() == 1);  // a question is awaited
}

TEST_CASE("whatever frames come, a session never throws, and closes or goes on") {
  test::forall("hostile frames", 1'500, [](test::Gen& gen) {
    Opened script(gen.coin() ? loam::Role::dialler : loam::Role::listener);
    if (gen.coin()) script.compared();
    if (!test::only<loam::Close>(script.first).empty()) return;
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
