#include <limits>

#include "crdt/map_writer.hpp"
#include "tests/crdt/codec_samples.hpp"
#include "tests/support/forall.hpp"

using loam::Array;
using loam::Bytes;
using loam::Map;
using loam::Value;
using test::from_hex;
using test::Gen;

namespace {

void survives(const Value& value, const char* hex_start) {
  const Bytes bytes = loam::encode(value);
  const Bytes start = from_hex(hex_start);
  REQUIRE(bytes.size() >= start.size());
  CHECK(loam::equal(loam::BytesView(bytes).first(start.size()), start));
  CHECK(loam::decode(bytes) == value);
}

Array numbers(std::size_t size) { return Array(size, Value(7)); }

Map map_of_numbers(std::size_t size) {
  Map map;
  for (std::size_t i = 0; i < size; ++i) map["key " + std::to_string(i)] = Value(7);
  return map;
}

}  // namespace

TEST_CASE("a value survives its encoding") {
  test::forall("value", 10'000, [](Gen& gen) {
    const Value value = gen.value(4);
    const Bytes bytes = loam::encode(value);
    REQUIRE(loam::decode(bytes) == value);
    REQUIRE(loam::encode(loam::decode(bytes)) == bytes);
    loam::check_canonical(bytes);
  });
}

TEST_CASE("two values are equal exactly when their bytes are") {
  test::forall("equal values", 10'000, [](Gen& gen) {
    Gen twin = gen;
    const Value left = gen.value(1);
    const Value right = gen.coin() ? twin.value(1) : gen.value(1);
    REQUIRE((left == right) == (loam::encode(left) == loam::encode(right)));
  });
}

TEST_CASE("the two zeros are one value with one encoding") {
  CHECK(loam::encode(Value(-0.0)) == loam::encode(Value(0.0)));
  CHECK_FALSE(test::verdict_of_hex("cb 0000000000000000"));
  CHECK(test::verdict_of_hex("cb 8000000000000000") == loam::ErrorCode::invalid);
}

