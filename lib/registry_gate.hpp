#pragma once

#include "lib/core.hpp"
#include "transport/session.hpp"

namespace loam {

/// Lets in whom the registry names, and lets them read what it says.
class RegistryGate final : public Gatekeeper {
 public:
  /// The core outlives it.
  explicit RegistryGate(const Core& core) : core_(core) {}

  Signature sign(std::string_view domain, BytesView message) const override {
    return core_.key.signing.sign(domain, message);
  }
  std::optional<std::string> refusal(const PublicKey& key) const override;
  bool may_read(const InstanceId& instance, const std::string& segment) const override;
  Fingerprint state() const override;
  bool has_invitations() const override;

 private:
  const Core& core_;
};

}  // namespace loam
