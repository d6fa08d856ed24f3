#include <doctest/doctest.h>

#include "crdt/range_codec.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/forall.hpp"
#include "tests/transport/any_frame.hpp"

using loam::Array;
using loam::Bytes;
using loam::ErrorCode;
using loam::Frame;
using loam::Value;
using test::error_of;
using test::Gen;

namespace {

const loam::ActorId low{{std::byte{1}}};
const loam::ActorId high{{std::byte{2}}};

loam::DeltaFrame one_record(std::size_t octets) {
  loam::DeltaFrame frame;
  frame.authors[low] = {};
  frame.delta.context.insert(low, loam::Range{1, 1});
  frame.delta.live[{low, 1}] = Bytes(octets);
  return frame;
}

/// The kind of error that decoding the changed elements of a frame ends in.
template <class Change>
std::optional<ErrorCode> changed(const Frame& frame, Change&& change) {
  Value value = loam::decode(loam::encode_frame(frame));
  change(std::get<Array>(value.data));
  return error_of([&] { (void)loam::decode_frame(loam::encode(value)); });
}

Value octets_of(const loam::RangeSet& ranges) { return Value(loam::encode_ranges(ranges)); }

}  // namespace

TEST_CASE("every frame is what its bytes decode to") {
  test::forall("frames", 3'000, [](Gen& gen) {
    const Frame frame = test::any_frame(gen);
    const Bytes bytes = loam::encode_frame(frame);
    REQUIRE(loam::decode_frame(bytes) == frame);
    REQUIRE(loam::encode_frame(loam::decode_frame(bytes)) == bytes);
  });
}

TEST_CASE("elements behind the known ones are skipped in every frame") {
  test::forall("longer frames", 1'000, [](Gen& gen) {
    const Frame frame = test::any_frame(gen);
    Value value = loam::decode(loam::encode_frame(frame));
    std::get<Array>(value.data).push_back(gen.value(2));
    REQUIRE(loam::decode_frame(loam::encode(value)) == frame);
  });
}

TEST_CASE("a frame with too few elements is malformed, whatever its type") {
  test::forall("shorter frames", 1'000, [](Gen& gen) {
    const Frame frame = test::any_frame(gen);
    if (std::holds_alternative<loam::Ping>(frame)) return;
    const auto* hello = std::get_if<loam::Hello>(&frame);
    if (hello != nullptr && hello->version_max < 3) return;  // its key is not read
    REQUIRE(changed(frame, [&](Array& elements) {
              elements.resize(gen.between(0, elements.size() - 1));
            }) == ErrorCode::invalid);
  });
}

TEST_CASE("a frame cut short anywhere is malformed") {
  test::forall("cut frames", 300, [](Gen& gen) {
    const Bytes bytes = loam::encode_frame(test::any_frame(gen));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      REQUIRE(error_of([&] { (void)loam::decode_frame(loam::BytesView(bytes).first(size)); }) ==
              ErrorCode::invalid);
    }
  });
}

TEST_CASE("a type that is not known is named") {
  for (const std::uint64_t type : {0U, 6U, 7U, 8U, 9U, 20U, 127U, 1'000'000U}) {
    Bytes message;
    loam::Writer(message).array(1).number(type);
    CHECK_THROWS_AS((void)loam::decode_frame(message), loam::UnknownFrame);
  }
}

TEST_CASE("a message may have 1 MiB and no more") {
  // The largest frames are made of several records.
  loam::DeltaFrame frame = one_record(loam::record_octets_max);
  for (std::uint64_t counter = 2; counter <= 5; ++counter) {
    frame.delta.context.insert(low, loam::Range{counter, counter});
    frame.delta.live[{low, counter}] = Bytes(counter < 5 ? loam::record_octets_max - 100 : 200);
  }
  Bytes& last = frame.delta.live[{low, 5}];
  last.resize(last.size() + loam::message_octets_max - loam::encode_frame(frame).size());
  CHECK(loam::encode_frame(frame).size() == loam::message_octets_max);
  CHECK(loam::decode_frame(loam::encode_frame(frame)) == Frame(frame));
  last.push_back(std::byte{});
  CHECK(error_of([&] { (void)loam::decode_frame(loam::encode_frame(frame)); }) == ErrorCode::limit);
}

