#include "lib/registry_gate.hpp"

#include "lib/membership.hpp"

namespace loam {

std::optional<std::string> RegistryGate::refusal(const PublicKey& key) const {
  const auto registry = core_.shared.registry();
  const InstanceId id = instance_of(key);
  const auto entry = registry->find(id);
  const bool is_founder = key == core_.shared.identity().root->founder;
  if (!entry && is_founder) return std::nullopt;  // nothing is here yet that could say otherwise
  if (!entry) return "instance " + id.text() + " is not in the registry";
  if (entry->status == InstanceStatus::active) return std::nullopt;
  return "instance " + entry->name + " is " + std::string(name_of(entry->status));
}

bool RegistryGate::may_read(const InstanceId& instance, const std::string& segment) const {
  return core_.shared.registry()->may(instance, segment, Permissions::read);
}

Fingerprint RegistryGate::state() const {
  const SegmentNumber registry = core_.shared.number(std::string(registry_name));
  return core_.shared.read([&](const SharedReader& reader) { return reader.segment(registry).state.roots.live; });
}

bool RegistryGate::has_invitations() const {
  return core_.shared.read([&](const SharedReader& reader) { return loam::has_invitations(reader, core_.now_ms()); });
}

}  // namespace loam