TEST_CASE("every integer has its shortest form") {
  survives(0, "00");
  survives(127, "7f");
  survives(128, "cc 80");
  survives(255, "cc ff");
  survives(256, "cd 0100");
  survives(65'535, "cd ffff");
  survives(65'536, "ce 00010000");
  survives(4'294'967'295, "ce ffffffff");
  survives(4'294'967'296, "cf 0000000100000000");
  survives(std::numeric_limits<std::int64_t>::max(), "cf 7fffffffffffffff");
  survives(std::uint64_t{1} << 63, "cf 8000000000000000");
  survives(~std::uint64_t{0}, "cf ffffffffffffffff");
  survives(-1, "ff");
  survives(-32, "e0");
  survives(-33, "d0 df");
  survives(-128, "d0 80");
  survives(-129, "d1 ff7f");
  survives(-32'768, "d1 8000");
  survives(-32'769, "d2 ffff7fff");
  survives(std::int64_t{-2'147'483'648}, "d2 80000000");
  survives(std::int64_t{-2'147'483'649}, "d3 ffffffff7fffffff");
  survives(std::numeric_limits<std::int64_t>::min(), "d3 8000000000000000");
}

TEST_CASE("a double is always 64 bits, a whole number too") {
  survives(1.0, "cb 3ff0000000000000");
  survives(0.5, "cb 3fe0000000000000");
  survives(std::numeric_limits<double>::infinity(), "cb 7ff0000000000000");
  survives(-std::numeric_limits<double>::infinity(), "cb fff0000000000000");
  survives(std::numeric_limits<double>::denorm_min(), "cb 0000000000000001");
  CHECK(Value(1.0) != Value(1));
}

TEST_CASE("every length has its shortest form") {
  survives("", "a0");
  survives(std::string(31, 'x'), "bf 78");
  survives(std::string(32, 'x'), "d9 20 78");
  survives(std::string(255, 'x'), "d9 ff 78");
  survives(std::string(256, 'x'), "da 0100 78");
  survives(std::string(65'535, 'x'), "da ffff 78");
  survives(std::string(65'536, 'x'), "db 00010000 78");
  survives(Bytes(0), "c4 00");
  survives(Bytes(255), "c4 ff 00");
  survives(Bytes(256), "c5 0100 00");
  survives(Bytes(65'535), "c5 ffff 00");
  survives(Bytes(65'536), "c6 00010000 00");
  survives(numbers(0), "90");
  survives(numbers(15), "9f 07");
  survives(numbers(16), "dc 0010 07");
  survives(map_of_numbers(0), "80");
  survives(map_of_numbers(15), "8f a5");
  survives(map_of_numbers(16), "de 0010 a5");
}

TEST_CASE("nil, the booleans and nested containers have the form of the specification") {
  survives(nullptr, "c0");
  survives(false, "c2");
  survives(true, "c3");
  survives(Map{{"compact", true}, {"schema", 0}}, "82 a7 636f6d70616374 c3 a6 736368656d61 00");
  survives(test::rich_value(), "86 a0 c0");
}

TEST_CASE("the writer makes the bytes of the value") {
  Bytes out;
  loam::Writer(out).array(4).number(300).map(1).text("k").nil().real(0.5).octets(from_hex("01"));
  CHECK(out == loam::encode(Value(Array{300, Map{{"k", nullptr}}, 0.5, from_hex("01")})));
}

TEST_CASE("a map that is written entry by entry has the bytes of the map") {
  test::forall("map", 2'000, [](Gen& gen) {
    Map map;
    loam::MapWriter writer;
    for (std::size_t size = gen.below(40); map.size() < size;) map[gen.text(12)] = gen.value(2);
    for (const auto& [key, value] : map) {
      if (gen.coin()) {
        writer.encoded(key, loam::encode(value));
      } else {
        writer.entry(key).value(value);
      }
    }
    REQUIRE(writer.empty() == map.empty());
    REQUIRE(writer.octets() == loam::encode(map));
  });
}

TEST_CASE("what canonical msgpack cannot hold is not encoded") {
  using loam::ErrorCode;
  const auto error = [](const Value& value) {
    return test::error_of([&] { (void)loam::encode(value); });
  };
  CHECK(error(std::numeric_limits<double>::quiet_NaN()) == ErrorCode::invalid);
  CHECK(error("\xff") == ErrorCode::invalid);
  CHECK(error(Map{{"\xff", 1}}) == ErrorCode::invalid);
  CHECK(error(Array{Array{std::string("\xed\xa0\x80")}}) == ErrorCode::invalid);
}

TEST_CASE("a decoded value is read by type or refused by name") {
  using loam::ErrorCode;
  const Value octets = Bytes(16);
  CHECK(loam::as_number(7, "it") == 7);
  CHECK(loam::as_number(~std::uint64_t{0}, "it") == ~std::uint64_t{0});
  CHECK(loam::as_text("text", "it") == "text");
  CHECK(loam::as_array(Array{1}, "it").size() == 1);
  CHECK(loam::as_map(Map{{"k", 1}}, "it").size() == 1);
  CHECK(loam::as_octets(octets, "it").size() == 16);
  CHECK(loam::as_id<loam::ActorId>(octets, "it").is_zero());
  const auto refused = [](auto&& read) { return test::error_of(read) == ErrorCode::invalid; };
  CHECK(refused([] { (void)loam::as_number(-1, "it"); }));
  CHECK(refused([] { (void)loam::as_number(1.0, "it"); }));
  CHECK(refused([] { (void)loam::as_text(Bytes{}, "it"); }));
  CHECK(refused([] { (void)loam::as_octets("text", "it"); }));
  CHECK(refused([] { (void)loam::as_array(Map{}, "it"); }));
  CHECK(refused([] { (void)loam::as_map(Array{}, "it"); }));
  CHECK(refused([] { (void)loam::as_id<loam::ActorId>(Bytes(15), "it"); }));
  CHECK(refused([] { (void)loam::as_id<loam::ActorId>(Bytes(17), "it"); }));
}

TEST_CASE("a value's entries are found by key, and absent where there are none") {
  const Value value = Map{{"text", "t"}, {"number", 1}};
  REQUIRE(value.find("number"));
  CHECK(*value.find("number") == Value(1));
  CHECK(value.find("none") == nullptr);
  CHECK(Value(1).find("number") == nullptr);
  CHECK(value.text("text") == "t");
  CHECK(value.text("number") == "");
  CHECK(value.text("none") == "");
  CHECK(Value(1).text("text") == "");
  CHECK(Value().is_nil());
  CHECK_FALSE(value.is_nil());
}
