#include "lib/router.hpp"

#include "crdt/error.hpp"

namespace loam {

Operation operation_of(std::string_view text) {
  if (text == "read") return Operation::read;
  if (text == "write") return Operation::write;
  if (text == "remove") return Operation::remove;
  throw Error(ErrorCode::invalid, "operation: not read, write or remove");
}

std::string_view target_name(TargetKind kind) noexcept {
  return kind == TargetKind::shared_replica ? "shared_replica" : "private_store";
}

TargetBackend route_memory_operation(const SegmentTable& segments, Operation operation,
                                     std::string_view segment, const RouteParties& parties) {
  const Segment& found = segments.find(segment);
  const bool is_owner = parties.caller == parties.owner;
  if (found.scope == Scope::priv) {
    // The same words whatever the store holds.
    if (!is_owner) {
      throw Error(ErrorCode::denied,
                  "segment " + found.name + ": private, for its own instance only");
    }
    return {TargetKind::private_store, found.name, parties.owner};
  }
  const RouteRights rights = parties.rights.value_or(RouteRights{true, true});
  if (operation == Operation::read && !is_owner && !rights.read) {
    throw Error(ErrorCode::denied, "instance " + parties.caller + " has no right to read " + found.name);
  }
  if (operation != Operation::read && is_owner && !rights.write) {
    throw Error(ErrorCode::denied, "instance " + parties.caller + " has no right to write " + found.name);
  }
  if (operation != Operation::read && !is_owner) {
    throw Error(
        ErrorCode::denied,
        "segment " + found.name + ": other instances read here and write to their own replica");
  }
  return {TargetKind::shared_replica, found.name, parties.owner};
}

}  // namespace loam
