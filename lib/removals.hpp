#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/core.hpp"
#include "transport/action.hpp"

namespace loam {

/// The job that keeps aside what a peer has removed, as its silence says. The store outlives it.
Job hold_job(const SharedStore& store, const StoreId& peer, Hold removal);

/// What waits to be confirmed, oldest first.
std::vector<HeldRemoval> held_removals(const Core& core);

/// The job that carries out what waits of a peer: by its name, or by its store's id. Sets `removed` to how
/// many records died. It throws Error(not_found) when nothing waits of that peer.
Job confirm_job(const std::string& peer, std::shared_ptr<std::uint64_t> removed);

/// Carries out what waits of a peer: by its name, or by its store's id. Returns how many records died.
/// Throws Error(not_found) when nothing waits of that peer.
std::uint64_t confirm_removals(Core& core, std::string_view peer);

}  // namespace loam
