#include "crdt/delta.hpp"
#include "crdt/error.hpp"
#include "crdt/range_codec.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/forall.hpp"
#include "tests/support/hex.hpp"

using loam::Bytes;
using loam::BytesView;
using loam::ErrorCode;
using loam::Range;
using loam::RangeSet;
using test::from_hex;

namespace {

std::optional<ErrorCode> ranges_error(BytesView octets) {
  return test::error_of([&] { (void)loam::decode_ranges(octets); });
}

std::optional<ErrorCode> varint_error(const char* hex) {
  const Bytes octets = from_hex(hex);
  return test::error_of([&] {
    BytesView rest = octets;
    (void)loam::take_varint(rest);
  });
}

RangeSet range_set(std::initializer_list<Range> ranges) {
  RangeSet result;
  for (const Range& range : ranges) result.insert(range);
  return result;
}

}  // namespace

TEST_CASE("a number survives its variable-length form and leaves what follows") {
  test::forall("varint", 4'000, [](test::Gen& gen) {
    const std::uint64_t number = gen.number();
    Bytes octets;
    loam::append_varint(octets, number);
    octets.push_back(std::byte{0xff});
    BytesView rest = octets;
    REQUIRE(loam::take_varint(rest) == number);
    REQUIRE(rest.size() == 1);
  });
}

TEST_CASE("a number has one variable-length form") {
  CHECK_FALSE(varint_error("00"));
  CHECK_FALSE(varint_error("ffffffffffffffffff01"));
  for (const char* hex : {"", "80", "8000", "ff00", "ffffffffffffffffff02", "80808080808080808000",
                          "ffffffffffffffffff8100", "ffffffffffffffffffff01"}) {
    CAPTURE(hex);
    CHECK(varint_error(hex) == ErrorCode::invalid);
  }
}

TEST_CASE("a set of counters survives its octets") {
  test::forall("ranges", 4'000, [](test::Gen& gen) {
    RangeSet ranges;
    for (auto left = gen.below(12); left > 0; --left) {
      const std::uint64_t first = 1 + gen.number() % (loam::counter_max - 100);
      ranges.insert(Range{first, first + gen.below(100)});
    }
    REQUIRE(loam::decode_ranges(loam::encode_ranges(ranges)) == ranges);
  });
}

TEST_CASE("octets that are accepted are the only ones of their set") {
  test::forall("random ranges", 20'000, [](test::Gen& gen) {
    Bytes octets = gen.bytes(8);
    for (std::byte& octet : octets) {
      if (gen.coin()) octet &= std::byte{0x07};
    }
    if (!ranges_error(octets)) REQUIRE(loam::encode_ranges(loam::decode_ranges(octets)) == octets);
  });
}

TEST_CASE("the octets of a set of counters are distances and lengths") {
  CHECK(loam::encode_ranges({}).empty());
  CHECK(loam::encode_ranges(range_set({{1, 1}})) == from_hex("00 00"));
  CHECK(loam::encode_ranges(range_set({{1, 200}, {300, 300}})) == from_hex("00 c701 63 00"));
  CHECK(loam::encode_ranges(range_set({{3, 3}, {5, 6}})) == from_hex("02 00 01 01"));
}

TEST_CASE("ranges that touch, half a range and counters above the limit are refused") {
  CHECK(ranges_error(from_hex("00 00 00 00")) == ErrorCode::invalid);
  CHECK(ranges_error(from_hex("00")) == ErrorCode::invalid);
  CHECK(ranges_error(from_hex("00 00 01")) == ErrorCode::invalid);
  const Bytes full = loam::encode_ranges(range_set({{1, loam::counter_max}}));
  CHECK_FALSE(ranges_error(full));
  Bytes beyond{std::byte{0}};
  loam::append_varint(beyond, loam::counter_max);
  CHECK(ranges_error(beyond) == ErrorCode::invalid);
  Bytes after_the_end;
  loam::append_varint(after_the_end, loam::counter_max);
  loam::append_varint(after_the_end, 0);
  CHECK(ranges_error(after_the_end) == ErrorCode::invalid);
  CHECK(ranges_error(from_hex("ffffffffffffffffff01 00")) == ErrorCode::invalid);
  CHECK(ranges_error(from_hex("00 ffffffffffffffffff01")) == ErrorCode::invalid);
}
