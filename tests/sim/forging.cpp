// A hostile member with a key of its own: it signs whatever it likes.
#include <algorithm>

#include "crdt/codec.hpp"
#include "tests/sim/world.hpp"

namespace loam::sim {
namespace {

enum class Deceit : std::uint8_t {
  none,
  backdated,
  other_actor,
  other_author,
  other_federation,
  other_segment,
  signature,
  superseding,
  frontier_to_come,
};
constexpr std::size_t deceits = static_cast<std::size_t>(Deceit::frontier_to_come) + 1;

Bytes forged_record(Kind kind, const std::string& segment, const Replica& liar, const InstanceEntry& entry, Gen& gen) {
  const Hlc stamp{gen.bits() >> 1};
  if (segment == registry_name) return encode(MapRecord{stamp, liar.instance.text(), encode(entry)});
  if (kind == Kind::map) return encode(MapRecord{stamp, "a", encode(Value(gen.coin()))});
  return encode(SetRecord{stamp, encode(Map{{"payload", Map{{"title", "forged"}}}, {"type", "lesson"}}), encode(Map{})});
}

}  // namespace

// One record as a member signs it who goes by no rules. What is sound about it is true from then on: whether it may
// be let in, the registry says.
void World::forge(Link& link, int side, std::uint64_t index, const std::string& segment, Gen& gen) {
  End& to = link.ends[static_cast<std::size_t>(1 - side)];
  const Replica& liar = *replicas_[link.ends[static_cast<std::size_t>(side)].replica];
  if (!to.is_up() || link.is_broken) return;
  const auto rights = rights_of(liar.shared);
  auto deceit = static_cast<Deceit>(gen.below(deceits));
  ActorClaim::Nonce nonce{};
  for (std::byte& octet : nonce) octet = static_cast<std::byte>(gen.below(256));
  ActorClaim claim(liar.instance, nonce);
  ActorId actor = loam::actor_of(claim, wall_ms(liar));
  if (deceit == Deceit::other_actor) {  // with a claim that is true of it
    auto at = claims_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(gen.index(claims_.size())));
    if (at->second.author == liar.instance) return;
    actor = at->first;
    claim = at->second;
  }
  if (deceit == Deceit::other_author) claim.author = replicas_[0]->instance;
  const SegmentModel& model = liar.shared.segments.at(segment);
  InstanceEntry entry = entry_of(liar);
  entry.role = InstanceRole::governor;
  const Bytes record = forged_record(model.kind, segment, liar, entry, gen);
  Batch batch{.federation = federation_of(*liar.root), .segment = segment, .claim = claim, .actor = actor,
              .first = deceit == Deceit::other_actor ? 1 + gen.below(40) : 1, .count = 1,
              .frontier = rights->oracle->frontier(), .root = {}, .superseded = {}};
  if (deceit == Deceit::backdated) {
    const auto& all = rights->oracle->all();
    batch.frontier.clear();
    for (const Dot& dot : all) {
      if (gen.one_in(3)) batch.frontier.push_back(dot);
    }
  }
  if (deceit == Deceit::frontier_to_come) {
    batch.frontier.push_back({batch.frontier.back().actor, batch.frontier.back().counter + 1 + gen.below(3)});
  }
  const bool is_governed = liar.table->find(segment).governed;
  if (deceit == Deceit::superseding) {
    for (const auto& [dot, live] : model.live) batch.superseded.insert(dot);
  }
  const ContentHash hash = content_hash(record);
  batch.root = tree_root(std::span(&hash, 1));
  Batch signed_as = batch;
  if (deceit == Deceit::other_federation) signed_as.federation.bytes[0] ^= std::byte{1};
  if (deceit == Deceit::other_segment) signed_as.segment = segment == "lessons_learned" ? "org_patterns" : "lessons_learned";
  Signature signature = liar.key.sign(batch_domain, encode(signed_as));
  if (deceit == Deceit::signature) signature.bytes[gen.index(64)] ^= static_cast<std::byte>(1U << gen.below(8));
  const Dot dot{actor, batch.first};
  const bool is_sound = deceit == Deceit::none || deceit == Deceit::backdated || deceit == Deceit::frontier_to_come ||
                        (deceit == Deceit::superseding && (is_governed || batch.superseded.empty()));
  DeltaFrame lie;
  lie.index = index;
  lie.delta.context.insert(dot);
  lie.delta.live.emplace(dot, record);
  lie.authors.emplace(actor, claim);
  lie.batches[actor].push_back({.first = batch.first, .count = 1, .here = RangeSet(Range{batch.first, batch.first}),
                                .frontier = batch.frontier, .superseded = batch.superseded, .signature = signature,
                                .rest = {}});
  trace_.met(is_sound ? "a hostile member signed what it liked" : "a hostile member forged a record");
  if (is_sound) {
    signed_[{segment, dot, hash}] = {liar.instance, batch.frontier, batch.superseded};
    truth_[segment].written.emplace(dot, record);
    honest_authors_.emplace(actor, liar.instance);
    claims_.emplace(actor, claim);
  }
  const Bytes frame = encode_frame(lie);
  trace_.octets(frame);
  to.inbox.push_back(frame);
}

}  // namespace loam::sim
