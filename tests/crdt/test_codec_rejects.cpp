// Everything that is not the one canonical encoding of a value is refused.
#include "tests/crdt/codec_samples.hpp"

using loam::Bytes;
using loam::ErrorCode;
using loam::Value;
using test::from_hex;
using test::verdict;
using test::verdict_of_hex;

namespace {

std::string repeated(const char* hex, int times) {
  std::string result;
  for (; times > 0; --times) result += hex;
  return result;
}

template <std::size_t Count>
void all_invalid(const char* const (&table)[Count]) {
  for (const char* hex : table) {
    CAPTURE(hex);
    CHECK(verdict_of_hex(hex) == ErrorCode::invalid);
  }
}

}  // namespace

TEST_CASE("a longer form of an integer than needed is refused") {
  const char* const unsigned_forms[] = {
      "cc 00",
      "cc 7f",
      "cd 0000",
      "cd 00ff",
      "ce 00000000",
      "ce 0000ffff",
      "cf 0000000000000000",
      "cf 00000000ffffffff",
  };
  all_invalid(unsigned_forms);
  const char* const negative_forms[] = {
      "d0 ff",
      "d0 e0",
      "d1 ffff",
      "d1 ff80",
      "d2 ffffffff",
      "d2 ffff8000",
      "d3 ffffffffffffffff",
      "d3 ffffffff80000000",
  };
  all_invalid(negative_forms);
}

TEST_CASE("a signed form of a positive number is refused, also where it is no longer") {
  const char* const forms[] = {
      "d0 00",
      "d0 01",
      "d0 7f",
      "d1 0000",
      "d1 0080",
      "d1 00ff",
      "d1 0100",
      "d1 7fff",
      "d2 00000000",
      "d2 00008000",
      "d2 00010000",
      "d2 7fffffff",
      "d3 0000000000000000",
      "d3 0000000080000000",
      "d3 0000000100000000",
      "d3 7fffffffffffffff",
  };
  all_invalid(forms);
}

