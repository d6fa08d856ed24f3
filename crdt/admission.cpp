#include "crdt/admission.hpp"

namespace loam {
namespace {

Admission refuse(ErrorCode code, std::string reason) { return {Verdict::refused, code, std::move(reason)}; }

Admission decide(const Registry& registry, const AdmissionPlace& place, const Batch& batch) {
  const InstanceId& author = batch.claim.author;
  const bool is_registry = place.segment == registry_name;
  auto may = is_registry ? registry.was_governor(author, batch.frontier)
                         : registry.might(author, place.segment, Permissions::write, batch.frontier);
  if (place.is_governed && !is_registry && may == false) {
    // Who may tighten or loosen a rule may write it.
    for (const std::uint8_t letter : {Permissions::tighten, Permissions::loosen}) {
      if (registry.might(author, place.segment, letter, batch.frontier) == true) may = true;
    }
  }
  if (!may) return {Verdict::parked, ErrorCode::untrusted, "assignments of the registry are missing"};
  if (*may) return {};
  return refuse(ErrorCode::denied, "instance " + author.text() + " had no right to write " + place.segment);
}

}  // namespace

Admission admit(const Registry& registry, const AdmissionPlace& place, const SignedBatch& sealed,
                const BatchRecords& records) {
  Batch batch;
  try {
    batch = decode_batch(sealed.octets);
  } catch (const Error& error) {
    return refuse(error.code(), std::string(error.message()));
  }
  if (batch.federation != place.federation) return refuse(ErrorCode::untrusted, "of another federation");
  if (batch.segment != place.segment) return refuse(ErrorCode::untrusted, "of another segment");
  if (!place.is_governed && !batch.superseded.empty()) {
    return refuse(ErrorCode::invalid, "supersedes, in a segment that is not governed");
  }
  if (place.is_governed && records.live.size() != batch.count) {
    return refuse(ErrorCode::invalid, "lacks records, in a segment of which none are removed");
  }
  if (!are_of(batch, records)) return refuse(ErrorCode::untrusted, "its records are not those that were signed");
  const auto key = registry.key_of(batch.claim.author);
  // Whoever is not named here may be named by assignments that are still to come.
  if (!key) return {Verdict::parked, ErrorCode::untrusted, "instance " + batch.claim.author.text() + " is not known"};
  if (!is_signed_by(*key, sealed)) return refuse(ErrorCode::untrusted, "its signature is not its author's");
  return decide(registry, place, batch);
}

}  // namespace loam
