#pragma once

#include "crdt/batch.hpp"
#include "crdt/delta.hpp"
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
/// the time, nor the order in which things came, nor who brings it matters. A fence that the author had not seen does
/// not refuse: it hides (`is_void`), so that replicas that learn of it sooner or later hold the same. In a governed segment `write` stands for any change;
/// what it is worth the fold decides. Of the registry itself only governors' batches are admitted.
///
/// Verifies a signature: 60 µs or so. Any thread.
Admission admit(const Registry& registry, const AdmissionPlace& place, const SignedBatch& batch,
                const TreePart& records);

/// Whether an author who has seen that much of the registry may write there. Absent: not all of it is here.
std::optional<bool> may_write(const Registry& registry, const AdmissionPlace& place, const InstanceId& author,
                              const std::vector<Dot>& frontier);

/// Whether a record that was admitted counts no more: a fence makes it void, or all that gave its author the right.
/// Of the registry: it is not in force.
bool is_void(const Registry& registry, const AdmissionPlace& place, const InstanceId& author, const Dot& dot,
             const std::vector<Dot>& frontier);

/// What follows of a delta's batches from what is signed alone. Made by whoever has the time: it takes most of what
/// admission takes, and nothing that becomes known later changes it.
struct CheckedDelta {
  struct Part {
    TreePart records;
    std::optional<Batch> batch;    ///< what its author must have signed; absent: records and rest do not fit
    std::optional<PublicKey> key;  ///< its author's, as far as it was known
    bool is_signed = false;        ///< by the holder of that key
  };
  RecordHashes hashes;
  std::map<ActorId, std::vector<Part>> parts;  ///< as they stand in the delta's batches
};

/// `registry` says whose keys are known; null: nobody's signature counts. Verifies a signature for each batch. Any thread.
CheckedDelta check(const Registry* registry, const AdmissionPlace& place, const Delta& delta, const Authors& authors,
                   const BatchParts& batches);

/// What of a delta is admitted, with exactly the context that is left. Counted are records, removals that are not
/// believed, and actors that are not their author's.
struct AdmittedDelta {
  bool is_whole = false;  ///< all of it: then delta and batches are empty
  Delta delta;
  Authors authors;        ///< of what is admitted
  BatchParts batches;
  std::uint64_t refused = 0;
  std::uint64_t parked = 0;
  std::string reason;  ///< of the first that was refused or parked
};

/// Of the registry itself: what comes together may rest on one another, in whatever order it is.
///
/// Records come in by their batches. That dots are dead is believed of a peer who `may_remove`, and never in a
/// governed segment: what is not believed is left out of the context, so that it may still come.
AdmittedDelta admit(const Registry& registry, const AdmissionPlace& place, const Delta& delta,
                    const Authors& authors, const BatchParts& batches, const CheckedDelta& checked, bool may_remove);

}  // namespace loam
