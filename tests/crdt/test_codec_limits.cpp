// Every limit of the decoder, at the limit and one above.
#include "tests/crdt/codec_samples.hpp"
#include "tests/support/allocations.hpp"

using loam::Array;
using loam::Bytes;
using loam::ErrorCode;
using loam::Map;
using loam::Value;
using test::verdict;

namespace {

Bytes array_of(std::size_t size) { return loam::encode(Value(Array(size, Value(7)))); }

Bytes map_of(std::size_t size) {
  Map map;
  for (std::size_t i = 0; i < size; ++i) map["key " + std::to_string(i)] = nullptr;
  return loam::encode(map);
}

// A value with that many elements: 15 arrays of 4,096 numbers, and one with the rest.
Bytes elements_of(std::size_t count) {
  const std::size_t full = 15 * (1 + 4'096);
  Array outer(15, Value(Array(4'096, Value(7))));
  outer.emplace_back(Array(count - full - 2, Value(7)));
  return loam::encode(Value(outer));
}

// Text whose encoding has exactly that many octets.
Bytes text_of_size(std::size_t octets) { return loam::encode(Value(std::string(octets - 5, 'x'))); }

}  // namespace

TEST_CASE("containers may be 16 deep and not 17") {
  CHECK_FALSE(verdict(loam::encode(test::nested(16))));
  CHECK(verdict(loam::encode(test::nested(17))) == ErrorCode::limit);
  Value maps = Map{};
  for (int depth = 2; depth <= 16; ++depth) maps = Map{{"k", maps}};
  CHECK_FALSE(verdict(loam::encode(maps)));
  CHECK(verdict(loam::encode(Value(Map{{"k", maps}}))) == ErrorCode::limit);
}

TEST_CASE("depth is counted again after a container has ended") {
  const Value deep = test::nested(15);
  CHECK_FALSE(verdict(loam::encode(Value(Array{deep, deep, deep}))));
}

TEST_CASE("a container may have 4,096 elements and not 4,097") {
  CHECK_FALSE(verdict(array_of(4'096)));
  CHECK(verdict(array_of(4'097)) == ErrorCode::limit);
  CHECK_FALSE(verdict(map_of(4'096)));
  CHECK(verdict(map_of(4'097)) == ErrorCode::limit);
}

TEST_CASE("a value may have 65,536 elements and not 65,537") {
  CHECK_FALSE(verdict(elements_of(65'536)));
  CHECK(verdict(elements_of(65'537)) == ErrorCode::limit);
}

TEST_CASE("keys count as elements") {
  CHECK_FALSE(verdict(map_of(8), {.elements_max = 17}));
  CHECK(verdict(map_of(8), {.elements_max = 16}) == ErrorCode::limit);
}

TEST_CASE("an encoding may have 1,048,576 octets and not one more") {
  CHECK(text_of_size(1'048'576).size() == 1'048'576);
  CHECK_FALSE(verdict(text_of_size(1'048'576)));
  CHECK(verdict(text_of_size(1'048'577)) == ErrorCode::limit);
}

TEST_CASE("a caller's limits count at the limit and one above") {
  const Bytes three = loam::encode(Value(Array{1, Array{2}}));
  CHECK_FALSE(verdict(three, {.octets_max = 4}));
  CHECK(verdict(three, {.octets_max = 3}) == ErrorCode::limit);
  CHECK_FALSE(verdict(three, {.depth_max = 2}));
  CHECK(verdict(three, {.depth_max = 1}) == ErrorCode::limit);
  CHECK_FALSE(verdict(three, {.container_max = 2}));
  CHECK(verdict(three, {.container_max = 1}) == ErrorCode::limit);
  CHECK_FALSE(verdict(three, {.elements_max = 4}));
  CHECK(verdict(three, {.elements_max = 3}) == ErrorCode::limit);
}

TEST_CASE("a huge declared length is refused without memory for it") {
  const char* const declared[] = {
      "dd ffffffff",       "dd ffffffff 00",
      "df ffffffff",       "df ffffffff a0 00",
      "c6 ffffffff",       "c6 ffffffff 00",
      "db ffffffff",       "db ffffffff 78",
      "c9 ffffffff 01",    "dc ffff",
      "de ffff",           "91 dd ffffffff",
      "81 a0 df ffffffff", "9f 9f 9f 9f 9f 9f 9f 9f 9f 9f 9f 9f 9f 9f 9f 9f",
  };
  for (const char* hex : declared) {
    const Bytes bytes = test::from_hex(hex);
    std::optional<ErrorCode> result;
    const std::size_t largest = test::largest_allocation([&] { result = verdict(bytes); });
    CHECK(result.has_value());
    CHECK(largest < 16'384);
  }
}
