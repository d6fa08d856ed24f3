#include "lib/registry_gate.hpp"

#include "lib/membership.hpp"

namespace loam {

std::optional<std::string> RegistryGate::refusal(const PublicKey& key) const {
  const auto registry = store_.registry();
  const InstanceId id = instance_of(key);
  const auto entry = registry->find(id);
  const bool is_founder = key == store_.identity().root->founder;
  if (!entry && is_founder) return std::nullopt;  // nothing is here yet that could say otherwise
  if (!entry) return "instance " + id.text() + " is not in the registry";
  if (entry->status == InstanceStatus::active) return std::nullopt;
  return "instance " + entry->name + " is " + std::string(name_of(entry->status));
}

bool RegistryGate::may_read(const InstanceId& instance, const std::string& segment) const {
  return store_.registry()->may(instance, segment, Permissions::read);
}

Fingerprint RegistryGate::state() const {
  const SegmentNumber registry = store_.number(std::string(registry_name));
  return store_.read([&](const SharedReader& reader) { return reader.segment(registry).state.roots.live; });
}

bool RegistryGate::has_invitations() const {
  return store_.read([&](const SharedReader& reader) { return loam::has_invitations(reader, now_ms_()); });
}

}  // namespace loam
