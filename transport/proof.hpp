#pragma once

#include "crdt/key.hpp"
#include "transport/session.hpp"

namespace loam {

/// What both ends of one connection have seen of each other before either is believed.
struct Introduction {
  BytesView dialler_hello;   ///< the frames as they were sent, nonces included
  BytesView listener_hello;
  BytesView channel;         ///< of a TLS connection, its exporter value (RFC 9266); empty without one
};

/// The purpose of a proof's signature.
inline constexpr std::string_view proof_domain = "loam link 1";

/// What a side signs to prove that it holds its key, on this connection and no other: a canonical array [0 for the
/// dialler or 1, both hellos, channel]. Neither side can use the other's proof, nor somebody in between use one
/// on a second connection.
Bytes proof_octets(Role signer, const Introduction& introduction);

/// Whether the holder of the key is at that end of the connection. The key is a sound one. Any thread.
bool proves(const PublicKey& key, Role signer, const Introduction& introduction, const Signature& signature);

}  // namespace loam
