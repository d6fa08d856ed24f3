#include "crdt/invitation.hpp"

#include "crdt/error.hpp"
#include "tests/crdt/signing.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/forall.hpp"

using loam::ErrorCode;
using loam::Invitation;
using test::error_of;
using test::Gen;
using test::SigningKey;

namespace {

Invitation random_invitation(Gen& gen) {
  Invitation made;
  made.root.founder = SigningKey(gen.below(20)).key();
  made.governor = SigningKey(gen.below(20)).key();
  for (std::byte& octet : made.root.nonce) octet = static_cast<std::byte>(gen.below(256));
  for (std::byte& octet : made.secret) octet = static_cast<std::byte>(gen.below(256));
  made.endpoint = "ws://127.0.0.1:" + std::to_string(gen.below(65'536));
  made.name = "beta" + std::to_string(gen.below(1'000));
  made.expires_ms = static_cast<std::int64_t>(gen.bits() >> 16) - 1'000;
  return made;
}

std::optional<ErrorCode> token_error(std::string_view token) {
  return error_of([&] { (void)loam::parse_token(token); });
}

}  // namespace

TEST_CASE("an invitation survives being a token, in either case and with white space around it") {
  test::forall("token", 300, [](Gen& gen) {
    const Invitation made = random_invitation(gen);
    std::string token = loam::token_of(made);
    REQUIRE(loam::parse_token(token) == made);
    REQUIRE(loam::parse_token("  " + token + "\r\n") == made);
    for (std::size_t i = 5; i < token.size(); ++i) token[i] = static_cast<char>(std::toupper(token[i]));
    REQUIRE(loam::parse_token(token) == made);
  });
}

TEST_CASE("a token that is cut short or mistyped is refused") {
  test::forall("mistyped", 1'000, [](Gen& gen) {
    const std::string token = loam::token_of(random_invitation(gen));
    std::string other = token;
    switch (gen.below(4)) {
      case 0: other.resize(gen.index(token.size())); break;
      case 1: other[gen.index(token.size())] = "0123456789abcdefghjkmnpqrstvwxyz"[gen.below(32)]; break;
      case 2: other.insert(gen.index(token.size() + 1), 1, 'a'); break;
      default: std::swap(other[gen.index(token.size())], other[gen.index(token.size())]);
    }
    if (other == token) return;
    REQUIRE(token_error(other) == ErrorCode::invalid);
  });
  for (const char* text : {"", " ", "loam-", "loam-0", "loam", "token", "loam-u", "loam-\xff"}) {
    CHECK_MESSAGE(token_error(text) == ErrorCode::invalid, text);
  }
}

TEST_CASE("a token with a key that is not sound is refused") {
  Gen gen(1);
  Invitation made = random_invitation(gen);
  made.governor = {};
  CHECK(token_error(loam::token_of(made)) == ErrorCode::untrusted);
}

TEST_CASE("a token with an endpoint of 255 octets is read, and of one more is not") {
  Gen gen(2);
  Invitation made = random_invitation(gen);
  made.endpoint = std::string(255, 'a');
  CHECK_FALSE(token_error(loam::token_of(made)));
  made.endpoint += 'a';
  CHECK(token_error(loam::token_of(made)) == ErrorCode::invalid);
}

TEST_CASE("a token for a name that is none is refused") {
  Gen gen(4);
  Invitation made = random_invitation(gen);
  for (const char* name : {"", "../beta", "Beta", "be\nta"}) {
    made.name = name;
    CHECK_MESSAGE(token_error(loam::token_of(made)) == ErrorCode::invalid, name);
  }
}

TEST_CASE("what is kept of a secret is not the secret") {
  Gen gen(3);
  const auto secret = random_invitation(gen).secret;
  auto other = secret;
  other[0] ^= std::byte{1};
  CHECK(loam::secret_hash(secret) != secret);
  CHECK(loam::secret_hash(secret) != loam::secret_hash(other));
}
