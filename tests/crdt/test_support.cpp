// The tests' own tools: what drives them must be right as well.
#include <set>

#include "crdt/codec.hpp"
#include "tests/support/forall.hpp"
#include "tests/support/hex.hpp"

using test::Gen;

TEST_CASE("a generator makes the same choices again from the same seed") {
  Gen once(7), again(7), other(8);
  const auto first = once.bits();
  CHECK(first == again.bits());
  CHECK(first != other.bits());
  CHECK_FALSE(once.exhausted());
}

TEST_CASE("splitmix64 gives the published numbers") {
  Gen gen(1234567);
  CHECK(gen.bits() == 6457827717110365317U);
  CHECK(gen.bits() == 3203168211198807973U);
  CHECK(gen.bits() == 9817491932198370423U);
}

TEST_CASE("a generator reads its choices from octets and then makes the first one") {
  const loam::Bytes input = test::from_hex("05 0102 01 ff");
  Gen gen{loam::BytesView(input)};
  CHECK(gen.below(10) == 5);
  CHECK(gen.below(1) == 0);  // no choice, nothing read
  CHECK(gen.between(1000, 2000) == 1000 + 0x0102);
  CHECK(gen.coin());
  CHECK_FALSE(gen.exhausted());
  CHECK(gen.bits() == 0xff00000000000000U);
  CHECK(gen.exhausted());
  CHECK(gen.below(100) == 0);
  CHECK_FALSE(gen.coin());
}

TEST_CASE("numbers stay in their range and reach its ends") {
  Gen gen(1);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1'000; ++i) seen.insert(gen.between(3, 9));
  CHECK(seen == std::set<std::uint64_t>{3, 4, 5, 6, 7, 8, 9});
  CHECK(gen.between(5, 5) == 5);
  (void)gen.between(0, ~std::uint64_t{0});
}

TEST_CASE("generated text is UTF-8 with characters of every length") {
  std::set<std::size_t> lengths;
  test::forall("text", 4'000, [&](Gen& gen) {
    const std::string text = gen.text(1);
    lengths.insert(text.size());
    REQUIRE(loam::is_utf8(text));
    REQUIRE(loam::is_utf8(gen.text(20)));
    for (const char c : gen.ascii(20)) REQUIRE((c >= 0x20 && c < 0x7f));
  });
  if (!test::environment("SEED")) CHECK(lengths == std::set<std::size_t>{0, 1, 2, 3, 4});
}

TEST_CASE("generated values are of every type") {
  std::set<std::size_t> types;
  test::forall("value types", 4'000, [&](Gen& gen) {
    const loam::Value value = gen.value(2);
    types.insert(value.data.index());
    loam::check_canonical(loam::encode(value));
  });
  if (!test::environment("SEED")) CHECK(types.size() == std::variant_size_v<loam::Value::Data>);
}

TEST_CASE("a shuffle keeps the elements") {
  test::forall("shuffle", 500, [](Gen& gen) {
    std::vector<int> items(gen.index(9));
    for (std::size_t i = 0; i < items.size(); ++i) items[i] = static_cast<int>(i);
    std::vector<int> mixed = gen.shuffled(items);
    std::sort(mixed.begin(), mixed.end());
    REQUIRE(mixed == items);
  });
}
