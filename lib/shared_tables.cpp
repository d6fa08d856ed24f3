#include "lib/shared_tables.hpp"

#include <algorithm>

#include "crdt/error.hpp"
#include "planted.hpp"

namespace loam {
namespace {

[[noreturn]] void damaged(const std::string& what) { throw Error(ErrorCode::damaged, what); }

}  // namespace

std::vector<std::string> shared_table_names() {
  return {"meta", "segs", "actors", "actor_ids", "ctx",       "rec",     "dot",
          "elem", "reg",  "jrnl",   "peers",     "positions", "packets", "packet_log",
          "pending", "held"};
}

std::vector<HeldItem> SharedReader::held(std::optional<HeldReason> reason) const {
  std::vector<HeldItem> items;
  lmdb::Cursor cursor = txn_.cursor(table::held);
  for (bool on = cursor.first(); on; on = cursor.next()) {
    HeldRow row = decode_held_row(cursor.value());
    if (reason && row.reason != *reason) continue;
    items.push_back({load_u64(cursor.key().data()), std::move(row)});
  }
  return items;
}

SegmentRow SharedReader::segment(SegmentNumber number) const {
  const auto row = txn_.get(table::segs, segment_key(number));
  if (!row) damaged("table segs: segment " + std::to_string(number) + " is missing");
  return decode_segment_row(*row);
}

std::optional<ContextRow> SharedReader::context(SegmentNumber segment, ActorIndex actor) const {
  const auto row = txn_.get(table::ctx, context_key(segment, actor));
  if (!row) return std::nullopt;
  return decode_context_row(*row);
}

std::optional<ActorIndex> SharedReader::actor_index(const ActorId& actor) const {
  const auto row = txn_.get(table::actor_ids, actor.view());
  if (!row) return std::nullopt;
  if (row->size() != 4) damaged("table actor_ids: a row does not decode");
  return load_u32(row->data());
}

ActorRow SharedReader::actor(ActorIndex index) const {
  if (last_actor_ && last_actor_->first == index) return last_actor_->second;
  const auto row = txn_.get(table::actors, TableKey().u32(index));
  if (!row) damaged("table actors: actor " + std::to_string(index) + " is missing");
  return last_actor_.emplace(index, decode_actor_row(*row)).second;
}

std::vector<SharedReader::LiveRow> SharedReader::live_in(SegmentNumber segment, ActorIndex actor,
                                                         Range range) const {
  std::vector<LiveRow> found;
  const TableKey prefix = context_key(segment, actor);
  lmdb::Cursor cursor = txn_.cursor(table::dot);
  for (bool on = cursor.seek(dot_key(segment, actor, range.first)); on; on = cursor.next()) {
    if (!starts_with(cursor.key(), prefix)) break;
    const std::uint64_t counter = load_u64(cursor.key().data() + prefix.view().size());
    if (counter > range.last) break;
    if (cursor.key().size() != dot_key_octets) continue;
    found.push_back({counter, decode_dot_row(cursor.value())});
  }
  return found;
}

RecordRow SharedReader::record(std::uint64_t sequence) const {
  const auto row = txn_.get(table::rec, TableKey().u64(sequence));
  if (!row) damaged("table rec: record " + std::to_string(sequence) + " is missing");
  return decode_record_row(*row);
}

std::optional<RecordRow> SharedReader::sound_record(std::uint64_t sequence) const {
  const auto row = txn_.look(table::rec, TableKey().u64(sequence));
  if (!row) damaged("table rec: record " + std::to_string(sequence) + " is missing");
  if (row->is_damaged || row->value.size() < record_row_octets) return std::nullopt;
  return decode_record_row(row->value);
}

StoredDot SharedReader::stored(std::uint64_t sequence,
                               const std::optional<RecordRow>& row) const {
  StoredDot dot;
  dot.sequence = sequence;
  dot.is_damaged = !row;
  if (!row) return dot;
  const ActorRow by = actor(row->actor);
  dot.dot = {by.id, row->counter};
  dot.author = by.author;
  dot.record = copy_of(row->record);
  return dot;
}

bool SharedReader::is_current(const ElementEntry& entry) const {
  const auto found = txn_.look(table::rec, TableKey().u64(entry.sequence));
  if (!found) return false;  // the entry has outlived its record
  if (found->is_damaged || found->value.size() < record_row_octets) return true;
  const RecordRow row = decode_record_row(found->value);
  return row.segment == entry.segment && row.element == entry.element;
}

void SharedReader::find_pending(SegmentNumber segment, const ElementId& element,
                                std::vector<std::uint64_t>& sequences) const {
  if (own_pending_ != nullptr) {
    own_pending_->find(segment, element, sequences);
  } else if (shared_pending_ != nullptr) {
    shared_pending_->find(txn_, segment, element, sequences);
  } else {
    for_pending_between(txn_, segment, element, element, [&](const ElementEntry& entry) {
      sequences.push_back(entry.sequence);
    });
  }
}

const std::vector<std::uint64_t>& SharedReader::sequences_of(SegmentNumber segment,
                                                             const ElementId& element) const {
  std::vector<std::uint64_t>& sequences = sequences_;
  const bool stays = shared_pending_ != nullptr;  // nobody writes in this transaction
  if (stays && sequences_of_ == std::pair(segment, element)) return sequences;
  sequences_of_.reset();
  sequences.clear();
  find_pending(segment, element, sequences);
  const TableKey prefix = element_prefix(segment, element);
  if (!elements_) elements_.emplace(txn_.cursor(table::elem));
  lmdb::Cursor& cursor = *elements_;
  for (bool on = cursor.seek(prefix); on && starts_with(cursor.key(), prefix); on = cursor.next()) {
    sequences.push_back(load_u64(cursor.key().data() + prefix.view().size()));
  }
  std::sort(sequences.begin(), sequences.end());
  sequences.erase(std::unique(sequences.begin(), sequences.end()), sequences.end());
  if (stays) sequences_of_.emplace(segment, element);
  return sequences;
}

std::vector<StoredDot> SharedReader::dots_of(SegmentNumber segment,
                                             const ElementId& element) const {
  std::vector<StoredDot> dots;
  for (const std::uint64_t sequence : sequences_of(segment, element)) {
    const auto found = txn_.look(table::rec, TableKey().u64(sequence));
    if (!found) continue;  // the entry has outlived its record
    std::optional<RecordRow> row;
    if (!found->is_damaged && found->value.size() >= record_row_octets) {
      row = decode_record_row(found->value);
      if (row->segment != segment || row->element != element) continue;
    }
    dots.push_back(stored(sequence, row));
  }
  leave_out_void(segment, dots);
  return dots;
}

std::optional<RecordRow> SharedReader::only_record(SegmentNumber segment, const ElementId& element) const {
  if (fences_) return std::nullopt;
  const auto& known = sequences_of(segment, element);
  const auto found = known.size() == 1 ? txn_.look(table::rec, TableKey().u64(known.front())) : std::nullopt;
  if (!found || found->is_damaged || found->value.size() < record_row_octets) return std::nullopt;
  const RecordRow row = decode_record_row(found->value);
  return row.segment == segment && row.element == element ? std::optional(row) : std::nullopt;
}

std::optional<BatchRow> SharedReader::batch_row(SegmentNumber segment, const Dot& dot) const {
  const auto actor = actor_index(dot.actor);
  const auto placed = actor ? txn_.get(table::dot, dot_key(segment, *actor, dot.counter)) : std::nullopt;
  const BatchPlace at = placed ? decode_dot_row(*placed).batch : BatchPlace{};
  if (!at.is_signed()) return std::nullopt;
  const auto octets = txn_.get(table::dot, batch_key(segment, *actor, dot.counter - at.place, at.variant));
  return octets ? std::optional(decode_batch_row(*octets)) : std::nullopt;
}

std::vector<Dot> SharedReader::frontier_of(const BatchRow& row) const {
  std::vector<Dot> frontier;
  for (const auto& [index, counter] : row.frontier) frontier.push_back({actor(index).id, counter});
  return frontier;
}

// Of a damaged one it may not be known whose it is: it stays.
bool SharedReader::is_hidden(SegmentNumber segment, const AdmissionPlace& place, const StoredDot& dot) const {
  if (dot.dot.counter == 0) return false;
  std::vector<Dot> frontier;  // only looked at where there are void assignments
  if (fences_->has_void_assignments()) {
    if (const auto row = batch_row(segment, dot.dot)) frontier = frontier_of(*row);
  }
  return is_void(*fences_, place, dot.author, dot.dot, frontier);
}

void SharedReader::leave_out_void(SegmentNumber segment, std::vector<StoredDot>& dots) const {
  if (!fences_ || dots.empty() || planted(Bug::void_records_shown)) return;
  const AdmissionPlace place{{}, this->segment(segment).name, governed_->contains(segment)};
  std::erase_if(dots, [&](const StoredDot& dot) { return is_hidden(segment, place, dot); });
}

bool SharedReader::has_dots(SegmentNumber segment, const ElementId& element) const {
  if (fences_) return !dots_of(segment, element).empty();
  const auto& sequences = sequences_of(segment, element);
  return std::any_of(sequences.begin(), sequences.end(), [&](std::uint64_t sequence) {
    return is_current({segment, element, sequence});
  });
}

bool has_damage(const std::vector<StoredDot>& dots) noexcept {
  return std::any_of(dots.begin(), dots.end(),
                     [](const StoredDot& dot) { return dot.is_damaged; });
}

std::vector<StoredDot> SharedReader::dots_of(SegmentNumber segment, std::string_view key) const {
  std::vector<StoredDot> dots = all_dots_of(segment, key);
  leave_out_void(segment, dots);
  return dots;
}

std::vector<StoredDot> SharedReader::all_dots_of(SegmentNumber segment, std::string_view key) const {
  std::vector<StoredDot> dots;
  const TableKey prefix = register_prefix(segment, key);
  lmdb::Cursor cursor = txn_.cursor(table::reg);
  for (bool on = cursor.seek(prefix); on && starts_with(cursor.key(), prefix); on = cursor.next()) {
    if (cursor.value().size() != 8) damaged("table reg: a row does not decode");
    const std::uint64_t sequence = load_u64(cursor.value().data());
    StoredDot dot = stored(sequence, sound_record(sequence));
    const RegisterKey at = decode_register_key(cursor.key());
    dot.stamp = at.stamp;
    if (dot.is_damaged) {
      dot.dot = at.dot;
      const auto index = actor_index(at.dot.actor);
      if (index) dot.author = actor(*index).author;
    }
    dots.push_back(std::move(dot));
  }
  if (planted(Bug::tie_by_arrival)) {
    std::stable_sort(dots.begin(), dots.end(), [](const StoredDot& left, const StoredDot& right) {
      const Hlc stamp = decode_map_record(left.record).stamp;
      const Hlc other = decode_map_record(right.record).stamp;
      return stamp != other ? stamp < other : left.sequence < right.sequence;
    });
  }
  return dots;
}

std::vector<ElementId> SharedReader::elements_between(SegmentNumber segment, const ElementId& low,
                                                      const ElementId& high,
                                                      std::size_t max) const {
  std::vector<ElementId> found;
  const auto add = [&](const ElementId& element) {
    const bool is_new = std::find(found.begin(), found.end(), element) == found.end();
    if (is_new && found.size() < max && !dots_of(segment, element).empty()) {
      found.push_back(element);
    }
  };
  for_pending_between(txn_, segment, low, high,
                      [&](const ElementEntry& entry) { add(entry.element); });
  const TableKey prefix = segment_key(segment);
  lmdb::Cursor cursor = txn_.cursor(table::elem);
  for (bool on = cursor.seek(element_prefix(segment, low)); on; on = cursor.next()) {
    if (!starts_with(cursor.key(), prefix) || found.size() >= max) break;
    const auto element = *ElementId::from(cursor.key().subspan(2, 16));
    if (high < element) break;
    add(element);
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace loam
