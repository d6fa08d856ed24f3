// The walker of octets that were checked: it agrees with the decoder, and believes no length.
#include <doctest/doctest.h>

#include <limits>

#include "crdt/checked_reader.hpp"
#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/forall.hpp"

using loam::Bytes;
using loam::CheckedReader;
using loam::Value;
using test::error_of;
using test::Gen;

TEST_CASE("the walker reads what the decoder reads") {
  test::forall("checked values", 5'000, [](Gen& gen) {
    const Value value = gen.value(4);
    const Bytes octets = loam::encode(value);
    CheckedReader reader(octets);
    REQUIRE(reader.value() == value);
    REQUIRE(reader.at_end());
    CheckedReader whole(octets);
    REQUIRE(loam::equal(whole.whole(), octets));
    REQUIRE(whole.at_end());
  });
}

TEST_CASE("the walker reads numbers, lengths and texts of every form") {
  for (const std::int64_t number :
       {std::int64_t{0}, std::int64_t{127}, std::int64_t{128}, std::int64_t{255}, std::int64_t{256}, std::int64_t{65'535},
        std::int64_t{65'536}, std::int64_t{4'294'967'295}, std::int64_t{4'294'967'296}, std::numeric_limits<std::int64_t>::max(),
        std::int64_t{-1}, std::int64_t{-32}, std::int64_t{-33}, std::int64_t{-128}, std::int64_t{-129}, std::int64_t{-32'768},
        std::int64_t{-32'769}, std::int64_t{-2'147'483'648}, std::int64_t{-2'147'483'649}, std::numeric_limits<std::int64_t>::min()}) {
    CAPTURE(number);
    const Bytes octets = loam::encode(Value(number));
    CHECK(CheckedReader(octets).value() == Value(number));
    CHECK(CheckedReader(octets).whole().size() == octets.size());
  }
  for (const std::size_t size : {0U, 15U, 16U, 31U, 32U, 255U, 256U, 65'535U, 65'536U}) {
    CAPTURE(size);
    const loam::Array items(std::min<std::size_t>(size, 4'000), Value(true));
    for (const Value& value : {Value(std::string(size, 'x')), Value(Bytes(size)), Value(items)}) {
      const Bytes octets = loam::encode(value);
      CHECK(CheckedReader(octets).value() == value);
      CHECK(CheckedReader(octets).whole().size() == octets.size());
    }
  }
  for (const Value& value : {Value(), Value(false), Value(0.5), Value(~std::uint64_t{0})}) {
    const Bytes octets = loam::encode(value);
    CHECK(CheckedReader(octets).value() == value);
    CHECK(CheckedReader(octets).whole().size() == octets.size());
  }
}

TEST_CASE("the walker reads no octet that is not there") {
  test::forall("checked values, cut", 2'000, [](Gen& gen) {
    const Bytes octets = loam::encode(gen.value(4));
    const Bytes cut(octets.begin(), octets.begin() + static_cast<std::ptrdiff_t>(gen.below(octets.size())));
    REQUIRE(error_of([&] { CheckedReader(cut).skip(); }) == loam::ErrorCode::invalid);
    REQUIRE(error_of([&] { (void)CheckedReader(cut).value(); }) == loam::ErrorCode::invalid);
  });
  // A length of 2^32 - 1 costs nothing.
  for (const unsigned form : {0xdbU, 0xc6U, 0xddU, 0xdfU}) {
    CAPTURE(form);
    const Bytes octets{std::byte(form), std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff}};
    CHECK(error_of([&] { CheckedReader(octets).skip(); }) == loam::ErrorCode::invalid);
    CHECK(error_of([&] { (void)CheckedReader(octets).value(); }) == loam::ErrorCode::invalid);
  }
  for (const unsigned form : {0xc1U, 0xc7U, 0xcaU, 0xd4U, 0xd8U}) {
    CAPTURE(form);
    const Bytes octets(20, std::byte(form));
    CHECK(error_of([&] { CheckedReader(octets).skip(); }) == loam::ErrorCode::invalid);
    CHECK(error_of([&] { (void)CheckedReader(octets).value(); }) == loam::ErrorCode::invalid);
  }
}

TEST_CASE("the walker refuses a value of another type") {
  const Bytes text = loam::encode(Value("text"));
  CHECK(error_of([&] { (void)CheckedReader(text).number(); }) == loam::ErrorCode::invalid);
  CHECK(error_of([&] { (void)CheckedReader(text).octets(); }) == loam::ErrorCode::invalid);
  CHECK(error_of([&] { (void)CheckedReader(text).array(); }) == loam::ErrorCode::invalid);
  CHECK(error_of([&] { (void)CheckedReader(text).map(); }) == loam::ErrorCode::invalid);
  const Bytes number = loam::encode(Value(7));
  CHECK(error_of([&] { (void)CheckedReader(number).text(); }) == loam::ErrorCode::invalid);
}