TEST_CASE("a record may have 256 KiB and no more") {
  const Frame largest = one_record(loam::record_octets_max);
  CHECK(loam::decode_frame(loam::encode_frame(largest)) == largest);
  const Frame larger = one_record(loam::record_octets_max + 1);
  CHECK(error_of([&] { (void)loam::decode_frame(loam::encode_frame(larger)); }) ==
        ErrorCode::limit);
}

TEST_CASE("names may have 63 octets and reasons 512, and no more") {
  const auto decodes = [](const Frame& frame) {
    return !error_of([&] { (void)loam::decode_frame(loam::encode_frame(frame)); });
  };
  CHECK(decodes(loam::Hello{.name = std::string(63, 'n')}));
  CHECK(!decodes(loam::Hello{.name = std::string(64, 'n')}));
  CHECK(decodes(loam::StateFrame{.segment = std::string(63, 'n')}));
  CHECK(!decodes(loam::StateFrame{.segment = std::string(64, 'n')}));
  const auto read_of = [](std::size_t octets) { return loam::VoteFrame{.states = {{std::string(octets, 'n'), {}}}}; };
  CHECK(decodes(read_of(63)));
  CHECK(!decodes(read_of(64)));
  loam::VoteFrame write{.segment = std::string(63, 'n')};
  write.dots.insert(low, loam::Range{1, 1});
  CHECK(decodes(write));
  write.segment += 'n';
  CHECK(!decodes(write));
  CHECK(decodes(loam::Bye{std::string(63, 'n'), std::string(512, 'r')}));
  CHECK(!decodes(loam::Bye{std::string(64, 'n'), ""}));
  CHECK(!decodes(loam::Bye{"", std::string(513, 'r')}));
}

TEST_CASE("a hello whose versions are the wrong way round is malformed") {
  loam::Hello hello;
  hello.version_min = 2;
  hello.version_max = 1;
  CHECK(error_of([&] { (void)loam::decode_frame(loam::encode_frame(hello)); }) ==
        ErrorCode::invalid);
}

TEST_CASE("a state with an unknown kind, or a floor above its head, is malformed") {
  const loam::StateFrame state;
  CHECK(changed(state, [](Array& elements) { elements[3] = Value(std::uint64_t{32}); }) ==
        ErrorCode::invalid);
  CHECK(changed(state, [](Array& elements) { elements[4] = Value(Bytes(31)); }) ==
        ErrorCode::invalid);
  CHECK(changed(state, [](Array& elements) { elements[5] = Value(1); }) == ErrorCode::invalid);
}

TEST_CASE("a chunk with repeated or unsorted actors or counters is malformed") {
  loam::DeltaFrame frame = one_record(3);
  frame.authors[high] = {};
  frame.delta.context.insert(high, loam::Range{1, 9});
  frame.delta.live[{high, 3}] = Bytes(1);
  frame.delta.live[{high, 4}] = Bytes(1);
  const auto actors = [](Array& elements) -> Array& { return std::get<Array>(elements[4].data); };
  const auto live = [&](Array& elements) -> Array& {
    return std::get<Array>(std::get<Array>(actors(elements)[1].data)[2].data);
  };
  CHECK(!changed(frame, [&](Array&) {}));
  CHECK(changed(frame, [&](Array& elements) {
          std::swap(actors(elements)[0], actors(elements)[1]);
        }) == ErrorCode::invalid);
  CHECK(changed(frame, [&](Array& elements) { actors(elements)[1] = actors(elements)[0]; }) ==
        ErrorCode::invalid);
  CHECK(changed(frame, [&](Array& elements) { live(elements)[2] = Value(0); }) ==
        ErrorCode::invalid);
  CHECK(changed(frame, [&](Array& elements) { live(elements).pop_back(); }) == ErrorCode::invalid);
  CHECK(changed(frame, [&](Array& elements) { live(elements)[2] = Value(loam::counter_max); }) ==
        ErrorCode::invalid);
  CHECK(changed(frame, [&](Array& elements) {
          std::get<Array>(actors(elements)[0].data)[1] = octets_of({});
        }) == ErrorCode::invalid);
}

