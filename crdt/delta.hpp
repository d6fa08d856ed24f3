#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "crdt/actor_claim.hpp"
#include "crdt/context.hpp"
#include "crdt/fingerprint.hpp"
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

/// The content hashes of a delta's records, in the order of their dots: each is worked out once, for all who ask.
class RecordHashes {
 public:
  RecordHashes() = default;
  explicit RecordHashes(const std::map<Dot, Bytes>& live);

  /// Throws std::out_of_range for a dot that is not there.
  const ContentHash& at(const Dot& dot) const;

  /// The hashes of dots that follow one another. Throws as above.
  std::vector<ContentHash> at(const ActorId& actor, Range counters) const;

 private:
  using Entry = std::pair<Dot, ContentHash>;
  std::vector<Entry>::const_iterator find(const Dot& dot) const;

  std::vector<Entry> hashes_;
};

/// Throws Error(invalid) unless the invariant holds, every counter is between 1 and `counter_max`, and
/// every record is well formed for its kind.
void check_delta(Kind kind, const Delta& delta);

/// The greatest counter. Leaves room for `last + 1` without overflow.
inline constexpr std::uint64_t counter_max = (std::uint64_t{1} << 62) - 1;

}  // namespace loam
