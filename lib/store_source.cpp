#include "lib/store_source.hpp"

#include "crdt/error.hpp"
#include "lib/batch_rows.hpp"
#include "planted.hpp"

namespace loam {
namespace {

// The counters of a set up to and including one.
RangeSet up_to(const RangeSet& set, std::uint64_t last) {
  if (last == 0) return {};
  return set.intersect(RangeSet(Range{1, last}));
}

// The batches of the records that one slice takes, all of one actor.
class SignedRecords {
 public:
  SignedRecords(const SharedReader& reader, SegmentNumber segment, ActorIndex actor)
      : reader_(reader), segment_(segment), actor_(actor) {}

  // How many octets about the record adds to what travels beside the records.
  std::size_t add(std::uint64_t counter, const DotRow& row) {
    if (!row.batch.is_signed()) return 0;
    auto& there = there_[{counter - row.batch.place, row.batch.variant}];
    there.push_back({row.batch.place, row.content});
    return there.size() == 1 ? octets_of(counter - row.batch.place, row.batch.variant) : 0;
  }

  // The slice has its context.
  void parts(const ActorId& actor, Slice& slice) const {
    for (const auto& [key, here] : there_) {
      const auto& [first, variant] = key;
      auto part = part_of(reader_, segment_, actor_, first, variant, here, slice.delta.context.of(actor));
      if (part) slice.batches[actor].push_back(std::move(*part));
    }
  }

 private:
  std::size_t octets_of(std::uint64_t first, std::uint8_t variant) const {
    const auto row = reader_.txn().get(table::dot, batch_key(segment_, actor_, first, variant));
    return row ? row->size() + 64 : 0;
  }

