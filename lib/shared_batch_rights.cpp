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
  return registry_.get();
}

void SharedBatch::require_right(SegmentNumber segment) {
  const Registry* registry = this->registry();
  if (registry == nullptr) return;
  const AdmissionPlace place = store_.place(segment);
  if (may_write(*registry, place, store_.instance(), frontier_) == true) return;
  const auto entry = registry->find(store_.instance());
  const std::string who = "instance " + store_.identity().name;
  if (!entry) throw Error(ErrorCode::denied, who + " is not in its federation yet: a governor has to admit it");
  if (entry->status != InstanceStatus::active) {
    throw Error(ErrorCode::denied, who + " is " + std::string(name_of(entry->status)) + " in its federation");
  }
  throw Error(ErrorCode::denied, who + " has no right to write " + place.segment);
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
  change(segment, delta, {});
  batches_.close(segment, find_actor(dot.actor).value());
  return had_value;
}

}  // namespace loam
