#include <doctest/doctest.h>

#include <boost/json/serialize.hpp>
#include <limits>

#include "lib/json_value.hpp"
#include "tests/lib/scratch.hpp"

namespace loam {
namespace {

using test::code_of;
using test::message_of;

std::string text_of_value(const Value& value) { return boost::json::serialize(to_json(value)); }

TEST_CASE("a value survives JSON, with octets and numbers of every kind") {
  const Value value(Map{
      {"nil", nullptr},
      {"yes", true},
      {"least", std::numeric_limits<std::int64_t>::min()},
      {"greatest", std::numeric_limits<std::uint64_t>::max()},
      {"real", 0.1},
      {"text", "\xc3\xa4 \" \\ \n \x01"},
      {"octets", Bytes{std::byte{0}, std::byte{0xff}}},
      {"no octets", Bytes{}},
      {"list", Array{1, Array{}, Map{}}},
  });
  CHECK(parse_json(text_of_value(value)) == value);
  CHECK(from_json(to_json(value)) == value);
}

TEST_CASE("octets are an object with one key") {
  CHECK(text_of_value(Bytes{std::byte{0xab}}) == R"({"$octets":"ab"})");
  CHECK(parse_json(R"({"$octets":"AB"})") == Value(Bytes{std::byte{0xab}}));
  CHECK(parse_json(R"({"$octets":"ab","x":1})").find("x") != nullptr);
  for (const char* text : {R"({"$octets":"a"})", R"({"$octets":"zz"})", R"({"$octets":1})"}) {
    CAPTURE(text);
    CHECK(code_of([&] { parse_json(text); }) == ErrorCode::invalid);
  }
  CHECK(code_of([] { from_json(boost::json::object{{"$octets", 1}}); }) == ErrorCode::invalid);
}

TEST_CASE("a double that is not finite becomes null") {
  CHECK(text_of_value(std::numeric_limits<double>::infinity()) == "null");
  CHECK(text_of_value(std::numeric_limits<double>::quiet_NaN()) == "null");
}

TEST_CASE("integers beyond 64 bits become doubles only when that is exact") {
  CHECK(parse_json("9223372036854775807") == Value(std::numeric_limits<std::int64_t>::max()));
  CHECK(parse_json("18446744073709551615") == Value(std::numeric_limits<std::uint64_t>::max()));
  CHECK(parse_json("18446744073709551616") == Value(18446744073709551616.0));
  CHECK(parse_json("-18446744073709551616") == Value(-18446744073709551616.0));
  for (const char* text : {"18446744073709551617", "-9223372036854775809", "1e400", "-1e400"}) {
    CAPTURE(text);
    CHECK(code_of([&] { parse_json(text); }) == ErrorCode::invalid);
  }
}

TEST_CASE("doubles are read to the last place") {
  CHECK(parse_json("0.30000000000000004") == Value(0.1 + 0.2));
  CHECK(parse_json("8.41e21") == Value(8.41e21));
  CHECK(parse_json("2.2250738585072011e-308") == Value(2.2250738585072011e-308));
  CHECK(parse_json("1.0") == Value(1.0));
}

TEST_CASE("a key that stands twice is refused where it stands") {
  CHECK(message_of([] { parse_json("{\"a\": 1,\n \"a\": 2}"); }) ==
        "invalid: json: line 2, column 4: this key stands twice in one object");
  CHECK(code_of([] { parse_json(R"({"x": [{"a": 1, "\u0061": 2}]})"); }) == ErrorCode::invalid);
  CHECK(parse_json(R"({"a": {"a": 1}})").find("a") != nullptr);
}

TEST_CASE("what is not exactly one JSON value in UTF-8 is refused") {
  for (const char* text : {"",
                           " ",
                           "{",
                           "[1,]",
                           "{\"a\":}",
                           "{a:1}",
                           "'a'",
                           "nul",
                           "01",
                           "+1",
                           "1 2",
                           "{} x",
                           "\"\xff\"",
                           "\"\xc0\x80\"",
                           "\"\\ud800\"",
                           "\"\x01\"",
                           "\xef\xbb\xbf{}",
                           "// x\n1",
                           "NaN",
                           "\"abc"}) {
    CAPTURE(text);
    CHECK(code_of([&] { parse_json(text); }) == ErrorCode::invalid);
  }
}

TEST_CASE("a message says line and column") {
  CHECK(message_of([] {
          parse_json("{\n  \"a\": tru\n}");
        }).starts_with("invalid: json: line 2, column 8: "));
}

TEST_CASE("nesting and size are allowed up to the limit and not beyond") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  parse_json(nested(32));
  CHECK(code_of([&] { parse_json(nested(33)); }) == ErrorCode::limit);
  parse_json("[1, 2]", {.octets_max = 6});
  CHECK(code_of([] { parse_json("[1, 2]", {.octets_max = 5}); }) == ErrorCode::limit);
}

TEST_CASE("hexadecimal digits come in pairs") {
  CHECK(from_hex("00fF") == Bytes{std::byte{0}, std::byte{0xff}});
  CHECK(from_hex("") == Bytes{});
  CHECK_FALSE(from_hex("0"));
  CHECK_FALSE(from_hex("0x"));
}

}  // namespace
}  // namespace loam