TEST_CASE("a longer form of a length than needed is refused") {
  const char* const short_ones[] = {
      "d9 00",          "d9 01 78",    "da 0000",           "da 0001 78",     "db 00000000",
      "db 00000001 78", "c5 0000",     "c5 0001 00",        "c6 00000000",    "c6 00000001 00",
      "dc 0000",        "dc 0001 00",  "dd 00000000",       "dd 00000001 00", "de 0000",
      "de 0001 a0 00",  "df 00000000", "df 00000001 a0 00",
  };
  all_invalid(short_ones);
  CHECK(verdict_of_hex("d9 1f" + repeated("78", 31)) == ErrorCode::invalid);
  CHECK(verdict_of_hex("da 00ff" + repeated("78", 255)) == ErrorCode::invalid);
  CHECK(verdict_of_hex("db 0000ffff" + repeated("78", 65'535)) == ErrorCode::invalid);
  CHECK(verdict_of_hex("c5 00ff" + repeated("00", 255)) == ErrorCode::invalid);
  CHECK(verdict_of_hex("c6 0000ffff" + repeated("00", 65'535)) == ErrorCode::invalid);
  CHECK(verdict_of_hex("dc 000f" + repeated("00", 15)) == ErrorCode::invalid);
  CHECK(verdict_of_hex("dd 00000010" + repeated("00", 16)) == ErrorCode::invalid);
}

TEST_CASE("a longer form deep inside a value is refused, a key's too") {
  const char* const forms[] = {"91 cc 00", "81 a1 6b cc 01", "81 d9 01 6b 01", "92 01 dc 0000",
                               "81 a1 6b 81 a1 6b d0 01"};
  all_invalid(forms);
}

TEST_CASE("unsorted and repeated keys are refused") {
  CHECK_FALSE(verdict_of_hex("82 a1 61 01 a1 62 02"));
  const char* const forms[] = {
      "82 a1 62 01 a1 61 02",                    // b, a
      "82 a1 61 01 a1 61 02",                    // a, a
      "82 a2 6161 01 a1 61 02",                  // aa, a: by octets, not by length
      "82 a1 61 01 a0 02",                       // a, the empty key
      "82 a0 01 a0 02",                          // the empty key twice
      "83 a1 61 01 a1 63 01 a1 62 01",           // a, c, b
      "82 a1 61 82 a1 79 01 a1 78 01 a1 62 01",  // inside an entry
      "82 a2 c3a9 01 a1 7a 02",                  // é before z: octets are unsigned
  };
  all_invalid(forms);
  CHECK_FALSE(verdict_of_hex("82 a1 61 01 a2 6161 02"));
  CHECK_FALSE(verdict_of_hex("82 a1 7a 01 a2 c3a9 02"));
  // A map inside a value does not disturb the order around it.
  CHECK_FALSE(verdict_of_hex("82 a1 61 81 a1 7a 01 a1 62 81 a1 61 01"));
}

TEST_CASE("a key that is not text is refused") {
  const char* const forms[] = {
      "81 c0 01",       "81 c2 01", "81 01 01",       "81 ff 01", "81 cb 3ff0000000000000 01",
      "81 c4 01 6b 01", "81 90 01", "81 91 a1 6b 01", "81 80 01", "81 cc 80 01",
  };
  all_invalid(forms);
}

TEST_CASE("a map inside a key is refused") { CHECK(verdict_of_hex("81 81 a1 6b 01 01")); }

TEST_CASE("NaN, 32-bit floats and extension types are refused") {
  const char* const forms[] = {
      "cb 7ff8000000000000",
      "cb 7ff0000000000001",
      "cb fff8000000000000",
      "cb ffffffffffffffff",
      "ca 3f800000",
      "ca 00000000",
      "d4 01 00",
      "d5 01 0000",
      "d6 ff 00000000",
      "d7 01 0000000000000000",
      "d8 01 00000000000000000000000000000000",
      "c7 00 01",
      "c7 01 01 00",
      "c8 0001 01 00",
      "c9 00000001 01 00",
      "c1",
  };
  all_invalid(forms);
  CHECK_FALSE(verdict_of_hex("cb 7ff0000000000000"));
  CHECK_FALSE(verdict_of_hex("cb fff0000000000000"));
}

TEST_CASE("text is well-formed UTF-8") {
  const char* const good[] = {
      "",       "00",     "7f",     "c280",     "dfbf",     "e0a080",
      "ed9fbf", "ee8080", "efbfbf", "f0908080", "f48fbfbf", "c3a9 e282ac f09f9880",
  };
  for (const char* hex : good) {
    CAPTURE(hex);
    CHECK(loam::is_utf8(loam::text_of(from_hex(hex))));
  }
  const char* const bad[] = {
      "80",       "bf",       "c0",       "c080",   "c1bf",     "c2",       "c27f",     "c2c0",
      "e0",       "e0a0",     "e08080",   "e09fbf", "e0a07f",   "eda080",   "edbfbf",   "ed9f",
      "efbf",     "efbfc0",   "f0",       "f0908f", "f0808080", "f08fbfbf", "f4908080", "f48fbf",
      "f5808080", "f8888080", "fc",       "fe",     "ff",       "61ff",     "e282",     "f09f98",
      "c3a980",   "f09f7f80", "f09f9841", "e27fac",
  };
  for (const char* hex : bad) {
    CAPTURE(hex);
    const Bytes text = from_hex(hex);
    CHECK_FALSE(loam::is_utf8(loam::text_of(text)));
    Bytes encoded{static_cast<std::byte>(0xa0 + text.size())};
    encoded.insert(encoded.end(), text.begin(), text.end());
    CHECK(verdict(encoded) == ErrorCode::invalid);
    encoded.insert(encoded.begin(), std::byte{0x81});
    encoded.push_back(std::byte{0xc0});
    CHECK(verdict(encoded) == ErrorCode::invalid);
  }
}

TEST_CASE("is_utf8 accepts exactly the code points that are no surrogates") {
  std::size_t accepted = 0;
  for (unsigned lead = 0xe0; lead < 0xf0; ++lead) {
    for (unsigned second = 0; second < 256; ++second) {
      for (const unsigned third : {0x7fU, 0x80U, 0xbfU, 0xc0U}) {
        const char text[] = {static_cast<char>(lead), static_cast<char>(second),
                             static_cast<char>(third)};
        accepted += loam::is_utf8({text, 3}) ? 1U : 0U;
      }
    }
  }
  CHECK(accepted == 2 * (16 * 64 - 32 - 32));  // without overlong forms and without surrogates
}

TEST_CASE("nothing, more than one value and what comes after it are refused") {
  CHECK(verdict({}) == ErrorCode::invalid);
  const char* const forms[] = {"00 00",    "c0 c0",    "80 00",   "90 c1",
                               "a1 78 78", "c4 00 00", "91 00 00"};
  all_invalid(forms);
}

TEST_CASE("a value cut off at any octet is refused") {
  Bytes bytes;
  loam::Writer writer(bytes);
  writer.array(4).value(test::rich_value()).text(std::string(300, 'x')).octets(Bytes(300));
  writer.value(loam::Array(20, Value(0.5)));
  REQUIRE_FALSE(verdict(bytes));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    REQUIRE(verdict(loam::BytesView(bytes).first(size)) == ErrorCode::invalid);
  }
}

TEST_CASE("a value with one octet changed is refused, or is the only encoding of another value") {
  const Bytes original = loam::encode(test::rich_value());
  std::size_t accepted = 0;
  for (std::size_t place = 0; place < original.size(); ++place) {
    for (int octet = 0; octet < 256; ++octet) {
      Bytes bytes = original;
      bytes[place] = static_cast<std::byte>(octet);
      if (verdict(bytes)) continue;
      const Value value = loam::decode(bytes);
      REQUIRE(loam::encode(value) == bytes);
      REQUIRE((value == test::rich_value()) == (bytes == original));
      ++accepted;
    }
  }
  CHECK(accepted > original.size());
}
