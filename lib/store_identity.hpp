#pragma once

#include <optional>
#include <string>

#include "crdt/registry.hpp"

namespace loam {

/// What makes a shared environment somebody's.
struct StoreIdentity {
  std::string name;
  FederationId federation;
  std::optional<FederationRoot> root;  ///< of the federation; absent: of before there were registries that are signed
  std::optional<StoreId> store = {};   ///< of a new one; absent: any
};

}  // namespace loam
