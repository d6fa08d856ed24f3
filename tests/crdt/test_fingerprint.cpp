#include <limits>
#include <set>

#include "crdt/fingerprint.hpp"
#include "crdt/hash.hpp"
#include "tests/support/forall.hpp"

using loam::Fingerprint;
using test::Gen;

namespace {

constexpr std::uint64_t greatest_half = std::numeric_limits<std::uint64_t>::max();

// Halves near 0 and near 2^64, where carries and borrows happen, are likely.
std::uint64_t half(Gen& gen) {
  switch (gen.below(3)) {
    case 0: return gen.below(3);
    case 1: return greatest_half - gen.below(3);
    default: return gen.bits();
  }
}

Fingerprint random_fingerprint(Gen& gen) { return {half(gen), half(gen)}; }

Fingerprint sum(Fingerprint left, const Fingerprint& right) { return left += right; }
Fingerprint difference(Fingerprint left, const Fingerprint& right) { return left -= right; }

loam::RangeSet ranges_of(std::initializer_list<loam::Range> ranges) {
  loam::RangeSet result;
  for (const loam::Range& range : ranges) result.insert(range);
  return result;
}

}  // namespace

TEST_CASE("fingerprints are a commutative group") {
  test::forall("group", 4'000, [](Gen& gen) {
    const Fingerprint a = random_fingerprint(gen), b = random_fingerprint(gen);
    const Fingerprint c = random_fingerprint(gen);
    REQUIRE(sum(a, b) == sum(b, a));
    REQUIRE(sum(sum(a, b), c) == sum(a, sum(b, c)));
    REQUIRE(sum(a, {}) == a);
    REQUIRE(difference(a, a) == Fingerprint{});
    REQUIRE(difference(sum(a, b), b) == a);
    REQUIRE(sum(difference(a, b), b) == a);
    REQUIRE(Fingerprint::from(a.bytes()) == a);
  });
}

TEST_CASE("a sum carries and a difference borrows across the halves") {
  CHECK(sum({0, greatest_half}, {0, 1}) == Fingerprint{1, 0});
  CHECK(difference({1, 0}, {0, 1}) == Fingerprint{0, greatest_half});
  CHECK(sum({greatest_half, greatest_half}, {0, 1}) == Fingerprint{});
  CHECK(difference({}, {0, 1}) == Fingerprint{greatest_half, greatest_half});
  CHECK(sum({1, greatest_half}, {1, greatest_half}) == Fingerprint{3, greatest_half - 1});
}

TEST_CASE("a fingerprint's octets are big-endian") {
  const auto bytes = Fingerprint{0x0102030405060708U, 0x090a0b0c0d0e0f10U}.bytes();
  for (std::size_t i = 0; i < 16; ++i) CHECK(bytes[i] == static_cast<std::byte>(i + 1));
}

TEST_CASE("a live term depends on the actor, the counter and the content") {
  const loam::ActorId a{{std::byte{1}}}, b{{std::byte{2}}};
  const loam::ContentHash x{{std::byte{1}}}, y{{std::byte{2}}};
  const Fingerprint base = live_term({a, 1}, x);
  CHECK(live_term({a, 1}, x) == base);
  CHECK(live_term({b, 1}, x) != base);
  CHECK(live_term({a, 2}, x) != base);
  CHECK(live_term({a, 1}, y) != base);
}

TEST_CASE("a context term depends on the actor and on the ranges, and is zero for nothing") {
  const loam::ActorId a{{std::byte{1}}}, b{{std::byte{2}}};
  const Fingerprint base = context_term(a, ranges_of({{1, 3}}));
  CHECK(context_term(a, {}) == Fingerprint{});
  CHECK(base != Fingerprint{});
  CHECK(context_term(a, ranges_of({{3, 3}, {1, 1}, {2, 2}})) == base);
  CHECK(context_term(b, ranges_of({{1, 3}})) != base);
  CHECK(context_term(a, ranges_of({{1, 1}, {3, 3}})) != base);
  CHECK(context_term(a, ranges_of({{1, 4}})) != base);
}

TEST_CASE("the digest is 32 hexadecimal digits and tells both roots apart") {
  const std::string none = loam::digest_text({});
  CHECK(none.size() == 32);
  CHECK(none.find_first_not_of("0123456789abcdef") == std::string::npos);
  const std::string context_only = loam::digest_text({.context = {0, 1}, .live = {}});
  CHECK(context_only != none);
  CHECK(context_only != loam::digest_text({.context = {}, .live = {0, 1}}));
}

TEST_CASE("hashes of one text for different purposes differ") {
  const loam::BytesView text = loam::bytes_of("text");
  CHECK(loam::hash128("a", {text}) != loam::hash128("b", {text}));
  CHECK(loam::hash128("a", {text}) == loam::hash128("a", {text.first(1), text.subspan(1)}));
  CHECK(loam::hash128(std::string(64, 'a'), {text}) != loam::hash128(std::string(63, 'a'), {text}));
}
