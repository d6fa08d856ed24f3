#include "lib/batch_rows.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "crdt/batch.hpp"
#include "crdt/error.hpp"
#include "lib/shared_store.hpp"

namespace loam {
namespace {

[[noreturn]] void damaged_batch(const char* why) {
  throw Error(ErrorCode::damaged, std::string("table dot: a batch ") + why);
}

// What both the row and the records say of a batch, but for the root.
Batch batch_head(const SharedReader& reader, const StoreIdentity& identity, SegmentNumber segment,
                 ActorIndex actor, std::uint64_t first, const BatchRow& row) {
  const ActorRow by = reader.actor(actor);
  if (!by.nonce) damaged_batch("is of an actor without a claim");
  Batch batch{.federation = identity.federation, .segment = reader.segment(segment).name,
              .claim = ActorClaim(by.author, *by.nonce), .actor = by.id, .first = first, .count = row.count,
              .frontier = {}, .root = {}, .superseded = {}};
  for (const auto& [index, counter] : row.frontier) batch.frontier.push_back({reader.actor(index).id, counter});
  for (const auto& [index, counters] : row.superseded) batch.superseded.insert(reader.actor(index).id, counters);
  return batch;
}

}  // namespace

std::vector<TreeLeaf> live_leaves(const SharedReader& reader, SegmentNumber segment, ActorIndex actor,
                                  std::uint64_t first, std::uint8_t variant, std::uint16_t count) {
  std::vector<TreeLeaf> leaves;
  if (count == 0) return leaves;
  for (const auto& [counter, row] : reader.live_in(segment, actor, {first, first + count - 1})) {
    const bool is_of_it = row.batch == BatchPlace{static_cast<std::uint8_t>(counter - first), variant};
    if (is_of_it) leaves.push_back({row.batch.place, row.content});
  }
  return leaves;
}

std::optional<Batch> batch_of(const SharedReader& reader, const StoreIdentity& identity, SegmentNumber segment,
                              ActorIndex actor, std::uint64_t first, std::uint8_t variant, const BatchRow& row) {
  const auto leaves = live_leaves(reader, segment, actor, first, variant, row.count);
  const auto root = tree_root(row.count, leaves, row.rest);
  if (!root) return std::nullopt;
  Batch batch = batch_head(reader, identity, segment, actor, first, row);
  batch.root = *root;
  return batch;
}

namespace {

// All that a row says of its batch, for records that are still to be named.
BatchPart part_without_records(const SharedReader& reader, std::uint64_t first, BatchRow row) {
  BatchPart part{.first = first, .count = row.count, .here = {}, .frontier = {}, .superseded = {},
                 .signature = row.signature, .rest = std::move(row.rest)};
  for (const auto& [index, counter] : row.frontier) part.frontier.push_back({reader.actor(index).id, counter});
  for (const auto& [index, counters] : row.superseded) part.superseded.insert(reader.actor(index).id, counters);
  return part;
}

}  // namespace

std::optional<BatchPart> SingleParts::part_of(const SharedReader& reader, SegmentNumber segment, ActorIndex actor,
                                              std::uint64_t counter, const BatchPlace& at) {
  if (!at.is_signed()) return std::nullopt;
  const std::uint64_t first = counter - at.place;
  const auto octets = reader.txn().get(table::dot, batch_key(segment, actor, first, at.variant));
  if (!octets) return std::nullopt;
  BatchPart part = part_without_records(reader, first, decode_batch_row(*octets));
  part.here.insert(counter);
  const Key key{segment, actor, first, at.variant};
  auto kept = kept_.find(key);
  if (kept == kept_.end() || kept->second.signature != part.signature) {
    TreePart tree{live_leaves(reader, segment, actor, first, at.variant, static_cast<std::uint16_t>(part.count)),
                  std::move(part.rest)};
    auto paths = TreePaths::of(part.count, tree);
    if (!paths) return std::nullopt;
    if (kept_.size() >= batches_kept_max) kept_.clear();
    kept = kept_.insert_or_assign(key, Kept{part.signature, std::move(*paths)}).first;
  }
  part.rest = kept->second.paths.rest_of(at.place);
  return part;
}

std::optional<BatchPart> part_of(const SharedReader& reader, SegmentNumber segment, ActorIndex actor,
                                 std::uint64_t first, std::uint8_t variant, const std::vector<TreeLeaf>& here,
                                 const RangeSet& seen) {
  const auto octets = reader.txn().get(table::dot, batch_key(segment, actor, first, variant));
  if (!octets) return std::nullopt;
  const BatchRow row = decode_batch_row(*octets);
  BatchPart part = part_without_records(reader, first, row);
  for (const TreeLeaf& leaf : here) part.here.insert(first + leaf.place);
  if (seen.contains(RangeSet(Range{first, first + row.count - 1}))) return part;
  const auto live = live_leaves(reader, segment, actor, first, variant, row.count);
  std::vector<std::uint32_t> left_out;
  for (const TreeLeaf& leaf : live) {
    if (!part.here.contains(first + leaf.place)) left_out.push_back(leaf.place);
  }
  auto rest = tree_rest(row.count, live, part.rest, left_out);
  if (!rest) return std::nullopt;
  part.rest = std::move(*rest);
  return part;
}

BatchPlace BatchRows::write(SegmentNumber segment, ActorIndex actor, std::uint64_t counter,
                            const ContentHash& content, std::size_t octets) {
  if (!store_.signing_key()) return {};
  const auto open = open_.find({segment, actor});
  if (open != open_.end()) {
    Known& known = known_.at(open->second);
    const bool has_room = known.row.count < batch_records_max && known.octets + octets <= batch_octets_max;
    if (has_room && counter == open->second.first + known.row.count) {
      const auto place = static_cast<std::uint8_t>(known.row.count++);
      known.part.there.push_back({place, content});
      known.live.set(place);
      known.octets += octets;
      return {place, open->second.variant};
    }
    known.is_kept = false;
    sign(open->second, known);
  }
  const Key key{segment, actor, counter, 0};
  Known& known = known_[key];
  known = {.row = {.count = 1, .frontier = frontier_, .signature = {}, .rest = {},
                   .superseded = std::exchange(superseded_, {})},
           .part = {.there = {{0, content}}, .rest = {}}, .live = {}, .octets = octets, .is_kept = true};
  known.live.set(0);
  open_[{segment, actor}] = key;
  return {0, key.variant};
}

BatchRow BatchRows::row_of(const BatchPart& part) const {
  BatchRow row{.count = static_cast<std::uint16_t>(part.count), .frontier = {}, .signature = part.signature,
               .rest = {}, .superseded = {}};
  for (const Dot& dot : part.frontier) {
    row.frontier.emplace_back(reader_.actor_index(dot.actor).value(), dot.counter);
  }
  for (const auto& [actor, counters] : part.superseded) {
    row.superseded.emplace_back(reader_.actor_index(actor).value(), counters);
  }
  return row;
}

std::vector<BatchRows::Key> BatchRows::variants(const Key& first) const {
  std::vector<Key> found;
  lmdb::Cursor cursor = txn_.cursor(table::dot);
  const TableKey prefix = dot_key(first.segment, first.actor, first.first);
  bool on = cursor.seek(batch_key(first.segment, first.actor, first.first, 0));
  for (; on && starts_with(cursor.key(), prefix); on = cursor.next()) {
    const auto variant = static_cast<std::uint8_t>(cursor.key().back());
    found.push_back({first.segment, first.actor, first.first, variant});
  }
  for (auto at = known_.lower_bound(first); at != known_.end(); ++at) {
    const auto& [segment, actor, counter, variant] = at->first;
    if (std::tie(segment, actor, counter) != std::tie(first.segment, first.actor, first.first)) break;
    if (std::find(found.begin(), found.end(), at->first) == found.end()) found.push_back(at->first);
  }
  return found;
}

std::optional<std::uint8_t> BatchRows::bring(SegmentNumber segment, ActorIndex actor, const BatchPart& part,
                                             const TreePart& records) {
  Key key{segment, actor, part.first, 0};
  BatchRow row = row_of(part);
  std::set<std::uint8_t> taken;
  for (const Key& other : variants(key)) {
    Known& known = load(other);
    taken.insert(other.variant);
    row.rest = known.row.rest;
    if (row != known.row) continue;
    // One signature, one root: so both are parts of one tree, unless nobody has looked at the signature.
    auto both = tree_union(part.count, known.part, records);
    if (!both) continue;
    known.part = std::move(*both);
    keep(other, known);
    return other.variant;
  }
  while (taken.contains(key.variant)) ++key.variant;
  if (key.variant == BatchPlace::no_variant) return std::nullopt;
  if (known_.size() >= batches_kept_max) put_those_not_kept();
  row.rest = records.rest;
  known_[key] = {.row = std::move(row), .part = records, .live = {}};
  keep(key, known_[key]);
  return key.variant;
}

void BatchRows::keep(const Key& key, Known& known) {
  if (!std::exchange(known.is_kept, true)) brought_.push_back(key);
}

void BatchRows::settle() {
  for (const Key& key : brought_) known_.at(key).is_kept = false;
  brought_.clear();
}

void BatchRows::insert(SegmentNumber segment, ActorIndex actor, std::uint64_t counter, const BatchPlace& at) {
  if (!at.is_signed()) return;
  load({segment, actor, counter - at.place, at.variant}).live.set(at.place);
}

void BatchRows::drop(SegmentNumber segment, ActorIndex actor, std::uint64_t counter, const BatchPlace& at) {
  if (!at.is_signed()) return;
  Known& known = load({segment, actor, counter - at.place, at.variant});
  known.live.reset(at.place);
}

BatchRows::Known& BatchRows::load(const Key& key) {
  if (const auto at = known_.find(key); at != known_.end()) return at->second;
  if (known_.size() >= batches_kept_max) put_those_not_kept();
  const auto row = txn_.get(table::dot, batch_key(key.segment, key.actor, key.first, key.variant));
  if (!row) damaged_batch("is missing");
  Known known{.row = decode_batch_row(*row), .part = {}, .live = {}};
  known.part.there = live_leaves(reader_, key.segment, key.actor, key.first, key.variant, known.row.count);
  known.part.rest = known.row.rest;
  for (const TreeLeaf& leaf : known.part.there) known.live.set(leaf.place);
  return known_.emplace(key, std::move(known)).first->second;
}

// All that was written under the key is in it, living or not.
void BatchRows::sign(const Key& key, Known& known) const {
  Batch batch = batch_head(reader_, store_.identity(), key.segment, key.actor, key.first, known.row);
  batch.root = tree_root(known.row.count, known.part.there, {}).value();
  known.row.signature = store_.signing_key().sign(batch_domain, encode(batch));
}

void BatchRows::put(const Key& key, Known& known) {
  const TableKey at = batch_key(key.segment, key.actor, key.first, key.variant);
  if (known.live.none()) {
    txn_.erase(table::dot, at);
    return;
  }
  std::vector<std::uint32_t> gone;
  for (const TreeLeaf& leaf : known.part.there) {
    if (!known.live.test(leaf.place)) gone.push_back(leaf.place);
  }
  if (gone.empty()) {  // it stays as it was made or read
    known.row.rest = known.part.rest;
  } else {
    auto rest = tree_rest(known.row.count, known.part.there, known.part.rest, gone);
    if (!rest) damaged_batch("does not fit its records");
    known.row.rest = std::move(*rest);
  }
  txn_.put(table::dot, at, encode(known.row));
}

void BatchRows::put_those_not_kept() {
  for (auto at = known_.begin(); at != known_.end();) {
    if (at->second.is_kept) {
      ++at;
      continue;
    }
    put(at->first, at->second);
    at = known_.erase(at);
  }
}

void BatchRows::close(SegmentNumber segment, ActorIndex actor) {
  const auto open = open_.find({segment, actor});
  if (open == open_.end()) return;
  const auto at = known_.find(open->second);
  at->second.is_kept = false;
  sign(at->first, at->second);
  put(at->first, at->second);
  known_.erase(at);
  open_.erase(open);
}

void BatchRows::set_frontier(std::vector<std::pair<ActorIndex, std::uint64_t>> frontier) {
  if (frontier == frontier_) return;
  sign_open();
  frontier_ = std::move(frontier);
}

void BatchRows::sign_open() {
  for (const auto& [segment_and_actor, key] : open_) {
    Known& known = known_.at(key);
    known.is_kept = false;
    sign(key, known);
  }
  open_.clear();
}

void BatchRows::finish() {
  sign_open();
  put_those_not_kept();
}

}  // namespace loam
