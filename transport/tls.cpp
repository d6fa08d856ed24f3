#include "transport/tls.hpp"

#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <boost/asio/ssl/context.hpp>

#include "crdt/error.hpp"

namespace loam {
namespace {

/// The extension, under the arc that needs no registration (ITU-T X.667).
constexpr const char* extension_oid = "2.25.59179230745926027115428558692";

constexpr std::size_t extension_octets = sizeof(PublicKey) + sizeof(Signature);

template <auto Free>
struct Freed {
  template <class Object>
  void operator()(Object* object) const noexcept {
    Free(object);
  }
};

using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Oid = std::unique_ptr<ASN1_OBJECT, Freed<ASN1_OBJECT_free>>;
using Octets = std::unique_ptr<ASN1_OCTET_STRING, Freed<ASN1_OCTET_STRING_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;

void need(bool is_done, const char* what) {
  if (!is_done) throw Error(ErrorCode::failed, std::string("TLS: cannot ") + what);
}

/// The public half of an Ed25519 key; empty when it is of another kind.
Bytes raw_key(const EVP_PKEY* key) {
  Bytes octets(sizeof(PublicKey));
  std::size_t size = octets.size();
  if (key == nullptr || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_public_key(key, reinterpret_cast<unsigned char*>(octets.data()), &size) !=
          1) {
    return {};
  }
  octets.resize(size);
  return octets;
}

Extension extension_of(const Bytes& octets) {
  const Oid oid(OBJ_txt2obj(extension_oid, 1));
  const Octets value(ASN1_OCTET_STRING_new());
  need(oid && value, "make a certificate");
  need(ASN1_OCTET_STRING_set(value.get(), reinterpret_cast<const unsigned char*>(octets.data()),
                             static_cast<int>(octets.size())) == 1,
       "make a certificate");
  return Extension(X509_EXTENSION_create_by_OBJ(nullptr, oid.get(), 0, value.get()));
}

Certificate certificate_of(EVP_PKEY* key, const Bytes& extension) {
  Certificate made(X509_new());
  need(made != nullptr, "make a certificate");
  X509_NAME* name = X509_get_subject_name(made.get());
  const auto* text = reinterpret_cast<const unsigned char*>("loam");
  const Extension signed_by = extension_of(extension);
  // No date: whose key it is does not expire, and clocks may be wrong (RFC 5280, 4.1.2.5).
  const bool is_made =
      signed_by && X509_set_version(made.get(), X509_VERSION_3) == 1 &&
      ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1) == 1 &&
      ASN1_TIME_set_string_X509(X509_getm_notBefore(made.get()), "19700101000000Z") == 1 &&
      ASN1_TIME_set_string_X509(X509_getm_notAfter(made.get()), "99991231235959Z") == 1 &&
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0) == 1 &&
      X509_set_issuer_name(made.get(), name) == 1 && X509_set_pubkey(made.get(), key) == 1 &&
      X509_add_ext(made.get(), signed_by.get(), -1) == 1 && X509_sign(made.get(), key, nullptr) > 0;
  need(is_made, "make a certificate");
  return made;
}

std::optional<Bytes> extension_in(X509* certificate) {
  const Oid oid(OBJ_txt2obj(extension_oid, 1));
  if (!oid) return std::nullopt;
  const int at = X509_get_ext_by_OBJ(certificate, oid.get(), -1);
  if (at < 0) return std::nullopt;
  const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(X509_get_ext(certificate, at));
  const auto size = static_cast<std::size_t>(ASN1_STRING_length(value));
  if (size != extension_octets) return std::nullopt;
  const auto* octets = reinterpret_cast<const std::byte*>(ASN1_STRING_get0_data(value));
  return Bytes(octets, octets + size);
}

}  // namespace

Tls::Tls(const PublicKey& key, const Sign& sign) {
  const PrivateKey own(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  need(own != nullptr, "make a key");
  const Signature signature = sign(certificate_domain, raw_key(own.get()));
  Bytes extension(key.bytes.begin(), key.bytes.end());
  extension.insert(extension.end(), signature.bytes.begin(), signature.bytes.end());
  const Certificate certificate = certificate_of(own.get(), extension);

  context_ = std::make_shared<boost::asio::ssl::context>(boost::asio::ssl::context::tls);
  SSL_CTX* context = context_->native_handle();
  // One conversation is one connection: nothing is resumed, so nothing of one is needed for
  // another.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  const bool is_ready = SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
                        SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
                        SSL_CTX_set_num_tickets(context, 0) == 1 &&
                        SSL_CTX_set1_sigalgs_list(context, "ed25519") == 1 &&
                        SSL_CTX_use_certificate(context, certificate.get()) == 1 &&
                        SSL_CTX_use_PrivateKey(context, own.get()) == 1;
  need(is_ready, "start");
}

std::optional<PublicKey> certified_key(SSL* connection) {
  const Certificate certificate(SSL_get1_peer_certificate(connection));
  if (!certificate) return std::nullopt;
  const Bytes own = raw_key(X509_get0_pubkey(certificate.get()));
  const auto extension = extension_in(certificate.get());
  if (own.empty() || !extension) return std::nullopt;
  const BytesView octets(*extension);
  const auto key = PublicKey::from(octets.first(sizeof(PublicKey)));
  const auto signature = Signature::from(octets.subspan(sizeof(PublicKey)));
  if (!key || !signature) return std::nullopt;
  try {
    check_public_key(*key);
  } catch (const Error&) {
    return std::nullopt;
  }
  if (!is_signed_by(*key, certificate_domain, own, *signature)) return std::nullopt;
  return key;
}

Bytes channel_of(SSL* connection) {
  static constexpr std::string_view label = "EXPORTER-Channel-Binding";
  Bytes octets(channel_octets);
  need(SSL_export_keying_material(connection, reinterpret_cast<unsigned char*>(octets.data()),
                                  octets.size(), label.data(), label.size(), nullptr, 0, 1) == 1,
       "name the connection");
  return octets;
}

}  // namespace loam
