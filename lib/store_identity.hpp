#pragma once

#include <string>

#include "crdt/id.hpp"

namespace loam {

/// What makes a shared environment somebody's.
struct StoreIdentity {
  std::string name;
  FederationId federation;
};

}  // namespace loam