TEST_CASE("a context whose actors are not in order is malformed") {
  const auto code = [](const loam::ContextFrame& frame) {
    return error_of([&] { (void)loam::decode_frame(loam::encode_frame(frame)); });
  };
  const loam::ContextEntry one{low, loam::RangeSet({1, 1}), 0, {}, false};
  const loam::ContextEntry two{high, loam::RangeSet({1, 1}), 0, {}, true};
  CHECK(!code({.rows = {one, two}}));
  CHECK(code({.rows = {two, one}}) == ErrorCode::invalid);
  CHECK(code({.rows = {one, one}}) == ErrorCode::invalid);
  CHECK(code({.rows = {{low, {}, 0, {}, false}}}) == ErrorCode::invalid);
}

TEST_CASE("a comparison begins with items, or with cells and an estimate") {
  const auto code = [](const loam::CompareFrame& frame) {
    return error_of([&] { (void)loam::decode_frame(loam::encode_frame(frame)); });
  };
  const loam::Bytes cells = loam::Sketch(2).octets();
  const loam::Bytes estimate = loam::DifferenceEstimate().octets();
  CHECK(!code({}));
  CHECK(!code({.items = {1, 2}, .end = false}));
  CHECK(!code({.estimate = estimate, .cells = cells}));
  CHECK(code({.cells = cells}) == ErrorCode::invalid);
  CHECK(code({.estimate = estimate}) == ErrorCode::invalid);
  CHECK(code({.estimate = estimate, .cells = cells, .items = {1}}) == ErrorCode::invalid);
  CHECK(code({.estimate = estimate, .cells = cells, .end = false}) == ErrorCode::invalid);
  CHECK(code({.estimate = estimate, .cells = loam::Bytes(13)}) == ErrorCode::invalid);
  CHECK(code({.estimate = loam::Bytes(3), .cells = cells}) == ErrorCode::invalid);
}

TEST_CASE("live counters that are not meant are malformed") {
  loam::LiveFrame frame;
  frame.sets.push_back({low, loam::RangeSet({2, 50}), loam::RangeSet({2, 50}), {}});
  CHECK(loam::decode_frame(loam::encode_frame(frame)) == Frame(frame));
  frame.sets[0].live = loam::RangeSet({2, 51});
  CHECK(error_of([&] { (void)loam::decode_frame(loam::encode_frame(frame)); }) ==
        ErrorCode::invalid);
}

TEST_CASE("a question has sets or a sketch as its form says") {
  using Form = loam::LiveFrame::Form;
  const auto code = [](const loam::LiveFrame& frame) {
    return error_of([&] { (void)loam::decode_frame(loam::encode_frame(frame)); });
  };
  const loam::Bytes cells = loam::Sketch(2).octets();
  const std::vector<loam::LiveSet> sets{{low, loam::RangeSet({2, 5}), {}, {}}};
  CHECK(!code({.form = Form::sets, .sets = sets}));
  CHECK(!code({.form = Form::sketch, .sets = sets, .cells = cells}));
  CHECK(!code({.form = Form::all, .cells = cells}));
  CHECK(code({.form = Form::sets, .sets = sets, .cells = cells}) == ErrorCode::invalid);
  CHECK(code({.form = Form::sketch, .sets = sets}) == ErrorCode::invalid);
  CHECK(code({.form = Form::all, .sets = sets, .cells = cells}) == ErrorCode::invalid);
  CHECK(code({.form = Form::all}) == ErrorCode::invalid);
  CHECK(code({.form = Form::all, .cells = loam::Bytes(7)}) == ErrorCode::invalid);
}

TEST_CASE("asking for no counters at all is malformed") {
  CHECK(error_of([] { (void)loam::decode_frame(loam::encode_frame(loam::AskFrame{})); }) ==
        ErrorCode::invalid);
}

TEST_CASE("a question names at most 256 segments") {
  loam::VoteFrame frame;
  for (int i = 0; i < 256; ++i) frame.states.push_back({"segment-" + std::to_string(i), {}});
  CHECK(loam::decode_frame(loam::encode_frame(frame)) == Frame(frame));
  frame.states.push_back({"one more", {}});
  CHECK(error_of([&] { (void)loam::decode_frame(loam::encode_frame(frame)); }) == ErrorCode::invalid);
}

