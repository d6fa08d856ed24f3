#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "crdt/registry.hpp"
#include "lib/options.hpp"
#include "transport/frame.hpp"

namespace loam {

/// What an instance has to know to come into a federation: whom to believe, and the registry as somebody has it.
struct FederationText {
  FederationRoot root;
  std::vector<DeltaFrame> registry;  ///< chunks of the registry; none: it is still to come
};

/// Two lines: what it is, and base64.
std::string text_of(const FederationText& federation);

/// Throws Error(invalid) for a text that is none, Error(untrusted) for a founder's key that is not sound, Error(limit).
FederationText parse_federation_text(std::string_view text);

}  // namespace loam
