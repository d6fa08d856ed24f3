#pragma once

#include "crdt/batch.hpp"
#include "crdt/error.hpp"
#include "crdt/registry.hpp"

namespace loam {

/// What becomes of a batch that a peer, an import, a restore or this instance itself brings.
enum class Verdict : std::uint8_t {
  admitted,
  parked,   ///< it rests on assignments of the registry that are not here yet; ask again when there are more
  refused,  ///< never, by anybody who knows what is known here
};

struct Admission {
  Verdict verdict = Verdict::admitted;
  ErrorCode code = ErrorCode::untrusted;  ///< of a refusal
  std::string reason;                     ///< one line, for whoever looks

  explicit operator bool() const noexcept { return verdict == Verdict::admitted; }
};

/// Where a batch is to be admitted.
struct AdmissionPlace {
  FederationId federation;
  std::string segment;
  bool is_governed = false;
};

/// Whether a batch with these records may be there: a pure function of what is signed and of the registry. Neither
/// the time, nor the order in which things came, nor who brings it matters. A fence does not refuse: it hides, so
/// that replicas that learn of it sooner or later hold the same. In a governed segment `write` stands for any change;
/// what it is worth the fold decides. Of the registry itself only governors' batches are admitted.
///
/// Verifies a signature: 60 µs or so. Any thread.
Admission admit(const Registry& registry, const AdmissionPlace& place, const SignedBatch& batch,
                const BatchRecords& records);

}  // namespace loam
