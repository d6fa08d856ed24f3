// Rights: what this instance may write, and what of others comes in.
#include <algorithm>

#include "crdt/error.hpp"
#include "lib/governed.hpp"
#include "lib/shared_batch.hpp"
#include "lib/shared_store.hpp"

namespace loam {

// The registry as this transaction sees it. Null: the federation has none that is signed.
const Registry* SharedBatch::registry() {
  if (!store_.identity().root) return nullptr;
  const Fingerprint& live = segment(store_.number(std::string(registry_name))).row.state.roots.live;
  if (registry_ && live == registry_live_) return registry_.get();
  registry_ = store_.registry(reader_, live);
  registry_live_ = live;
  frontier_ = registry_->frontier();
  if (frontier_.size() > batch_frontier_max) frontier_.resize(batch_frontier_max);  // it had seen less, then
  std::vector<std::pair<ActorIndex, std::uint64_t>> indexed;
  for (const Dot& dot : frontier_) indexed.emplace_back(find_actor(dot.actor).value(), dot.counter);
  batches_.set_frontier(std::move(indexed));
  may_write_.clear();
  return registry_.get();
}

Fence SharedBatch::fence_of(const InstanceId& instance) {
  Fence fence;
  lmdb::Cursor cursor = reader_.txn().cursor(table::actors);
  for (bool on = cursor.first(); on; on = cursor.next()) {
    const ActorRow row = decode_actor_row(cursor.value());
    if (row.author != instance) continue;
    const ActorIndex index = load_u32(cursor.key().data());
    for (const SegmentNumber number : store_.numbers()) {
      const RangeSet& covered = context(number, index, row.id).row.covered;
      if (!covered.empty()) fence[store_.name(number)].insert(row.id, covered);
    }
  }
  return fence;
}

void SharedBatch::require_right(SegmentNumber segment) {
  const Registry* registry = this->registry();
  if (registry == nullptr) return;
  if (may_write_.contains(segment)) return;
  const AdmissionPlace place = store_.place(segment);
  if (may_write(*registry, place, store_.instance(), frontier_) == true) {
    may_write_.insert(segment);
    return;
  }
  const auto entry = registry->find(store_.instance());
  const std::string who = "instance " + store_.identity().name;
  if (!entry) throw Error(ErrorCode::denied, who + " is not in its federation yet: a governor has to admit it");
  if (entry->status != InstanceStatus::active) {
    throw Error(ErrorCode::denied, who + " is " + std::string(name_of(entry->status)) + " in its federation");
  }
  throw Error(ErrorCode::denied, who + " has no right to write " + place.segment);
}

Applied SharedBatch::join(SegmentNumber segment, const Delta& delta, const Authors& authors,
                          const BatchParts& batches, const StoreId& origin, const InstanceId& peer) {
  const CheckedDelta checked = check(registry(), store_.place(segment), delta, authors, batches);
  return join(segment, delta, authors, batches, checked, origin, peer);
}

Applied SharedBatch::join(SegmentNumber segment, const Delta& delta, const Authors& authors, const BatchParts& batches,
                          const CheckedDelta& checked, const StoreId& origin, const InstanceId& peer) {
  const Registry* registry = this->registry();
  if (registry == nullptr) return join_admitted(segment, delta, authors, batches, checked, origin);
  const AdmissionPlace place = store_.place(segment);
  const bool may_remove = registry->may(peer, place.segment, Permissions::write);
  const AdmittedDelta admitted =
      admit(*registry, place, delta, with_known(delta, authors), batches, checked, may_remove);
  if (admitted.is_whole) return join_admitted(segment, delta, admitted.authors, batches, checked, origin);
  left_out_.refused += admitted.refused;
  left_out_.parked += admitted.parked;
  if (left_out_.reason.empty()) left_out_.reason = admitted.reason;
  return join_admitted(segment, admitted.delta, admitted.authors, admitted.batches, checked, origin);
}

// What is dropped because it does not live at a peer comes without claims: the actors are known.
Authors SharedBatch::with_known(const Delta& delta, const Authors& authors) const {
  Authors all = authors;
  for (const auto& [actor, counters] : delta.context) {
    const auto index = all.contains(actor) ? std::nullopt : find_actor(actor);
    if (!index) continue;
    const ActorRow row = reader_.actor(*index);
    if (row.nonce) all.emplace(actor, ActorClaim(row.author, *row.nonce));
  }
  return all;
}

// What a part names must have a number here: an assignment may come before the one that it supersedes, and an actor
// whose author is not known yet gets him when something of it comes.
void SharedBatch::number_actors_of(const BatchPart& part) {
  for (const Dot& dot : part.frontier) (void)actor_index({dot.actor, {}, {}});
  for (const auto& [actor, counters] : part.superseded) (void)actor_index({actor, {}, {}});
}

// Enters the batches that come with a delta.
BatchPlaces SharedBatch::bring(SegmentNumber segment, const BatchParts& batches, const RecordHashes& hashes) {
  BatchPlaces places;
  for (const auto& [actor, parts] : batches) {
    const ActorIndex index = find_actor(actor).value();
    for (const BatchPart& part : parts) {
      number_actors_of(part);
      const TreePart records = records_of(actor, part, hashes);
      const auto variant = batches_.bring(segment, index, part, records);
      if (!variant) continue;
      for (const TreeLeaf& leaf : records.there) {
        places[{actor, part.first + leaf.place}] = {static_cast<std::uint8_t>(leaf.place), *variant};
      }
    }
  }
  return places;
}

// An assignment of a governed segment: nothing goes, what it supersedes stands in what is signed.
bool SharedBatch::put_governed(SegmentNumber segment, std::string_view key, const std::optional<Bytes>& value) {
  const std::vector<StoredDot> all = reader_.dots_of(segment, key);
  const std::vector<StoredDot> standing = standing_dots(reader_, *registry(), store_.place(segment), segment, all);
  const bool had_value = !standing.empty() && (standing.back().is_damaged ||
                                               decode_map_record(standing.back().record).value.has_value());
  if (!value && !had_value) throw Error(ErrorCode::not_found, "key " + std::string(key));
  Hlc after;
  Context superseded;
  for (const StoredDot& observed : all) {
    after = std::max(after, observed.stamp);
    superseded.insert(observed.dot);
  }
  std::size_t ranges = 0;
  for (const auto& [actor, counters] : superseded) ranges += counters.ranges().size();
  if (ranges > batch_superseded_max) {  // those that stand supersede the others
    superseded = {};
    for (const StoredDot& observed : standing) superseded.insert(observed.dot);
  }
  std::vector<std::pair<ActorIndex, RangeSet>> indexed;
  for (const auto& [actor, counters] : superseded) indexed.emplace_back(find_actor(actor).value(), counters);
  batches_.supersede(std::move(indexed));
  const Dot dot = next_dot(segment);
  Delta delta;
  delta.context.insert(dot);
  delta.live.emplace(dot, encode(MapRecord{stamp(after), std::string(key), value}));
  change(segment, delta, RecordHashes(delta.live), {});
  batches_.close(segment, find_actor(dot.actor).value());
  return had_value;
}

}  // namespace loam
