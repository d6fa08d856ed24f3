#pragma once

#include <functional>
#include <string>

#include "lib/private_store.hpp"
#include "lib/shared_store.hpp"

namespace loam {

/// Takes what a walk finds: the table, and what is wrong.
using WalkSink = std::function<void(const std::string& table, const std::string& text)>;

/// Recomputes in one snapshot everything of the shared environment that is derived: the indexes
/// from the records, counts and fingerprints from the live dots, roots from the contexts; and looks
/// whether journal, packets, positions and what is held make sense. Needs memory for a row per
/// actor and segment.
void walk_shared(const SharedStore& store, const WalkSink& found);

/// The same of the private environment.
void walk_private(const PrivateStore& store, const WalkSink& found);

}  // namespace loam
