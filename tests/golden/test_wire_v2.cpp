// What wire version 2 added.
#include "tests/golden/golden.hpp"
#include "transport/frame.hpp"

using loam::Frame;
using loam::LiveFrame;
using loam::Range;
using loam::RangeSet;

namespace {

template <class IdType>
IdType counting(unsigned first) {
  IdType id;
  for (std::byte& octet : id.bytes) octet = static_cast<std::byte>(first++);
  return id;
}

loam::Fingerprint fingerprint(unsigned first) {
  return loam::Fingerprint::from(counting<loam::ContentHash>(first).bytes);
}

const auto actor = counting<loam::ActorId>(0);
const auto other = counting<loam::ActorId>(16);
constexpr loam::JournalId journal = 0x0123456789abcdef;
constexpr loam::Position base{journal, 70'000};

RangeSet ranges(std::initializer_list<Range> from) {
  RangeSet result;
  for (const Range& range : from) result.insert(range);
  return result;
}

loam::Bytes cells() {
  return test::from_hex("112233445566778899aabbcc" "000000000000000000000000"
                        "000000000000000100000002");
}

loam::StateFrame held() {
  loam::StateFrame frame{.index = 1, .segment = "lessons_learned"};
  frame.state = {loam::Kind::set, counting<loam::StateDigest>(0x60), journal, 17, 70'000};
  frame.held = true;
  return frame;
}

loam::CompareFrame compare_items() {
  loam::CompareFrame frame{.index = 1, .number = 3, .base = base, .context = fingerprint(0x80)};
  frame.actors = 2;
  frame.records = 900;
  frame.items = {5, 0xfedcba9876543210};
  frame.end = false;
  return frame;
}

loam::CompareFrame compare_sketch() {
  loam::CompareFrame frame{.index = 1, .number = 1, .base = base, .context = fingerprint(0x80)};
  frame.actors = 100'000;
  frame.records = 1'000'000;
  for (unsigned i = 0; i < 256; ++i) frame.estimate.push_back(static_cast<std::byte>(i % 251));
  frame.cells = cells();
  return frame;
}

loam::ContextFrame context_rows() {
  loam::ContextFrame frame{.index = 1, .number = 1};
  frame.rows = {{actor, ranges({{1, 9}, {11, 400}}), 12, fingerprint(0x80), false},
                {other, ranges({{1, 9}}), 3, fingerprint(0x90), true}};
  frame.end = true;
  return frame;
}

LiveFrame live_sets() {
  LiveFrame frame{.index = 1, .number = 1, .more = true};
  RangeSet third;
  for (std::uint64_t counter = 2; counter < 60; counter += 3) third.insert(counter);
  frame.sets = {{actor, ranges({{1, 4'095}}), ranges({{1, 7}, {9, 4'095}}), fingerprint(0x80)},
                {other, ranges({{1, 64}}), third, fingerprint(0x90)}};
  return frame;
}

LiveFrame live_sketch(LiveFrame::Form form) {
  LiveFrame frame{.index = 1, .number = 1, .form = form, .cells = cells()};
  if (form == LiveFrame::Form::all) {
    frame.base = base;
  } else {
    frame.sets = {{actor, ranges({{1, 1'000'000}}), {}, {}}};
  }
  return frame;
}

loam::DeadFrame dead_dots() {
  loam::DeadFrame frame{.index = 1, .number = 1};
  frame.dots.insert(actor, ranges({{8, 8}, {70, 71}}));
  return frame;
}

std::map<std::string, Frame> frames() {
  return {
      {"state_held", held()},
      {"compare_items", compare_items()},
      {"compare_sketch", compare_sketch()},
      {"context_names", loam::ContextFrame{.index = 1, .number = 1, .base = base, .named = {7, 8}}},
      {"context_rows", context_rows()},
      {"context_all", loam::ContextFrame{.number = 1, .base = base, .all = true, .end = true}},
      {"live_sets", live_sets()},
      {"live_sketch", live_sketch(LiveFrame::Form::sketch)},
      {"live_all", live_sketch(LiveFrame::Form::all)},
      {"live_wanted", LiveFrame{.index = 1,
                                .number = 1,
                                .form = LiveFrame::Form::wanted,
                                .base = base,
                                .wanted = 177}},
      {"dead_dots", dead_dots()},
      {"dead_items", loam::DeadFrame{.index = 1, .number = 1, .items = {1, ~std::uint64_t{0}}}},
      {"dead_undecided", loam::DeadFrame{.index = 1, .number = 1, .undecided = true}},
      {"ask", loam::AskFrame{1, actor, ranges({{1, 4}, {6, 9}})}},
  };
}

}  // namespace

TEST_CASE("frames of wire version 2 have the golden bytes") {
  const auto golden = test::read_golden("wire-v2.txt");
  const auto now = frames();
  CHECK(golden.size() == now.size());
  for (const auto& entry : now) {
    CAPTURE(entry.first);
    REQUIRE(golden.contains(entry.first));
    CHECK(loam::to_hex(golden.at(entry.first)) == loam::to_hex(loam::encode_frame(entry.second)));
  }
}

TEST_CASE("the golden frames of wire version 2 are decoded") {
  const auto golden = test::read_golden("wire-v2.txt");
  for (const auto& entry : frames()) {
    CAPTURE(entry.first);
    CHECK(loam::decode_frame(golden.at(entry.first)) == entry.second);
  }
}
