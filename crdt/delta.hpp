#pragma once

#include <map>
#include <string>

#include "crdt/actor_claim.hpp"
#include "crdt/context.hpp"
#include "crdt/record.hpp"

namespace loam {

/// The only thing that changes a shared segment: the live records of exactly the dots that `context`
/// accounts for. A dot of the context that is not in `live` is dead. Invariant: every dot of `live`
/// is in `context`.
struct Delta {
  Context context;
  std::map<Dot, Bytes> live;  ///< encoded records

  bool operator==(const Delta&) const = default;
  bool empty() const noexcept { return context.empty(); }
};

/// Which instance each actor of a change belongs to, and what proves it.
using Authors = std::map<ActorId, ActorClaim>;

/// Throws Error(invalid) unless the invariant holds, every counter is between 1 and `counter_max`, and
/// every record is well formed for its kind.
void check_delta(Kind kind, const Delta& delta);

/// The greatest counter. Leaves room for `last + 1` without overflow.
inline constexpr std::uint64_t counter_max = (std::uint64_t{1} << 62) - 1;

}  // namespace loam
