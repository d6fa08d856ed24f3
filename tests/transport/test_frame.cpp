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
  for (const std::uint64_t type : {0U, 11U, 127U, 1'000'000U}) {
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
  CHECK(changed(state, [](Array& elements) { elements[3] = Value(std::uint64_t{2} << 3); }) ==
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
  const auto actors = [](Array& elements) -> Array& { return std::get<Array>(elements[3].data); };
  const auto live = [&](Array& elements) -> Array& {
    return std::get<Array>(std::get<Array>(actors(elements)[1].data)[3].data);
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
          std::get<Array>(actors(elements)[0].data)[2] = octets_of({});
        }) == ErrorCode::invalid);
}

TEST_CASE("a context whose actors are not in order, or do not end with its last, is malformed") {
  const auto code = [](const loam::ContextFrame& frame) {
    return error_of([&] { (void)loam::decode_frame(loam::encode_frame(frame)); });
  };
  const loam::ActorState one{low, loam::RangeSet({1, 1}), 0, {}};
  const loam::ActorState two{high, loam::RangeSet({1, 1}), 0, {}};
  CHECK(!code({.actors = {one, two}}));
  CHECK(!code({.last = high, .actors = {one, two}}));
  CHECK(!code({.after = low, .actors = {two}}));
  CHECK(code({.actors = {two, one}}) == ErrorCode::invalid);
  CHECK(code({.actors = {one, one}}) == ErrorCode::invalid);
  CHECK(code({.after = low, .actors = {one}}) == ErrorCode::invalid);
  CHECK(code({.last = high, .actors = {one}}) == ErrorCode::invalid);
  CHECK(code({.last = high}) == ErrorCode::invalid);
  CHECK(code({.after = low, .last = low}) == ErrorCode::invalid);
}

TEST_CASE("live counters that were not asked for are malformed") {
  loam::SetsFrame frame;
  frame.asked = loam::RangeSet({2, 5});
  frame.live = loam::RangeSet({2, 5});
  CHECK(loam::decode_frame(loam::encode_frame(frame)) == Frame(frame));
  frame.live = loam::RangeSet({2, 6});
  CHECK(error_of([&] { (void)loam::decode_frame(loam::encode_frame(frame)); }) ==
        ErrorCode::invalid);
}

TEST_CASE("asking for no counters at all is malformed") {
  CHECK(error_of([] { (void)loam::decode_frame(loam::encode_frame(loam::AskFrame{})); }) ==
        ErrorCode::invalid);
  CHECK(error_of([] { (void)loam::decode_frame(loam::encode_frame(loam::SetsFrame{})); }) ==
        ErrorCode::invalid);
}
