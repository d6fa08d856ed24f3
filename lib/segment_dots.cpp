#include "lib/segment_dots.hpp"

#include <algorithm>

#include "crdt/error.hpp"
#include "lib/quarantine.hpp"
#include "lib/shared_store.hpp"
#include "planted.hpp"

namespace loam {

RangeSet SegmentDots::covered(const ActorId& actor) const {
  const auto index = batch_.find_actor(actor);
  if (!index) return {};
  return batch_.context(segment_, *index, actor).row.covered;
}

std::vector<LiveDot> SegmentDots::live_in(const ActorId& actor, Range range) const {
  const auto index = batch_.find_actor(actor);
  if (!index || batch_.context(segment_, *index, actor).row.live_count == 0) return {};
  std::vector<LiveDot> live;
  for (const auto& found : batch_.reader_.live_in(segment_, *index, range)) {
    live.push_back({found.counter, found.row.content});
  }
  return live;
}

void SegmentDots::insert(const Dot& dot, BytesView record, const ContentHash& content) {
  const ActorIndex actor = known(dot.actor);
  auto& segment = batch_.segment(segment_).row;
  const std::uint64_t sequence = batch_.next_sequence();
  RecordRow row{segment_, actor, dot.counter, {}, record};
  std::array<std::byte, 8> reference{};
  store_u64(reference.data(), sequence);
  if (kind_ == Kind::set) {
    row.element = batch_.known_element_ ? *batch_.known_element_
                                        : element_of(segment.name, view_set_record(record).content);
    batch_.fresh_.insert({segment_, row.element, sequence});
  } else {
    const MapRecord entry = decode_map_record(record);
    batch_.txn_.put(table::reg, register_key(segment_, entry.key, entry.stamp, dot), reference);
  }
  batch_.txn_.append(table::rec, TableKey().u64(sequence), encode(row));
  BatchPlace place;
  if (origin_.is_zero() && dot.actor == batch_.store_.live_actor(batch_.quarantines())) {
    place = batch_.batches_.write(segment_, actor, dot.counter, content, record.size());
  } else if (places_ != nullptr && places_->contains(dot)) {
    place = places_->at(dot);
    batch_.batches_.insert(segment_, actor, dot.counter, place);
  }
  batch_.txn_.put(table::dot, dot_key(segment_, actor, dot.counter),
                  encode(DotRow{sequence, content, place}));
  count(actor, dot, content, record.size(), true);
}

void SegmentDots::drop(const Dot& dot) {
  const ActorIndex actor = known(dot.actor);
  const DotRow row = live_row(actor, dot);
  const TableKey key = TableKey().u64(row.sequence);
  const auto record = batch_.reader_.sound_record(row.sequence);
  // How long a value is belongs to the structure: also true of one that cannot be read.
  const std::size_t row_octets = batch_.txn_.look(table::rec, key)->value.size();
  const std::size_t octets = std::max(row_octets, record_row_octets) - record_row_octets;
  if (!record) {
    erase_index_rows(batch_.txn_, segment_, kind_, row.sequence);
  } else if (kind_ == Kind::set) {
    // Of an entry that is still pending, the missing record says that it is void.
    const ElementEntry entry{segment_, record->element, row.sequence};
    if (!planted(Bug::index_kept_on_drop)) {
      batch_.txn_.erase(table::elem, element_key(segment_, entry.element, entry.sequence));
    }
    batch_.fresh_.erase(entry);
  } else {
    const MapRecord entry = decode_map_record(record->record);
    batch_.txn_.erase(table::reg, register_key(segment_, entry.key, entry.stamp, dot));
  }
  batch_.batches_.drop(segment_, actor, dot.counter, row.batch);
  batch_.txn_.erase(table::rec, key);
  batch_.txn_.erase(table::dot, dot_key(segment_, actor, dot.counter));
  count(actor, dot, row.content, octets, false);
}

void SegmentDots::replace(const Dot& dot, BytesView record, const ContentHash& content) {
  const DotRow row = live_row(known(dot.actor), dot);
  if (const auto old = batch_.reader_.sound_record(row.sequence)) {
    keep_aside(dot, copy_of(old->record));
  }
  drop(dot);
  insert(dot, record, content);
}

void SegmentDots::keep_aside(const Dot& dot, BytesView record) {
  if (planted(Bug::loser_forgotten)) return;
  HeldRow row{HeldReason::equivocation, segment_, origin_, 0, {}, copy_of(record)};
  row.dots.emplace_back(known(dot.actor), RangeSet(Range{dot.counter, dot.counter}));
  batch_.hold(std::move(row));
}

void SegmentDots::cover(const ActorId& actor, const RangeSet& ranges) {
  auto& cache = batch_.context(segment_, known(actor), actor);
  cache.row.covered.insert(ranges);
  cache.dirty = true;
}

ActorIndex SegmentDots::known(const ActorId& actor) const {
  const auto index = batch_.find_actor(actor);
  if (!index) {
    throw Error(ErrorCode::invalid, "delta: actor " + actor.text() + " comes without an author");
  }
  return *index;
}

DotRow SegmentDots::live_row(ActorIndex actor, const Dot& dot) const {
  const auto found = batch_.txn_.get(table::dot, dot_key(segment_, actor, dot.counter));
  if (!found) throw Error(ErrorCode::damaged, "table dot: a live dot is missing");
  return decode_dot_row(*found);
}

void SegmentDots::count(ActorIndex actor, const Dot& dot, const ContentHash& content,
                        std::size_t octets, bool is_live) {
  auto& cache = batch_.context(segment_, actor, dot.actor);
  auto& segment = batch_.segment(segment_).row;
  const Fingerprint term = live_term(dot, content);
  cache.dirty = true;
  if (is_live) {
    ++cache.row.live_count;
    ++segment.records;
    segment.octets += octets;
    cache.row.live += term;
    segment.state.roots.live += term;
  } else {
    --cache.row.live_count;
    --segment.records;
    segment.octets -= octets;
    if (planted(Bug::fingerprint_kept_on_drop)) return;
    cache.row.live -= term;
    segment.state.roots.live -= term;
  }
}

}  // namespace loam
