#pragma once

#include <string>

#include "lib/shared_store.hpp"

namespace loam::test {

/// Walks every table of the shared environment in one snapshot and recomputes what is derived: the
/// indexes from the records, counts and fingerprints from the dots, roots from the contexts.
/// Returns the first disagreement; empty: there is none.
std::string walk(const SharedStore& store);

}  // namespace loam::test
