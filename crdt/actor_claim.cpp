#include "crdt/actor_claim.hpp"

#include <algorithm>

#include "crdt/big_endian.hpp"
#include "crdt/clock.hpp"
#include "crdt/hash.hpp"

namespace loam {
namespace {

constexpr std::size_t birth_octets = 6;

// Writes the last 80 bits of an id whose birth is written.
void finish(ActorId& actor, const ActorClaim& claim) {
  const auto hash = hash128("loam actor 1", {BytesView(actor.bytes).first(birth_octets), claim.author.view(),
                                             claim.nonce});
  std::copy(hash.begin(), hash.end() - birth_octets, actor.bytes.begin() + birth_octets);
}

}  // namespace

ActorId actor_of(const ActorClaim& claim, std::int64_t birth_ms) {
  ActorId actor;
  std::array<std::byte, 8> birth{};
  store_u64(birth.data(), Hlc::at_ms(birth_ms).value);
  std::copy_n(birth.begin(), birth_octets, actor.bytes.begin());
  finish(actor, claim);
  return actor;
}

bool is_true_of(const ActorId& actor, const ActorClaim& claim) {
  ActorId claimed = actor;
  finish(claimed, claim);
  return claimed == actor;
}

}  // namespace loam
