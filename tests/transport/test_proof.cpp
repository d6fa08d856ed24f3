#include "transport/proof.hpp"

#include <doctest/doctest.h>

#include "tests/crdt/signing.hpp"

using loam::Bytes;
using loam::Introduction;
using loam::Role;
using test::SigningKey;

namespace {

// Two hellos that differ in everything that a hello says.
struct ProofMeeting {
  Bytes dialler = hello(1);
  Bytes listener = hello(2);
  Bytes channel = loam::copy_of(loam::bytes_of("exporter"));

  static Bytes hello(unsigned char side) {
    loam::Hello hello;
    hello.name = side == 1 ? "alpha" : "beta";
    hello.instance = SigningKey(side).instance();
    hello.nonce.fill(static_cast<std::byte>(side));
    return loam::encode_frame(hello);
  }

  Introduction introduction() const { return {dialler, listener, channel}; }

  loam::Signature proof(Role role) const {
    const SigningKey key(role == Role::dialler ? 1 : 2);
    return key.sign(loam::proof_domain, loam::proof_octets(role, introduction()));
  }

  bool is_proved(Role role, const loam::Signature& signature) const {
    const SigningKey key(role == Role::dialler ? 1 : 2);
    return loam::proves(key.key(), role, introduction(), signature);
  }
};

}  // namespace

TEST_CASE("both ends of a connection prove who they are") {
  const ProofMeeting meeting;
  CHECK(meeting.is_proved(Role::dialler, meeting.proof(Role::dialler)));
  CHECK(meeting.is_proved(Role::listener, meeting.proof(Role::listener)));
}

TEST_CASE("a proof is of one end, one key and one purpose") {
  const ProofMeeting meeting;
  const auto proof = meeting.proof(Role::dialler);
  CHECK_FALSE(meeting.is_proved(Role::listener, proof));
  CHECK_FALSE(loam::proves(SigningKey(1).key(), Role::listener, meeting.introduction(), proof));
  CHECK_FALSE(loam::proves(SigningKey(2).key(), Role::dialler, meeting.introduction(), proof));
  const auto elsewhere =
      SigningKey(1).sign("loam batch 1", loam::proof_octets(Role::dialler, meeting.introduction()));
  CHECK_FALSE(meeting.is_proved(Role::dialler, elsewhere));
}

TEST_CASE("a proof is good on its own connection only: with these hellos, in these places, over this channel") {
  const ProofMeeting meeting;
  const auto proof = meeting.proof(Role::dialler);
  ProofMeeting other = meeting;
  for (Bytes* part : {&other.dialler, &other.listener, &other.channel}) {
    for (std::size_t bit = 0; bit < 8 * part->size(); ++bit) {
      (*part)[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      CHECK_FALSE(other.is_proved(Role::dialler, proof));
      (*part)[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    }
  }
  CHECK(other.is_proved(Role::dialler, proof));
  std::swap(other.dialler, other.listener);
  CHECK_FALSE(other.is_proved(Role::dialler, proof));
  other = meeting;
  other.channel.clear();  // the same without TLS
  CHECK_FALSE(other.is_proved(Role::dialler, proof));
  // What moves from one part into the next is another message.
  other = meeting;
  other.listener.insert(other.listener.begin(), other.dialler.back());
  other.dialler.pop_back();
  CHECK_FALSE(other.is_proved(Role::dialler, proof));
}