  const SharedReader& reader_;
  SegmentNumber segment_;
  ActorIndex actor_;
  std::map<std::pair<std::uint64_t, std::uint8_t>, std::vector<TreeLeaf>> there_;
};

}  // namespace

std::vector<std::string> StoreSource::segments() const {
  std::vector<std::string> names;
  for (const SegmentNumber number : store_.numbers()) names.push_back(store_.name(number));
  return names;
}

SegmentState StoreSource::state(const std::string& segment) const {
  const SegmentNumber number = store_.number(segment);
  return store_.read([&](const SharedReader& reader) {
    const SegmentRow row = reader.segment(number);
    SegmentState state = row.state;
    state.records = row.records;
    return state;
  });
}

Position StoreSource::position(const std::string& segment, const StoreId& peer) const {
  const SegmentNumber number = store_.number(segment);
  return store_.read([&](const SharedReader& reader) {
    const auto row = reader.txn().get(table::positions, position_key(peer, number));
    return row ? decode_position(*row) : Position{};
  });
}

JournalPage StoreSource::journal(const std::string& segment, std::uint64_t after,
                                 const StoreId& excluded, std::size_t dots_max) const {
  const SegmentNumber number = store_.number(segment);
  return store_.read([&](const SharedReader& reader) {
    // The caller looked at the floor in another snapshot.
    if (const auto floor = reader.segment(number).state.floor; after < floor) {
      throw Error(ErrorCode::failed, "journal of " + segment + ": cut at " + std::to_string(floor) +
                                         " while it was read from " + std::to_string(after));
    }
    JournalPage page;
    page.upto = after;
    std::uint64_t dots = 0;
    lmdb::Cursor cursor = reader.txn().cursor(table::jrnl);
    const TableKey prefix = segment_key(number);
    for (bool on = cursor.seek(journal_key(number, after + 1));
         on && starts_with(cursor.key(), prefix) && dots < dots_max; on = cursor.next()) {
      const std::uint64_t sequence = load_u64(cursor.key().data() + 2);
      if (sequence != page.upto + 1) {
        throw Error(ErrorCode::damaged, "table jrnl: entry " + std::to_string(page.upto + 1) +
                                            " of " + segment + " is missing");
      }
      page.upto = sequence;
      const JournalRow row = decode_journal_row(cursor.value());
      if (row.origin == excluded) continue;
      if (planted(Bug::relayed_not_followed) && row.origin != StoreId{}) continue;
      for (const auto& [actor, ranges] : row.changed) {
        page.changed.insert(reader.actor(actor).id, ranges);
        dots += ranges.count();
      }
    }
    if (page.upto == after) {
      throw Error(ErrorCode::damaged,
                  "table jrnl: no entry of " + segment + " after " + std::to_string(after));
    }
    return page;
  });
}

std::vector<ActorState> StoreSource::actors(const std::string& segment,
                                            const std::optional<ActorId>& after,
                                            std::size_t max) const {
  const SegmentNumber number = store_.number(segment);
  return store_.read([&](const SharedReader& reader) {
    std::vector<ActorState> found;
    lmdb::Cursor cursor = reader.txn().cursor(table::actor_ids);
    bool on = after ? cursor.seek(after->view()) : cursor.first();
    if (on && after && equal(cursor.key(), after->view())) on = cursor.next();
    for (; on && found.size() < max; on = cursor.next()) {
      const auto actor = ActorId::from(cursor.key());
      if (!actor || cursor.value().size() != 4) {
        throw Error(ErrorCode::damaged, "table actor_ids: a row does not decode");
      }
      const auto row = reader.context(number, load_u32(cursor.value().data()));
      if (!row || row->covered.empty()) continue;
      found.push_back({*actor, row->covered, row->live_count, row->live});
    }
    return found;
  });
}

Slice StoreSource::slice(const std::string& segment, const ActorId& actor, const RangeSet& selected,
                         std::size_t octets_max, std::size_t records_max) const {
  const SegmentNumber number = store_.number(segment);
  return store_.read([&](const SharedReader& reader) {
    Slice slice;
    const auto index = reader.actor_index(actor);
    const auto row = index ? reader.context(number, *index) : std::nullopt;
    if (!row) return slice;
    const RangeSet wanted = selected.intersect(row->covered);
    RangeSet known = wanted;
    const ActorRow claimed = reader.actor(*index);
    slice.authors.emplace(actor, ActorClaim(claimed.author, claimed.nonce.value_or(ActorClaim::Nonce{})));
    SignedRecords taken(reader, number, *index);
    const TableKey prefix = context_key(number, *index);
    std::size_t octets = 0;
    std::uint64_t last = 0;
    lmdb::Cursor cursor = reader.txn().cursor(table::dot);
    for (const Range& range : wanted) {
      for (bool on = cursor.seek(dot_key(number, *index, range.first));
           on && starts_with(cursor.key(), prefix); on = cursor.next()) {
        const std::uint64_t counter = load_u64(cursor.key().data() + prefix.view().size());
        if (counter > range.last) break;
        if (cursor.key().size() != dot_key_octets) continue;
        const bool is_full = octets >= octets_max || slice.delta.live.size() >= records_max;
        if (is_full && last != 0) {
          const bool claims_all = planted(Bug::slice_claims_selection);
          slice.delta.context.insert(actor, claims_all ? known : up_to(known, last));
          slice.rest = known.minus(slice.delta.context.of(actor));
          taken.parts(actor, slice);
          return slice;
        }
        const DotRow placed = decode_dot_row(cursor.value());
        const std::uint64_t sequence = placed.sequence;
        const auto record = reader.sound_record(sequence);
        if (!record) {  // neither its record nor its dot: we do not account for what we cannot read
          store_.damage().note(sequence);
          known = known.minus(RangeSet(Range{counter, counter}));
          continue;
        }
        slice.delta.live.emplace_hint(slice.delta.live.end(), Dot{actor, counter},
                                      copy_of(record->record));
        octets += record->record.size() + taken.add(counter, placed);
        last = counter;
      }
    }
    slice.delta.context.insert(actor, known);
    if (known.empty()) slice.authors.clear();
    taken.parts(actor, slice);
    return slice;
  });
}

RangeSet StoreSource::live_counters(const std::string& segment, const ActorId& actor,
                                    const RangeSet& selected) const {
  const SegmentNumber number = store_.number(segment);
  return store_.read([&](const SharedReader& reader) {
    RangeSet live;
    const auto index = reader.actor_index(actor);
    if (!index) return live;
    for (const Range& range : selected) {
      for (const auto& found : reader.live_in(number, *index, range)) live.insert(found.counter);
    }
    if (planted(Bug::live_set_too_small) && live.count() > 1) {
      return live.minus(RangeSet(Range{live.highest(), live.highest()}));
    }
    return live;
  });
}

Fingerprint StoreSource::live_fingerprint(const std::string& segment, const ActorId& actor,
                                          const RangeSet& selected) const {
  const SegmentNumber number = store_.number(segment);
  return store_.read([&](const SharedReader& reader) {
    Fingerprint sum;
    const auto index = reader.actor_index(actor);
    const auto row = index ? reader.context(number, *index) : std::nullopt;
    if (!row) return sum;
    // Walk whichever is smaller: what is selected, or what is not.
    const RangeSet inside = selected.intersect(row->covered);
    const RangeSet outside = row->covered.minus(selected);
    const bool walk_outside = outside.count() < inside.count();
    for (const Range& range : walk_outside ? outside : inside) {
      for (const auto& found : reader.live_in(number, *index, range)) {
        sum += live_term(Dot{actor, found.counter}, found.row.content);
      }
    }
    if (!walk_outside) return sum;
    Fingerprint rest = row->live;
    rest -= sum;
    return rest;
  });
}

}  // namespace loam
