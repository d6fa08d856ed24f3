#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "crdt/record.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/forall.hpp"
#include "tests/support/hex.hpp"

using loam::Bytes;
using loam::ErrorCode;
using loam::Hlc;
using loam::Kind;
using loam::Map;
using loam::MapRecord;
using loam::SetRecord;
using loam::Value;
using test::error_of;
using test::Gen;

namespace {

std::optional<ErrorCode> key_error(std::string_view key) {
  return error_of([&] { loam::check_key(key); });
}

std::optional<ErrorCode> record_error(Kind kind, loam::BytesView bytes) {
  return error_of([&] { loam::check_record(kind, bytes); });
}

// A set record whose encoded form has exactly that many octets.
Bytes record_of_size(std::size_t octets) {
  SetRecord record{Hlc{1}, encode(Map{}), {}};
  const auto with_text = [&](std::size_t size) {
    record.meta = encode(Map{{"t", Value(std::string(size, 'x'))}});
    return encode(record);
  };
  const std::size_t overhead = with_text(100'000).size() - 100'000;
  return with_text(octets - overhead);
}

// A map record whose encoded form has exactly that many octets.
Bytes entry_of_size(std::size_t octets) {
  const auto with_text = [&](std::size_t size) {
    return encode(MapRecord{Hlc{1}, "key", encode(Value(std::string(size, 'x')))});
  };
  const std::size_t overhead = with_text(100'000).size() - 100'000;
  return with_text(octets - overhead);
}

Bytes parts(const Value& first, const Value& second, const Value& third) {
  return encode(Value(loam::Array{first, second, third}));
}

const Bytes empty_map = encode(Map{});

}  // namespace

TEST_CASE("a set record survives its encoding") {
  test::forall("set record", 2'000, [](Gen& gen) {
    const SetRecord record{Hlc{gen.number()}, encode(gen.map(3)), encode(gen.map(3))};
    const Bytes bytes = encode(record);
    REQUIRE(loam::decode_set_record(bytes) == record);
    REQUIRE(encode(loam::decode_set_record(bytes)) == bytes);
    const loam::SetRecordView view = loam::view_set_record(bytes);
    REQUIRE(view.stamp == record.stamp);
    REQUIRE(loam::equal(view.content, record.content));
    REQUIRE(loam::equal(view.meta, record.meta));
  });
}

TEST_CASE("a map record survives its encoding") {
  test::forall("map record", 2'000, [](Gen& gen) {
    MapRecord record{Hlc{gen.number()}, "k" + gen.ascii(80), std::nullopt};
    if (gen.coin()) record.value = encode(gen.value(3));
    const Bytes bytes = encode(record);
    REQUIRE(loam::decode_map_record(bytes) == record);
    REQUIRE(encode(loam::decode_map_record(bytes)) == bytes);
  });
}

TEST_CASE("the view of a record works for contents of every length form") {
  for (const std::size_t size : {0U, 200U, 300U, 70'000U}) {
    const Bytes content = encode(Map{{"t", Value(std::string(size, 'x'))}});
    const Bytes bytes = encode(SetRecord{Hlc{~std::uint64_t{0}}, content, empty_map});
    CHECK(loam::equal(loam::view_set_record(bytes).content, content));
    CHECK(loam::equal(loam::view_set_record(bytes).meta, empty_map));
  }
}

TEST_CASE("a record may have 262,144 octets and not one more") {
  CHECK(record_of_size(262'144).size() == 262'144);
  CHECK_FALSE(record_error(Kind::set, record_of_size(262'144)));
  CHECK(record_error(Kind::set, record_of_size(262'145)) == ErrorCode::limit);
  CHECK(entry_of_size(262'144).size() == 262'144);
  CHECK_FALSE(record_error(Kind::map, entry_of_size(262'144)));
  CHECK(record_error(Kind::map, entry_of_size(262'145)) == ErrorCode::limit);
}

TEST_CASE("a set record is an array of a stamp and two maps as octets") {
  const Value map = Value(empty_map);
  CHECK_FALSE(record_error(Kind::set, parts(1, map, map)));
  const Bytes bad[] = {
      {},
      empty_map,
      encode(Value(loam::Array{1, map})),
      encode(Value(loam::Array{1, map, map, map})),
      parts(-1, map, map),
      parts(1.0, map, map),
      parts("1", map, map),
      parts(1, Map{}, map),
      parts(1, "text", map),
      parts(1, map, nullptr),
      parts(1, Bytes{}, map),
      parts(1, encode(Value(loam::Array{})), map),
      parts(1, map, encode(Value(7))),
      parts(1, map, test::from_hex("de0000")),
      parts(1, map, test::from_hex("8080")),
      parts(1, map, test::from_hex("81a16b")),
  };
  for (const Bytes& bytes : bad) CHECK(record_error(Kind::set, bytes) == ErrorCode::invalid);
}

TEST_CASE("a map record is an array of a stamp, a key and a canonical value or nil") {
  const Value value = Value(encode(Value(7)));
  CHECK_FALSE(record_error(Kind::map, parts(1, "key", value)));
  CHECK_FALSE(record_error(Kind::map, parts(1, "key", nullptr)));
  const Bytes bad[] = {
      {},
      encode(Value(loam::Array{1, "key"})),
      parts(-1, "key", value),
      parts(nullptr, "key", value),
      parts(1, "", value),
      parts(1, "a\nb", value),
      parts(1, Bytes{std::byte{'k'}}, value),
      parts(1, "key", 7),
      parts(1, "key", Bytes{}),
      parts(1, "key", test::from_hex("cc07")),
      parts(1, "key", test::from_hex("0707")),
  };
  for (const Bytes& bytes : bad) CHECK(record_error(Kind::map, bytes) == ErrorCode::invalid);
  CHECK(record_error(Kind::map, parts(1, std::string(401, 'k'), value)) == ErrorCode::limit);
}

TEST_CASE("a key may have 400 octets of UTF-8 and not one more") {
  CHECK_FALSE(key_error(std::string(400, 'k')));
  CHECK(key_error(std::string(401, 'k')) == ErrorCode::limit);
  std::string two_octets;
  for (int i = 0; i < 200; ++i) two_octets += "\u00e9";
  CHECK_FALSE(key_error(two_octets));
  CHECK(key_error(two_octets + "\u00e9") == ErrorCode::limit);
}

TEST_CASE("a key is UTF-8 text without control characters") {
  CHECK_FALSE(key_error("a key/with: signs \u00e9\u20ac\U0001f600"));
  CHECK(key_error("") == ErrorCode::invalid);
  CHECK(key_error("\xff") == ErrorCode::invalid);
  CHECK(key_error("\x7f") == ErrorCode::invalid);
  for (char c = 0; c < 0x20; ++c) CHECK(key_error(std::string("k") + c) == ErrorCode::invalid);
}

TEST_CASE("an element is its content and the name of its segment, told apart by their lengths") {
  const Bytes content = encode(Map{{"text", "x"}});
  const loam::ElementId base = loam::element_of("lessons", content);
  CHECK(loam::element_of("lessons", content) == base);
  CHECK(loam::element_of("lesson", content) != base);
  CHECK(loam::element_of("lessons", empty_map) != base);
  CHECK(loam::element_of("ab", loam::bytes_of("c")) != loam::element_of("a", loam::bytes_of("bc")));
}
