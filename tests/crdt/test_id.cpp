#include "crdt/id.hpp"
#include "tests/support/forall.hpp"
#include "tests/support/hex.hpp"

using loam::ActorId;

namespace {

ActorId id_of(const char* hex) { return *ActorId::from(test::from_hex(hex)); }

}  // namespace

TEST_CASE("an id survives its text, in either case") {
  test::forall("base32", 4'000, [](test::Gen& gen) {
    ActorId id;
    for (std::byte& octet : id.bytes) octet = static_cast<std::byte>(gen.below(256));
    const std::string text = id.text();
    REQUIRE(text.size() == 26);
    REQUIRE(ActorId::parse(text) == id);
    std::string upper = text;
    for (char& c : upper) c = c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
    REQUIRE(ActorId::parse(upper) == id);
  });
}

TEST_CASE("the text of an id sorts as its octets do") {
  test::forall("base32 order", 2'000, [](test::Gen& gen) {
    ActorId left, right;
    const std::size_t common = gen.index(16);
    for (std::size_t i = common; i < 16; ++i) {
      left.bytes[i] = static_cast<std::byte>(gen.below(256));
      right.bytes[i] = static_cast<std::byte>(gen.below(256));
    }
    REQUIRE((left < right) == (left.text() < right.text()));
  });
}

TEST_CASE("the text of an id is Crockford base32, the most significant bits first") {
  CHECK(ActorId{}.text() == "00000000000000000000000000");
  CHECK(id_of("ffffffffffffffffffffffffffffffff").text() == "7zzzzzzzzzzzzzzzzzzzzzzzzz");
  CHECK(id_of("00000000000000000000000000000001").text() == "00000000000000000000000001");
  CHECK(id_of("80000000000000000000000000000020").text() == "40000000000000000000000010");
}

TEST_CASE("letters that look like digits are read as those digits") {
  const auto id = ActorId::parse("01000000000000000000000010");
  REQUIRE(id);
  for (const char* text :
       {"oIoooooooooooooooooooooolO", "0L00000000000000000000001o", "OiOOOOOOOOOOOOOOOOOOOOOOiO"}) {
    CHECK(ActorId::parse(text) == id);
  }
}

TEST_CASE("text of another length is no id") {
  for (std::size_t size = 0; size < 60; ++size) {
    CHECK(ActorId::parse(std::string(size, '0')).has_value() == (size == 26));
  }
}

TEST_CASE("a character outside the alphabet at any place is no id") {
  for (std::size_t place = 0; place < 26; ++place) {
    for (int c = 0; c < 256; ++c) {
      std::string text(26, '0');
      text[place] = static_cast<char>(c);
      const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : text[place];
      const auto digit = std::string_view("0123456789abcdefghjkmnpqrstvwxyz").find(lower);
      const bool is_digit =
          lower == 'o' || lower == 'i' || lower == 'l' || digit != std::string_view::npos;
      const bool fits = place != 0 || digit == std::string_view::npos || digit < 8;
      REQUIRE(ActorId::parse(text).has_value() == (is_digit && fits));
    }
  }
}

TEST_CASE("text above 128 bits is no id") {
  CHECK(ActorId::parse("7zzzzzzzzzzzzzzzzzzzzzzzzz"));
  CHECK_FALSE(ActorId::parse("80000000000000000000000000"));
  CHECK_FALSE(ActorId::parse("zzzzzzzzzzzzzzzzzzzzzzzzzz"));
}

TEST_CASE("an id is exactly 16 octets") {
  const loam::Bytes octets(17);
  const loam::BytesView view = octets;
  CHECK(ActorId::from(view.first(16)) == ActorId{});
  CHECK_FALSE(ActorId::from(view.first(15)));
  CHECK_FALSE(ActorId::from(view));
  CHECK_FALSE(ActorId::from({}));
  CHECK(ActorId{}.is_zero());
  CHECK_FALSE(id_of("00000000000000000000000000000001").is_zero());
}

TEST_CASE("hexadecimal is lower case, two characters an octet") {
  CHECK(loam::to_hex({}) == "");
  CHECK(loam::to_hex(test::from_hex("00 0f f0 ab")) == "000ff0ab");
}
