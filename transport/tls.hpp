#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "crdt/key.hpp"

struct ssl_st;
namespace boost::asio::ssl {
class context;
}

namespace loam {

/// What an instance needs for TLS 1.3: a key that is made anew for each object, and a certificate of it that the
/// instance's own key has signed. The instance's key stays with libsodium: OpenSSL never has it, and is not asked
/// whether a signature of it is right. The same as libp2p's TLS: an extension of a certificate that signs itself
/// holds the instance's key and the signature. Names, dates and authorities in it mean nothing. Immutable; any thread.
class Tls {
 public:
  using Sign = std::function<Signature(std::string_view domain, BytesView message)>;

  /// `sign` signs with the key of that public half, and is not kept. Throws Error(failed).
  Tls(const PublicKey& key, const Sign& sign);

  boost::asio::ssl::context& context() const noexcept { return *context_; }

 private:
  std::shared_ptr<boost::asio::ssl::context> context_;
};

/// The purpose of the signature in a certificate.
inline constexpr std::string_view certificate_domain = "loam tls 1";

/// Octets of what names one connection (RFC 9266, tls-exporter).
inline constexpr std::size_t channel_octets = 32;

/// The instance's key that the other side's certificate is signed by; absent: it has none, or the signature is
/// wrong, or the key is not sound. After the handshake.
std::optional<PublicKey> certified_key(ssl_st* connection);

/// What both ends of one connection, and nobody else, can compute. After the handshake. Throws Error(failed).
Bytes channel_of(ssl_st* connection);

}  // namespace loam