TEST_CASE("a question has dots and their segment, or neither") {
  loam::VoteFrame frame;
  const auto code = [&] { return error_of([&] { (void)loam::decode_frame(loam::encode_frame(frame)); }); };
  CHECK(!code());
  frame.segment = "lessons";
  CHECK(code() == ErrorCode::invalid);
  frame.dots.insert(high, loam::Range{7, 9});
  CHECK(!code());
  frame.states.push_back({"lessons", {}});
  CHECK(!code());
  frame.segment.clear();
  CHECK(code() == ErrorCode::invalid);
}

TEST_CASE("a question whose ids have another size, or whose counters are none, is malformed") {
  loam::VoteFrame frame{.states = {{"lessons", {}}}, .segment = "lessons"};
  frame.dots.insert(low, loam::Range{1, 3});
  const auto part = [](Array& elements, std::size_t at) -> Array& {
    return std::get<Array>(std::get<Array>(elements[at].data)[0].data);
  };
  CHECK(!changed(frame, [](Array&) {}));
  for (const std::size_t size : {0U, 15U, 17U, 32U}) {
    CHECK(changed(frame, [&](Array& elements) { elements[3] = Value(Bytes(size)); }) == ErrorCode::invalid);
    CHECK(changed(frame, [&](Array& elements) { part(elements, 4)[1] = Value(Bytes(size)); }) == ErrorCode::invalid);
    CHECK(changed(frame, [&](Array& elements) { part(elements, 6)[0] = Value(Bytes(size)); }) == ErrorCode::invalid);
  }
  CHECK(changed(frame, [&](Array& elements) { part(elements, 6)[1] = octets_of({}); }) == ErrorCode::invalid);
  CHECK(changed(frame, [&](Array& elements) { part(elements, 4).pop_back(); }) == ErrorCode::invalid);
  CHECK(changed(frame, [&](Array& elements) { part(elements, 6).pop_back(); }) == ErrorCode::invalid);
  for (const std::size_t at : {1U, 2U, 3U, 4U, 5U, 6U, 7U}) {
    CAPTURE(at);
    CHECK(changed(frame, [&](Array& elements) { elements[at] = Value(1.5); }) == ErrorCode::invalid);
  }
}

TEST_CASE("an answer is one of four, and no other") {
  const loam::VotedFrame frame{7, 2, loam::Vote::no_voter};
  const auto with = [&](std::uint64_t vote) { return changed(frame, [&](Array& elements) { elements[3] = Value(vote); }); };
  for (const std::uint64_t vote : {0U, 1U, 2U, 3U}) CHECK(!with(vote));
  for (const std::uint64_t vote : {std::uint64_t{4}, std::uint64_t{255}, std::uint64_t{256}, ~std::uint64_t{0}}) {
    CHECK(with(vote) == ErrorCode::invalid);
  }
}

TEST_CASE("a live set travels as a bitmap where that is smaller, and in no other form") {
  loam::LiveFrame frame;
  loam::LiveSet set{low, loam::RangeSet({1, 100}), {}, {}};
  set.common.insert(loam::Range{103, 150});
  for (std::uint64_t counter = 2; counter < 150; counter += 3) set.live.insert(counter);
  set.live = set.live.intersect(set.common);
  frame.sets.push_back(set);
  const loam::Bytes bytes = loam::encode_frame(frame);
  CHECK(loam::decode_frame(bytes) == Frame(frame));
  frame.sets[0].live = loam::RangeSet({1, 100});
  CHECK(loam::encode_frame(frame).size() < bytes.size());
  const auto with_bitmap = [&](const Value& bitmap) {
    Value changed = loam::decode(bytes);
    Array& sets = std::get<Array>(std::get<Array>(changed.data)[5].data);
    std::get<Array>(sets[0].data)[2] = Array{bitmap};
    const loam::Bytes message = loam::encode(changed);
    return error_of([&] { (void)loam::decode_frame(message); });
  };
  const std::size_t octets = (set.common.count() + 7) / 8;
  CHECK(with_bitmap(Bytes(octets, std::byte{0x55})) == ErrorCode::invalid);  // stray bits
  Bytes good(octets, std::byte{0x55});
  good.back() = std::byte{0x50};
  CHECK(!with_bitmap(good));
  good.pop_back();
  CHECK(with_bitmap(good) == ErrorCode::invalid);
  CHECK(with_bitmap(Bytes(octets)) == ErrorCode::invalid);  // no octets of ranges say as much
  CHECK(with_bitmap(Value{}) == ErrorCode::invalid);
}
