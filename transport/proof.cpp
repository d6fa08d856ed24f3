#include "transport/proof.hpp"

#include "crdt/codec.hpp"

namespace loam {

Bytes proof_octets(Role signer, const Introduction& introduction) {
  Bytes octets;
  Writer(octets).array(4).number(signer == Role::dialler ? 0 : 1).octets(introduction.dialler_hello)
      .octets(introduction.listener_hello).octets(introduction.channel);
  return octets;
}

bool proves(const PublicKey& key, Role signer, const Introduction& introduction, const Signature& signature) {
  return is_signed_by(key, proof_domain, proof_octets(signer, introduction), signature);
}

}  // namespace loam
