#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/memory.hpp"

namespace loam {

struct Core;

/// Writes what lives in another instance and not in this one as its own, in groups: what was removed here comes back
/// under new dots. A key that has a value here keeps it. `segments`: none means all shared ones that are not governed.
/// What could not be read there is told as refused, without a line. `progress` is told how much was looked at; may be
/// empty. Throws Error(unknown_segment), Error(denied) for a private segment and for the registry, and as writes do.
ImportReport readd(Core& into, const Core& from, const std::vector<std::string>& segments,
                   const std::function<void(std::uint64_t)>& progress);

}  // namespace loam
