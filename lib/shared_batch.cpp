#include "lib/shared_batch.hpp"

#include <algorithm>
#include <cassert>

#include "crdt/error.hpp"
#include "lib/alarms.hpp"
#include "lib/packet_log.hpp"
#include "lib/quarantine.hpp"
#include "lib/segment_dots.hpp"
#include "lib/shared_store.hpp"
#include "planted.hpp"

namespace loam {
namespace {

constexpr PacketLog shared_packet_log{table::packets, table::packet_log};

}  // namespace

SharedBatch::SharedBatch(SharedStore& store, lmdb::WriteTxn& txn, std::int64_t now_ms)
    : store_(store), txn_(txn), reader_(txn, &store.followed_pending(txn)), batches_(store, txn, reader_),
      held_(txn), now_ms_(now_ms) {
  if (const auto row = txn.get(table::meta, bytes_of(meta::clock)); row && row->size() == 8) {
    clock_loaded_ = Hlc{load_u64(row->data())};
  }
  clock_ = Clock(clock_loaded_);
}

// ---------------------------------------------------------------- local writes

SharedBatch::SetResult SharedBatch::add(SegmentNumber segment, BytesView content, BytesView meta) {
  require_right(segment);
  const ElementId element = element_of(this->segment(segment).row.name, content);
  const std::vector<StoredDot> observed = dots_of(segment, element);
  const Dot dot = next_dot(segment);
  Delta delta;
  delta.context.insert(dot);
  for (const StoredDot& earlier : observed) {
    const bool is_own = earlier.author == store_.instance();
    if (is_own || planted(Bug::add_supersedes_others)) delta.context.insert(earlier.dot);
  }
  delta.live.emplace(dot, encode(SetRecord{stamp({}), copy_of(content), copy_of(meta)}));
  known_element_ = element;
  change(segment, delta, RecordHashes(delta.live), {});
  known_element_.reset();
  return {element, !observed.empty()};
}

SharedBatch::SetResult SharedBatch::revise(SegmentNumber segment, const ElementId& old,
                                           BytesView content, BytesView meta) {
  require_right(segment);
  const std::vector<StoredDot> observed = dots_of(segment, old);
  if (observed.empty()) throw Error(ErrorCode::not_found, "record " + old.text());
  const ElementId element = element_of(this->segment(segment).row.name, content);
  const bool existing = !dots_of(segment, element).empty();
  const Dot dot = next_dot(segment);
  Delta delta;
  delta.context.insert(dot);
  for (const StoredDot& earlier : observed) {
    if (!planted(Bug::revise_keeps_old)) delta.context.insert(earlier.dot);
  }
  delta.live.emplace(dot, encode(SetRecord{stamp({}), copy_of(content), copy_of(meta)}));
  change(segment, delta, RecordHashes(delta.live), {});
  return {element, existing};
}

void SharedBatch::remove(SegmentNumber segment, const ElementId& element) {
  require_right(segment);
  const std::vector<StoredDot> observed = dots_of(segment, element);
  if (observed.empty()) throw Error(ErrorCode::not_found, "record " + element.text());
  Delta delta;
  for (const StoredDot& dot : observed) {
    delta.context.insert(dot.dot);
    if (planted(Bug::remove_one_dot)) break;
  }
  change(segment, delta, RecordHashes(delta.live), {});
}

bool SharedBatch::put(SegmentNumber segment, std::string_view key,
                      const std::optional<Bytes>& value) {
  require_right(segment);
  if (registry() != nullptr && store_.place(segment).is_governed) return put_governed(segment, key, value);
  Delta delta;
  Hlc after;
  bool had_value = false;
  for (const StoredDot& observed : reader_.dots_of(segment, key)) {
    if (planted(Bug::put_supersedes_winner_only)) delta = {};
    delta.context.insert(observed.dot);
    after = std::max(after, observed.stamp);
    // The winner is the last. Of one that cannot be read, it is not known.
    had_value = observed.is_damaged || decode_map_record(observed.record).value.has_value();
  }
  if (!value && !had_value) throw Error(ErrorCode::not_found, "key " + std::string(key));
  const Dot dot = next_dot(segment);
  delta.context.insert(dot);
  delta.live.emplace(dot, encode(MapRecord{stamp(after), std::string(key), value}));
  change(segment, delta, RecordHashes(delta.live), {});
  return had_value;
}

// ---------------------------------------------------------------- joins

Applied SharedBatch::join_admitted(SegmentNumber segment, const Delta& delta, const Authors& authors,
                                   const BatchParts& batches, const CheckedDelta& checked, const StoreId& origin) {
  for (const auto& [actor, claim] : authors) {
    const InstanceId& author = planted(Bug::author_is_receiver) ? store_.instance() : claim.author;
    (void)claimed_index(actor, ActorClaim(author, claim.nonce));
  }
  const auto& kind = this->segment(segment).row.state.kind;
  for (const auto& [dot, record] : delta.live) {
    const Hlc stamp =
        kind == Kind::set ? view_set_record(record).stamp : decode_map_record(record).stamp;
    clock_.observe(stamp, now_ms_);
  }
  const std::optional<ActorId> own = store_.live_actor(quarantines());
  const bool is_told_news = own && is_news(segment, *own, delta.context.of(*own));
  Applied applied = change(segment, delta, checked.hashes, origin, bring(segment, batches, checked.hashes));
  batches_.settle();
  if (store_.place(segment).is_governed) batches_.put_settled();  // what stands is asked by their rows, maybe at once
  const bool is_contradicted =
      own && std::any_of(applied.equivocated.begin(), applied.equivocated.end(),
                         [&](const Dot& dot) { return dot.actor == *own; });
  if ((is_told_news || is_contradicted) && !planted(Bug::clone_not_noticed)) {
    saw_clone_ = true;
    store_.renew_actor();
  }
  return applied;
}

// Whether a peer that knows these counters of an actor knows more than we do.
bool SharedBatch::is_news(SegmentNumber segment, const ActorId& actor, const RangeSet& counters) {
  if (counters.empty()) return false;
  const auto index = find_actor(actor);
  return !index || !context(segment, *index, actor).row.covered.contains(counters);
}

Applied SharedBatch::change(SegmentNumber segment, const Delta& delta, const RecordHashes& hashes,
                            const StoreId& origin, const BatchPlaces& places) {
  SegmentDots dots(*this, segment, origin, &places);
  Applied applied = apply(dots, delta, hashes);
  const StoreId& from = planted(Bug::origin_not_journalled) ? StoreId{} : origin;
  if (!applied.changed.empty()) changed_[{segment, from}].insert(applied.changed);
  return applied;
}

void SharedBatch::hold_removal(SegmentNumber segment, const StoreId& peer, const Context& dots) {
  for (const HeldItem& earlier : reader_.held(HeldReason::removal)) {
    if (earlier.row.segment == segment && earlier.row.peer == peer) release(earlier.sequence);
  }
  HeldRow row{.reason = HeldReason::removal, .segment = segment, .peer = peer};
  for (const auto& [actor, counters] : dots) {
    if (const auto index = find_actor(actor)) row.dots.emplace_back(*index, counters);
  }
  hold(std::move(row));
}

std::uint64_t SharedBatch::confirm_removal(const HeldItem& removal) {
  Delta delta;
  for (const auto& [index, counters] : removal.row.dots) {
    const ActorId actor = reader_.actor(index).id;
    // What is not covered any more will come again, and die then.
    const RangeSet known = context(removal.row.segment, index, actor).row.covered;
    const RangeSet held = counters.intersect(known);
    if (!held.empty()) delta.context.insert(actor, held);
  }
  release(removal.sequence);
  return change(removal.row.segment, delta, {}, {}).dropped;
}

void SharedBatch::set_position(SegmentNumber segment, const StoreId& peer,
                               const Position& position) {
  txn_.put(table::positions, position_key(peer, segment), encode(position));
}

void SharedBatch::raise_alarm(const std::string& text) { note_alarm(txn_, text, now_ms_); }

void SharedBatch::hold(HeldRow row) {
  row.at_ms = now_ms_;
  held_.hold(row);
}

void SharedBatch::set_peer(const StoreId& peer, PeerRow row) {
  // A row that is damaged is written anew, and counting begins again.
  const auto noted = txn_.look(table::peers, peer.view());
  if (noted && !noted->is_damaged) {
    for (const auto& [segment, count] : decode_peer_row(noted->value).refused) row.refused[segment] += count;
  }
  txn_.put(table::peers, peer.view(), encode(row));
}

// ---------------------------------------------------------------- packets

std::optional<std::string> SharedBatch::receipt_of(const PacketId& packet) const {
  return shared_packet_log.receipt_of(txn_, packet);
}

void SharedBatch::remember_packet(const PacketId& packet, const std::string& receipt_id) {
  if (planted(Bug::packet_not_remembered)) return;
  shared_packet_log.remember(txn_, packet, receipt_id);
}

// ---------------------------------------------------------------- rows kept aside

SharedBatch::SegmentCache& SharedBatch::segment(SegmentNumber number) {
  const auto at = segments_.find(number);
  if (at != segments_.end()) return at->second;
  const SegmentRow row = reader_.segment(number);
  return segments_.emplace(number, SegmentCache{row, row}).first->second;
}

SharedBatch::ContextCache& SharedBatch::context(SegmentNumber segment, ActorIndex actor,
                                                const ActorId& id) {
  const auto at = contexts_.find({segment, actor});
  if (at != contexts_.end()) return at->second;
  ContextCache cache;
  cache.row = reader_.context(segment, actor).value_or(ContextRow{});
  cache.loaded_term = context_term(id, cache.row.covered);
  cache.actor = id;
  return contexts_.emplace(std::pair{segment, actor}, std::move(cache)).first->second;
}

std::optional<ActorIndex> SharedBatch::find_actor(const ActorId& actor) const {
  const auto at = actors_.find(actor);
  if (at != actors_.end()) return at->second;
  const auto index = reader_.actor_index(actor);
  if (index) actors_.emplace(actor, *index);
  return index;
}

ActorIndex SharedBatch::claimed_index(const ActorId& actor, const ActorClaim& claim) {
  const ActorIndex index = actor_index({actor, claim.author, claim.nonce});
  const InstanceId known = reader_.actor(index).author;
  if (known == claim.author) return index;
  if (!known.is_zero()) throw Error(ErrorCode::untrusted, "actor " + actor.text() + " is claimed by two instances");
  txn_.put(table::actors, TableKey().u32(index), encode(ActorRow{actor, claim.author, claim.nonce}));
  reader_.forget_actor();
  return index;
}

ActorIndex SharedBatch::actor_index(const ActorRow& actor) {
  if (const auto known = find_actor(actor.id)) return *known;
  lmdb::Cursor cursor = txn_.cursor(table::actors);
  const ActorIndex index = cursor.last() ? load_u32(cursor.key().data()) + 1 : 1;
  std::array<std::byte, 4> reference{};
  store_u32(reference.data(), index);
  txn_.put(table::actors, TableKey().u32(index), encode(actor));
  txn_.put(table::actor_ids, actor.id.view(), reference);
  actors_.emplace(actor.id, index);
  return index;
}

std::uint64_t SharedBatch::next_sequence() {
  if (!sequence_) {
    lmdb::Cursor cursor = txn_.cursor(table::rec, lmdb::Damage::mark);
    sequence_ = cursor.last() ? load_u64(cursor.key().data()) : 0;
  }
  return ++*sequence_;
}

Dot SharedBatch::next_dot(SegmentNumber segment) {
  const ActorId& actor = store_.own_actor(now_ms_, quarantines());
  const ActorIndex index = actor_index({actor, store_.instance(), store_.own_claim().nonce});
  const std::uint64_t step = planted(Bug::counter_jump) ? 2 : 1;
  return {actor, context(segment, index, actor).row.covered.highest() + step};
}

Hlc SharedBatch::stamp(Hlc after) {
  return clock_.next(now_ms_, planted(Bug::stamp_below_observed) ? Hlc{} : after);
}

// ---------------------------------------------------------------- the element index

std::vector<StoredDot> SharedBatch::dots_of(SegmentNumber segment,
                                            const ElementId& element) const {
  std::vector<StoredDot> dots = reader_.dots_of(segment, element);
  if (has_damage(dots)) find_damaged(dots);
  for (auto at = fresh_.lower_bound({segment, element, 0});
       at != fresh_.end() && at->segment == segment && at->element == element; ++at) {
    const RecordRow row = reader_.record(at->sequence);
    const ActorRow by = reader_.actor(row.actor);
    dots.push_back({Dot{by.id, row.counter}, by.author, at->sequence, copy_of(row.record)});
  }
  return dots;
}

// The dots of records that cannot say which they are.
void SharedBatch::find_damaged(std::vector<StoredDot>& dots) const {
  std::set<std::uint64_t> sequences;
  for (const StoredDot& dot : dots) {
    if (dot.is_damaged) sequences.insert(dot.sequence);
  }
  for (const PlacedDot& at : placed_dots(txn_, sequences)) {
    for (StoredDot& dot : dots) {
      if (dot.sequence != at.sequence) continue;
      const ActorRow by = reader_.actor(at.actor);
      dot.dot = {by.id, at.counter};
      dot.author = by.author;
    }
  }
  std::erase_if(dots, [](const StoredDot& dot) { return dot.dot.counter == 0; });
}

void SharedBatch::index_fresh() {
  const PendingState pending = read_pending_state(txn_);
  std::uint64_t records = 0;
  for (const SegmentNumber number : store_.numbers()) records += segment(number).row.records;
  const std::uint64_t bound = std::clamp(records / 8, pending_fold_min, pending_fold_max);
  if (fresh_.size() < pending_entries_min) {
    for (const ElementEntry& entry : fresh_) {
      txn_.put(table::elem, element_key(entry.segment, entry.element, entry.sequence), {});
    }
  } else if (pending.entries + fresh_.size() > bound) {
    fold();
  } else {
    append_pending(txn_, {fresh_.begin(), fresh_.end()});
  }
  fresh_.clear();
}

void SharedBatch::fold() {
  std::vector<ElementEntry> entries = store_.followed_pending(txn_).entries();
  std::erase_if(entries, [&](const ElementEntry& entry) { return !reader_.is_current(entry); });
  entries.insert(entries.end(), fresh_.begin(), fresh_.end());
  std::sort(entries.begin(), entries.end());
  for (const ElementEntry& entry : entries) {
    txn_.put(table::elem, element_key(entry.segment, entry.element, entry.sequence), {});
  }
  clear_pending(txn_);
}

// ---------------------------------------------------------------- the end of the transaction

void SharedBatch::finish() {
  batches_.finish();
  if (!fresh_.empty()) index_fresh();
  held_.finish();
  for (auto& [key, cache] : contexts_) {
    if (!cache.dirty) continue;
    txn_.put(table::ctx, context_key(key.first, key.second), encode(cache.row));
    Fingerprint& root = segment(key.first).row.state.roots.context;
    root -= cache.loaded_term;
    root += context_term(cache.actor, cache.row.covered);
  }
  for (const auto& [key, changed] : changed_) write_journal(key.first, key.second, changed);
  for (auto& [number, cache] : segments_) {
    trim_journal(number, cache);
    if (cache.row == cache.loaded) continue;
    txn_.put(table::segs, segment_key(number), encode(cache.row));
  }
  if (clock_.last() != clock_loaded_) {
    std::array<std::byte, 8> value{};
    store_u64(value.data(), clock_.last().value);
    txn_.put(table::meta, bytes_of(meta::clock), value);
  }
}

void SharedBatch::write_journal(SegmentNumber number, const StoreId& origin,
                                const Context& changed) {
  SegmentState& state = segment(number).row.state;
  ++state.head;
  JournalRow row{origin, {}};
  for (const auto& [actor, ranges] : changed) row.changed.emplace_back(*find_actor(actor), ranges);
  txn_.put(table::jrnl, journal_key(number, state.head), encode(row));
}

void SharedBatch::trim_journal(SegmentNumber number, SegmentCache& cache) {
  SegmentState& state = cache.row.state;
  const std::uint64_t keep = store_.journal_entries_max();
  const std::uint64_t floor = state.floor;
  for (std::uint64_t i = 0; i < journal_trim_max && state.head - state.floor > keep; ++i) {
    ++state.floor;
    txn_.erase(table::jrnl, journal_key(number, state.floor));
  }
  if (planted(Bug::floor_not_moved)) state.floor = floor;
}

void SharedBatch::drop_journals() {
  for (const SegmentNumber number : store_.numbers()) {
    SegmentState& state = segment(number).row.state;
    for (std::uint64_t entry = state.floor + 1; entry <= state.head; ++entry) {
      txn_.erase(table::jrnl, journal_key(number, entry));
    }
    state.floor = state.head;
    if (planted(Bug::dropped_journal_keeps_id)) {
      state.floor = state.head = 0;
      continue;
    }
    state.journal = store_.new_journal_id();
  }
}

}  // namespace loam
