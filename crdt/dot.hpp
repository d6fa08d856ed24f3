#pragma once

#include "crdt/id.hpp"

namespace loam {

/// The identity of one write in one shared segment. Counters of an actor are contiguous from 1.
struct Dot {
  ActorId actor;
  std::uint64_t counter = 0;

  auto operator<=>(const Dot&) const = default;
};

}  // namespace loam
