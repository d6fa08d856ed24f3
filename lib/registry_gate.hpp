#pragma once

#include <functional>

#include "lib/shared_store.hpp"
#include "transport/session.hpp"

namespace loam {

/// Lets in whom the registry names, and lets them read what it says.
class RegistryGate final : public Gatekeeper {
 public:
  /// The store, which has a root, outlives it.
  RegistryGate(const SharedStore& store, std::function<std::int64_t()> now_ms)
      : store_(store), now_ms_(std::move(now_ms)) {}

  Signature sign(std::string_view domain, BytesView message) const override {
    return store_.signing_key().sign(domain, message);
  }
  std::optional<std::string> refusal(const PublicKey& key) const override;
  bool may_read(const InstanceId& instance, const std::string& segment) const override;
  Fingerprint state() const override;
  bool has_invitations() const override;

 private:
  const SharedStore& store_;
  std::function<std::int64_t()> now_ms_;
};

}  // namespace loam
