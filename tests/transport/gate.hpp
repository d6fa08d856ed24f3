#pragma once

#include <set>

#include "tests/crdt/signing.hpp"
#include "transport/session.hpp"
#include "transport/tls.hpp"

namespace test {

/// Lets in whom it is told to.
class Gate final : public loam::Gatekeeper {
 public:
  explicit Gate(std::uint64_t key) : key_(key) {}

  std::set<loam::PublicKey> members;
  std::set<std::string> hidden;
  bool invites = false;
  std::uint64_t changes = 0;

  const SigningKey& key() const { return key_; }
  loam::Signature sign(std::string_view domain, loam::BytesView message) const override {
    return key_.sign(domain, message);
  }
  std::optional<std::string> refusal(const loam::PublicKey& key) const override {
    if (members.contains(key)) return std::nullopt;
    return "not a member";
  }
  bool may_read(const loam::InstanceId&, const std::string& segment) const override {
    return !hidden.contains(segment);
  }
  loam::Fingerprint state() const override { return {0, changes}; }
  bool has_invitations() const override { return invites; }

 private:
  SigningKey key_;
};

/// A certificate of its key.
inline std::shared_ptr<const loam::Tls> tls_of(const Gate& gate) {
  return std::make_shared<const loam::Tls>(
      gate.key().key(), [&](std::string_view domain, loam::BytesView message) { return gate.sign(domain, message); });
}

}  // namespace test
