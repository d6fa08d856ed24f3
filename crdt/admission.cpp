#include "crdt/admission.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "planted.hpp"

namespace loam {
namespace {

Admission refuse(ErrorCode code, std::string reason) { return {Verdict::refused, code, std::move(reason)}; }

// Each of which lets an instance write. Who may tighten or loosen a rule may write it.
std::span<const std::uint8_t> letters_of(const AdmissionPlace& place) {
  static constexpr std::array<std::uint8_t, 3> letters{Permissions::write, Permissions::tighten, Permissions::loosen};
  return std::span(letters).first(place.is_governed ? letters.size() : 1);
}

Admission decide(const Registry& registry, const AdmissionPlace& place, const Batch& batch) {
  const InstanceId& author = batch.claim.author;
  const auto may = may_write(registry, place, author, batch.frontier);
  if (!may) return {Verdict::parked, ErrorCode::untrusted, "assignments of the registry are missing"};
  if (*may || planted(Bug::right_not_asked)) return {};
  return refuse(ErrorCode::denied, "instance " + author.text() + " had no right to write " + place.segment);
}

// All but whether the records are those of the root.
Admission admit_header(const Registry& registry, const AdmissionPlace& place, const Batch& batch,
                       const Signature& signature, std::size_t records) {
  if (batch.federation != place.federation) return refuse(ErrorCode::untrusted, "of another federation");
  if (batch.segment != place.segment) return refuse(ErrorCode::untrusted, "of another segment");
  if (!place.is_governed && !batch.superseded.empty()) {
    return refuse(ErrorCode::invalid, "supersedes, in a segment that is not governed");
  }
  if (place.is_governed && records != batch.count) {
    return refuse(ErrorCode::invalid, "lacks records, in a segment of which none are removed");
  }
  const auto key = registry.key_of(batch.claim.author);
  // Whoever is not named here may be named by assignments that are still to come.
  if (!key) return {Verdict::parked, ErrorCode::untrusted, "instance " + batch.claim.author.text() + " is not known"};
  if (!planted(Bug::signature_not_verified) && !is_signed_by(*key, {encode(batch), signature})) {
    return refuse(ErrorCode::untrusted, "its signature is not its author's");
  }
  return decide(registry, place, batch);
}

RangeSet live_of(const Delta& delta, const ActorId& actor) {
  RangeSet live;
  const auto end = delta.live.upper_bound(Dot{actor, counter_max});
  for (auto at = delta.live.lower_bound(Dot{actor, 0}); at != end; ++at) live.insert(at->first.counter);
  return live;
}

// The assignments that a delta of the registry brings, as far as the holders of keys have signed them.
std::vector<RegistryAssignment> signed_assignments(const Registry& registry, const AdmissionPlace& place,
                                                   const Delta& delta, const Authors& authors,
                                                   const BatchParts& batches) {
  struct Candidate {
    RegistryAssignment assignment;
    SignedBatch sealed;
  };
  std::vector<Candidate> candidates;
  std::map<InstanceId, PublicKey> keys;
  for (const auto& [actor, parts] : batches) {
    const auto claim = authors.find(actor);
    if (claim == authors.end() || !is_true_of(actor, claim->second)) continue;
    for (const BatchPart& part : parts) {
      const TreePart records = records_of(actor, part, delta.live);
      const auto batch = batch_of(place.federation, place.segment, claim->second, actor, part, records);
      if (!batch) continue;
      for (const TreeLeaf& leaf : records.there) {
        const Dot dot{actor, part.first + leaf.place};
        auto made = assignment_of(dot, claim->second.author, delta.live.at(dot), part.frontier, part.superseded);
        if (!made) continue;
        keys.emplace(instance_of(made->entry.key), made->entry.key);
        candidates.push_back({std::move(*made), {encode(*batch), part.signature}});
      }
    }
  }
  std::vector<RegistryAssignment> assignments;
  for (Candidate& candidate : candidates) {
    auto key = registry.key_of(candidate.assignment.author);
    if (const auto named = keys.find(candidate.assignment.author); !key && named != keys.end()) key = named->second;
    if (key && is_signed_by(*key, candidate.sealed)) assignments.push_back(std::move(candidate.assignment));
  }
  return assignments;
}

std::span<const BatchPart> parts_of(const BatchParts& batches, const ActorId& actor) {
  const auto parts = batches.find(actor);
  return parts == batches.end() ? std::span<const BatchPart>() : std::span<const BatchPart>(parts->second);
}

void note(AdmittedDelta& result, const Admission& admission, std::uint64_t records) {
  (admission.verdict == Verdict::parked ? result.parked : result.refused) += records;
  if (result.reason.empty()) result.reason = admission.reason;
}

}  // namespace

std::optional<bool> may_write(const Registry& registry, const AdmissionPlace& place, const InstanceId& author,
                              const std::vector<Dot>& frontier) {
  if (place.segment == registry_name) return registry.was_governor(author, frontier);
  for (const std::uint8_t letter : letters_of(place)) {
    const auto might = planted(Bug::right_by_all_fences) ? registry.might_still(author, place.segment, letter, frontier)
                                                         : registry.might(author, place.segment, letter, frontier);
    if (might != false) return might;
  }
  return false;
}

bool is_void(const Registry& registry, const AdmissionPlace& place, const InstanceId& author, const Dot& dot,
             const std::vector<Dot>& frontier) {
  if (place.segment == registry_name) return !registry.is_in_force(dot);
  if (registry.is_fenced(author, place.segment, dot)) return true;
  if (!registry.has_void_assignments() || planted(Bug::void_grants_count)) return false;
  const auto letters = letters_of(place);
  return std::none_of(letters.begin(), letters.end(), [&](std::uint8_t letter) {
    return registry.might_still(author, place.segment, letter, frontier) == true;
  });
}

Admission admit(const Registry& registry, const AdmissionPlace& place, const SignedBatch& sealed,
                const TreePart& records) {
  try {
    const Batch batch = decode_batch(sealed.octets);
    if (!are_of(batch, records)) return refuse(ErrorCode::untrusted, "its records are not those that were signed");
    return admit_header(registry, place, batch, sealed.signature, records.there.size());
  } catch (const Error& error) {
    return refuse(error.code(), std::string(error.message()));
  }
}

AdmittedDelta admit(const Registry& known, const AdmissionPlace& place, const Delta& delta, const Authors& authors,
                    const BatchParts& batches, bool may_remove) {
  AdmittedDelta result;
  std::unique_ptr<Registry> together;
  if (place.segment == registry_name) together = known.with(signed_assignments(known, place, delta, authors, batches));
  const Registry& registry = together ? *together : known;
  for (const auto& [actor, covered] : delta.context) {
    const RangeSet live = live_of(delta, actor);
    const auto claim = authors.find(actor);
    if (claim == authors.end() || !is_true_of(actor, claim->second)) {
      note(result, refuse(ErrorCode::untrusted, "an actor that is not its author's"), live.count() + 1);
      continue;
    }
    RangeSet admitted;
    RangeSet left_out = live;  // what no batch brings was not signed
    for (const BatchPart& part : parts_of(batches, actor)) {
      const TreePart records = records_of(actor, part, delta.live);
      const auto batch = batch_of(place.federation, place.segment, claim->second, actor, part, records);
      const Admission admission =
          batch ? admit_header(registry, place, *batch, part.signature, records.there.size())
                : refuse(ErrorCode::untrusted, "its records are not those that were signed");
      left_out = left_out.minus(part.here);
      if (!admission) {
        note(result, admission, part.here.count());
        continue;
      }
      admitted.insert(part.here);
      result.batches[actor].push_back(part);
    }
    if (!left_out.empty()) note(result, refuse(ErrorCode::untrusted, "records that nobody signed"), left_out.count());
    RangeSet accounted = admitted;
    const RangeSet dead = covered.minus(live);
    const bool is_believed = may_remove || planted(Bug::removals_of_anybody);
    if (is_believed && !place.is_governed) {
      accounted.insert(dead);
    } else if (!dead.empty()) {
      note(result, refuse(ErrorCode::denied, "removals in " + place.segment + ", of a peer that may not remove there"),
           dead.count());
    }
    if (accounted.empty()) continue;
    result.delta.context.insert(actor, accounted);
    result.authors.emplace(actor, claim->second);
    for (const Range& range : admitted) {
      for (std::uint64_t counter = range.first; counter <= range.last; ++counter) {
        result.delta.live.emplace_hint(result.delta.live.end(), *delta.live.find({actor, counter}));
      }
    }
  }
  return result;
}

}  // namespace loam
