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

// Looks again only where the key was not known when it was checked.
bool is_signed(const PublicKey& key, const Batch& batch, const Signature& signature, const CheckedDelta::Part& checked) {
  return checked.key == key ? checked.is_signed : is_signed_by(key, {encode(batch), signature});
}

// All but whether the records are those of the root.
Admission admit_header(const Registry& registry, const AdmissionPlace& place, const Batch& batch,
                       const Signature& signature, std::size_t records, const CheckedDelta::Part& checked = {}) {
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
  if (!is_signed(*key, batch, signature, checked) && !planted(Bug::signature_not_verified)) {
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
std::vector<RegistryAssignment> signed_assignments(const Registry& registry, const Delta& delta,
                                                   const Authors& authors, const BatchParts& batches,
                                                   const CheckedDelta& checked) {
  struct Candidate {
    RegistryAssignment assignment;
    const BatchPart& part;
    const CheckedDelta::Part& checked;
  };
  std::vector<Candidate> candidates;
  std::map<InstanceId, PublicKey> keys;
  for (const auto& [actor, parts] : batches) {
    const auto claim = authors.find(actor);
    if (claim == authors.end() || !is_true_of(actor, claim->second)) continue;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const BatchPart& part = parts[i];
      const CheckedDelta::Part& known = checked.parts.at(actor)[i];
      if (!known.batch) continue;
      for (const TreeLeaf& leaf : known.records.there) {
        const Dot dot{actor, part.first + leaf.place};
        auto made = assignment_of(dot, claim->second.author, delta.live.at(dot), part.frontier, part.superseded);
        if (!made) continue;
        keys.emplace(instance_of(made->entry.key), made->entry.key);
        candidates.push_back({std::move(*made), part, known});
      }
    }
  }
  std::vector<RegistryAssignment> assignments;
  for (Candidate& candidate : candidates) {
    auto key = registry.key_of(candidate.assignment.author);
    if (const auto named = keys.find(candidate.assignment.author); !key && named != keys.end()) key = named->second;
    const auto& [assignment, part, of] = candidate;
    if (key && is_signed(*key, *of.batch, part.signature, of)) assignments.push_back(assignment);
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
    const auto might = registry.might(author, place.segment, letter, frontier);
    if (might != false) return might;
  }
  return false;
}

bool is_void(const Registry& registry, const AdmissionPlace& place, const InstanceId& author, const Dot& dot,
             const std::vector<Dot>& frontier) {
  if (place.segment == registry_name) return !registry.is_in_force(dot);
  if (registry.is_fenced(author, place.segment, dot)) return true;
  if (!registry.has_void_assignments()) return false;
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

CheckedDelta check(const Registry* registry, const AdmissionPlace& place, const Delta& delta, const Authors& authors,
                   const BatchParts& batches) {
  CheckedDelta checked{RecordHashes(delta.live), {}};
  for (const auto& [actor, parts] : batches) {
    const auto claim = authors.find(actor);
    const bool is_claimed = claim != authors.end() && is_true_of(actor, claim->second);
    const auto key = is_claimed && registry != nullptr ? registry->key_of(claim->second.author) : std::nullopt;
    std::vector<CheckedDelta::Part>& known = checked.parts[actor];
    known.reserve(parts.size());
    for (const BatchPart& part : parts) {
      CheckedDelta::Part& made = known.emplace_back();
      made.records = records_of(actor, part, checked.hashes);
      if (!is_claimed || registry == nullptr) continue;
      made.batch = batch_of(place.federation, place.segment, claim->second, actor, part, made.records);
      if (!made.batch || !key) continue;
      made.key = key;
      made.is_signed = is_signed_by(*key, {encode(*made.batch), part.signature});
    }
  }
  return checked;
}

AdmittedDelta admit(const Registry& known, const AdmissionPlace& place, const Delta& delta, const Authors& authors,
                    const BatchParts& batches, const CheckedDelta& checked, bool may_remove) {
  AdmittedDelta result;
  std::unique_ptr<Registry> together;
  if (place.segment == registry_name) together = known.with(signed_assignments(known, delta, authors, batches, checked));
  const Registry& registry = together ? *together : known;
  Context records;  // that are admitted
  for (const auto& [actor, covered] : delta.context) {
    const RangeSet live = live_of(delta, actor);
    const auto claim = authors.find(actor);
    if (claim == authors.end() || !is_true_of(actor, claim->second)) {
      note(result, refuse(ErrorCode::untrusted, "an actor that is not its author's"), live.count() + 1);
      continue;
    }
    RangeSet admitted;
    RangeSet left_out = live;  // what no batch brings was not signed
    const std::span<const BatchPart> parts = parts_of(batches, actor);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const BatchPart& part = parts[i];
      const CheckedDelta::Part& made = checked.parts.at(actor)[i];
      const Admission admission =
          made.batch ? admit_header(registry, place, *made.batch, part.signature, made.records.there.size(), made)
                     : refuse(ErrorCode::untrusted, "its records are not those that were signed");
      left_out = left_out.minus(part.here);
      if (admission) {
        admitted.insert(part.here);
      } else {
        note(result, admission, part.here.count());
      }
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
    if (!accounted.empty()) result.delta.context.insert(actor, accounted);
    if (!admitted.empty()) records.insert(actor, admitted);
  }
  for (const auto& [actor, accounted] : result.delta.context) result.authors.emplace(actor, authors.at(actor));
  if (result.refused + result.parked == 0) {
    result.is_whole = true;
    result.delta = {};
    return result;
  }
  for (const auto& [actor, admitted] : records) {
    for (const BatchPart& part : parts_of(batches, actor)) {
      if (admitted.contains(part.here)) result.batches[actor].push_back(part);
    }
    for (const Range& range : admitted) {
      for (std::uint64_t counter = range.first; counter <= range.last; ++counter) {
        result.delta.live.emplace_hint(result.delta.live.end(), *delta.live.find({actor, counter}));
      }
    }
  }
  return result;
}

}  // namespace loam
