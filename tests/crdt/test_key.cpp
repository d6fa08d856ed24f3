#include "crdt/key.hpp"

#include "crdt/actor_claim.hpp"
#include "crdt/error.hpp"
#include "tests/crdt/signing.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/forall.hpp"
#include "tests/support/hex.hpp"

using loam::Bytes;
using loam::ErrorCode;
using loam::PublicKey;
using loam::Signature;
using test::error_of;
using test::from_hex;
using test::Gen;
using test::SigningKey;

namespace {

std::optional<ErrorCode> key_error(const PublicKey& key) {
  return error_of([&] { loam::check_public_key(key); });
}

// The order of the subgroup that keys are in, 2^252 + 27742317777372353535851937790883648493, little-endian.
const char* const order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

// The same signature with the number S one order greater: some libraries accept it.
Signature with_order_added(Signature signature) {
  const Bytes add = from_hex(order);
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    std::byte& octet = signature.bytes[32 + i];
    carry += std::to_integer<unsigned>(octet) + std::to_integer<unsigned>(add[i]);
    octet = static_cast<std::byte>(carry & 255U);
    carry >>= 8;
  }
  return signature;
}

}  // namespace

TEST_CASE("what a key signed for a purpose is its, and nothing else") {
  test::forall("signature", 200, [](Gen& gen) {
    const SigningKey key(gen.bits());
    const Bytes message = gen.bytes(200);
    const Signature signature = key.sign("loam test 1", message);
    loam::check_public_key(key.key());
    REQUIRE(loam::is_signed_by(key.key(), "loam test 1", message, signature));
    REQUIRE_FALSE(loam::is_signed_by(key.key(), "loam test 2", message, signature));
    REQUIRE_FALSE(loam::is_signed_by(SigningKey(gen.bits()).key(), "loam test 1", message, signature));
    Bytes longer = message;
    longer.push_back(std::byte{0});
    REQUIRE_FALSE(loam::is_signed_by(key.key(), "loam test 1", longer, signature));
  });
}

TEST_CASE("no octet of a message moves into its domain") {
  const SigningKey key(1);
  const Signature signature = key.sign("loam test", loam::bytes_of("ing a message"));
  CHECK_FALSE(loam::is_signed_by(key.key(), "loam testing", loam::bytes_of(" a message"), signature));
}

TEST_CASE("no bit of a message, a signature or a key may change") {
  const SigningKey key(7);
  Bytes message = loam::copy_of(loam::bytes_of("the message that was signed"));
  Signature signature = key.sign("loam test 1", message);
  PublicKey changed = key.key();
  const auto flips = [&](std::span<std::byte> octets, std::size_t bit) {
    octets[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    const bool is_good = loam::is_signed_by(changed, "loam test 1", message, signature);
    octets[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    return is_good;
  };
  for (std::size_t bit = 0; bit < 8 * message.size(); ++bit) CHECK_FALSE(flips(message, bit));
  for (std::size_t bit = 0; bit < 8 * signature.bytes.size(); ++bit) CHECK_FALSE(flips(signature.bytes, bit));
  for (std::size_t bit = 0; bit < 8 * changed.bytes.size(); ++bit) CHECK_FALSE(flips(changed.bytes, bit));
  CHECK(loam::is_signed_by(changed, "loam test 1", message, signature));
}

TEST_CASE("a signature whose number is not reduced is refused") {
  const SigningKey key(3);
  const Signature signature = key.sign("loam test 1", loam::bytes_of("x"));
  CHECK(loam::is_signed_by(key.key(), "loam test 1", loam::bytes_of("x"), signature));
  CHECK_FALSE(loam::is_signed_by(key.key(), "loam test 1", loam::bytes_of("x"), with_order_added(signature)));
}

TEST_CASE("a key that is no point of the large subgroup, or not its canonical encoding, is refused") {
  const std::vector<const char*> unsound{
      // The points of small order, the neutral one first.
      "0100000000000000000000000000000000000000000000000000000000000000",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0000000000000000000000000000000000000000000000000000000000000080",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
      // The same and others with their coordinate not reduced.
      "0100000000000000000000000000000000000000000000000000000000000080",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      // No point.
      "0200000000000000000000000000000000000000000000000000000000000000"};
  for (const char* text : unsound) {
    const PublicKey key = PublicKey::parse(text).value();
    CHECK_MESSAGE(key_error(key) == ErrorCode::untrusted, text);
    // Nothing is signed by it, not even what a signature of zeros says of the neutral point.
    Signature zero;
    zero.bytes[0] = std::byte{1};
    CHECK_FALSE(loam::is_signed_by(key, "loam test 1", loam::bytes_of("x"), zero));
  }
}

TEST_CASE("a sound key with a part of small order added is refused") {
  const SigningKey key(9);
  const PublicKey small =
      PublicKey::parse("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05").value();
  PublicKey mixed;
  const auto octets = [](const PublicKey& from) { return reinterpret_cast<const unsigned char*>(from.bytes.data()); };
  REQUIRE(crypto_core_ed25519_add(reinterpret_cast<unsigned char*>(mixed.bytes.data()), octets(key.key()),
                                  octets(small)) == 0);
  CHECK_FALSE(key_error(key.key()));
  CHECK(key_error(mixed) == ErrorCode::untrusted);
}

TEST_CASE("keys and signatures have one length and one text") {
  const PublicKey key = SigningKey(5).key();
  CHECK(PublicKey::parse(key.text()) == key);
  CHECK(PublicKey::from(key.view()) == key);
  CHECK_FALSE(PublicKey::parse(key.text() + "00"));
  CHECK_FALSE(PublicKey::parse(key.text().substr(1)));
  CHECK_FALSE(PublicKey::parse(key.text().substr(1) + "g"));
  CHECK_FALSE(PublicKey::from(key.view().first(31)));
  CHECK_FALSE(Signature::from(key.view()));
}

TEST_CASE("the claim of an actor is true of that actor, that author and that birth alone") {
  test::forall("claim", 2'000, [](Gen& gen) {
    loam::ActorClaim claim{SigningKey(gen.below(1'000)).instance(), {}};
    for (std::byte& octet : claim.nonce) octet = static_cast<std::byte>(gen.below(256));
    const auto birth = static_cast<std::int64_t>(gen.below(std::uint64_t{1} << 48));
    const loam::ActorId actor = loam::actor_of(claim, birth);
    REQUIRE(loam::is_true_of(actor, claim));
    loam::ActorId other = actor;
    other.bytes[gen.index(16)] ^= static_cast<std::byte>(1 + gen.below(255));
    REQUIRE_FALSE(loam::is_true_of(other, claim));
    if (gen.coin()) {
      claim.author.bytes[gen.index(16)] ^= std::byte{1};
    } else {
      claim.nonce[gen.index(8)] ^= std::byte{1};
    }
    REQUIRE_FALSE(loam::is_true_of(actor, claim));
  });
}

TEST_CASE("actors are ordered by their birth") {
  const loam::ActorClaim claim{SigningKey(1).instance(), {}};
  CHECK(loam::actor_of(claim, 1'000) < loam::actor_of(claim, 1'001));
  CHECK(loam::actor_of(claim, 255) < loam::actor_of(claim, 256));
}
