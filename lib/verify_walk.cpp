#include "lib/verify_walk.hpp"

#include "crdt/error.hpp"
#include "crdt/record.hpp"
#include "lib/held.hpp"
#include "lib/packet_log.hpp"
#include "lib/private_tables.hpp"

namespace loam {
namespace {

// One walk over a snapshot of the shared environment.
class SharedWalk {
 public:
  SharedWalk(const SharedStore& store, const SharedReader& reader, const WalkSink& found)
      : store_(store), reader_(reader), found_(found) {}

  void run() {
    step("segs", [&] { read_segments(); });
    step("actors", [&] { check_actors(); });
    step("pending", [&] { pending_.follow(reader_.txn()); });
    step("rec", [&] { check_records(); });
    step("dot", [&] { check_dots(); });
    step("ctx", [&] { check_contexts(); });
    step("elem", [&] { check_elements(); });
    step("reg", [&] { check_registers(); });
    step("segs", [&] { check_segments(); });
    step("jrnl", [&] { check_journals(); });
    step("packets", [&] { check_packets(); });
    step("positions", [&] { check_positions(); });
    step("peers", [&] { each(table::peers, [](auto, BytesView row) { decode_peer_row(row); }); });
    step("held", [&] { check_held(); });
  }

 private:
  struct Totals {
    std::uint64_t records = 0;
    std::uint64_t octets = 0;
    Roots roots;
  };

  // What a step throws ends that step; the others go on.
  template <class Step>
  void step(const char* table, Step&& run) {
    table_ = table;
    try {
      run();
    } catch (const Error& error) {
      found_(table, std::string(error.message()));
    }
  }

  void expect(bool holds, const std::string& text) const {
    if (!holds) found_(table_, text);
  }

  template <class Visit>
  void each(lmdb::Table table, Visit&& visit) const {
    lmdb::Cursor cursor = reader_.txn().cursor(table);
    for (bool on = cursor.first(); on; on = cursor.next()) visit(cursor.key(), cursor.value());
  }

  void read_segments() {
    each(table::segs, [&](BytesView key, BytesView value) {
      expect(key.size() == 2, "a key has " + std::to_string(key.size()) + " octets");
      if (key.size() == 2) segments_.emplace(load_u16(key.data()), decode_segment_row(value));
    });
    for (const SegmentNumber number : store_.numbers()) {
      const auto at = segments_.find(number);
      const bool is_known = at != segments_.end() && at->second.name == store_.name(number);
      expect(is_known, "segment " + store_.name(number) + " is missing");
    }
  }

  void check_actors() const {
    each(table::actors, [&](BytesView key, BytesView value) {
      const ActorRow row = decode_actor_row(value);
      expect(key.size() == 4 && reader_.actor_index(row.id) == load_u32(key.data()),
             "actor " + row.id.text() + " has another number in actor_ids");
    });
    expect(reader_.txn().count(table::actor_ids) == reader_.txn().count(table::actors),
           "actor_ids has another number of rows");
  }

  void check_records() {
    lmdb::Cursor cursor = reader_.txn().cursor(table::rec, lmdb::Damage::mark);
    for (bool on = cursor.first(); on; on = cursor.next()) {
      const std::string name = "record " + std::to_string(load_u64(cursor.key().data()));
      if (cursor.is_damaged() || cursor.value().size() < record_row_octets) {
        ++damaged_;
        expect(false, name + " cannot be read");
        continue;
      }
      check_record(name, load_u64(cursor.key().data()), decode_record_row(cursor.value()));
    }
  }

  void check_record(const std::string& name, std::uint64_t sequence, const RecordRow& row) {
    const auto segment = segments_.find(row.segment);
    if (segment == segments_.end()) return expect(false, name + " is of no segment");
    const auto dot = reader_.txn().get(table::dot, dot_key(row.segment, row.actor, row.counter));
    if (!dot) return expect(false, name + " has no live dot");
    const DotRow live = decode_dot_row(*dot);
    expect(live.sequence == sequence, name + " is not the one of its dot");
    expect(live.content == content_hash(row.record), name + " has another content hash");
    Totals& totals = totals_[row.segment];
    ++totals.records;
    totals.octets += row.record.size();
    try {
      loam::check_record(segment->second.state.kind, row.record);
    } catch (const Error& error) {
      return expect(false, name + " does not decode: " + std::string(error.message()));
    }
    segment->second.state.kind == Kind::set ? check_element(name, sequence, row, segment->second)
                                            : check_register(name, sequence, row);
  }

  void check_element(const std::string& name, std::uint64_t sequence, const RecordRow& row,
                     const SegmentRow& segment) {
    const BytesView content = view_set_record(row.record).content;
    expect(row.element == element_of(segment.name, content), name + " is of another element");
    std::vector<std::uint64_t> pending;
    pending_.find(row.segment, row.element, pending);
    const bool is_pending = std::find(pending.begin(), pending.end(), sequence) != pending.end();
    const TableKey key = element_key(row.segment, row.element, sequence);
    expect(is_pending || reader_.txn().get(table::elem, key), name + " is not in the index");
  }

  void check_register(const std::string& name, std::uint64_t sequence, const RecordRow& row) {
    ++registers_;
    expect(row.element.is_zero(), name + " is an entry and has an element");
    const MapRecord entry = decode_map_record(row.record);
    const Dot dot{reader_.actor(row.actor).id, row.counter};
    const auto at =
        reader_.txn().get(table::reg, register_key(row.segment, entry.key, entry.stamp, dot));
    expect(at && at->size() == 8 && load_u64(at->data()) == sequence,
           name + " is not in the index");
  }

  void check_dots() {
    std::uint64_t batches = 0;
    each(table::dot, [&](BytesView key, BytesView value) {
      if (key.size() == batch_key_octets) return ++batches, check_batch(key, decode_batch_row(value));
      if (key.size() != dot_key_octets) return expect(false, "a key does not decode");
      const SegmentNumber segment = load_u16(key.data());
      const ActorIndex actor = load_u32(key.data() + 2);
      const std::uint64_t counter = load_u64(key.data() + 6);
      const DotRow row = decode_dot_row(value);
      const ActorId id = reader_.actor(actor).id;
      const Fingerprint term = live_term({id, counter}, row.content);
      ContextRow& live = live_[{segment, actor}];
      ++live.live_count;
      live.live += term;
      live.covered.insert(counter);
      totals_[segment].roots.live += term;
      const auto record = reader_.txn().look(table::rec, TableKey().u64(row.sequence));
      expect(record.has_value(), "a dot has no record " + std::to_string(row.sequence));
      signed_dots_ += row.batch.is_signed() ? 1 : 0;
    });
    expect(reader_.txn().count(table::rec) == reader_.txn().count(table::dot) - batches,
           "there are not as many live dots as records");
    expect(signed_dots_ == batch_dots_, "a live dot is in no batch");
  }

  // Of our own we have the key, of others the registry.
  std::optional<PublicKey> key_of(const InstanceId& author) {
    if (author == store_.instance() && store_.signing_key()) return store_.signing_key().public_key();
    if (!registry_) registry_ = store_.registry(reader_);
    return registry_ ? registry_->key_of(author) : std::nullopt;
  }

  void check_batch(BytesView key, const BatchRow& row) {
    const SegmentNumber segment = load_u16(key.data());
    const ActorIndex actor = load_u32(key.data() + 2);
    const std::uint64_t first = load_u64(key.data() + 6);
    const auto variant = std::to_integer<std::uint8_t>(key.back());
    const std::string name = "the batch of counter " + std::to_string(first) + " of actor " +
                             reader_.actor(actor).id.text();
    const std::size_t live = live_leaves(reader_, segment, actor, first, variant, row.count).size();
    batch_dots_ += live;
    expect(live > 0, name + " has no live record");
    const auto batch = batch_of(reader_, store_.identity(), segment, actor, first, variant, row);
    if (!batch) return expect(false, name + " does not fit its records");
    const auto author_key = key_of(batch->claim.author);
    expect(!author_key || is_signed_by(*author_key, {encode(*batch), row.signature}), name + " has another signature");
  }

  void check_contexts() {
    each(table::ctx, [&](BytesView key, BytesView value) {
      if (key.size() != 6) return expect(false, "a key does not decode");
      const SegmentNumber segment = load_u16(key.data());
      const ActorIndex actor = load_u32(key.data() + 2);
      const ContextRow row = decode_context_row(value);
      const ActorId id = reader_.actor(actor).id;
      const ContextRow live = live_[{segment, actor}];
      live_.erase({segment, actor});
      const std::string name = "the context of actor " + id.text();
      expect(row.covered.contains(live.covered), name + " lacks a live dot");
      expect(row.live_count == live.live_count, name + " counts other live dots");
      expect(row.live == live.live, name + " has another fingerprint");
      totals_[segment].roots.context += context_term(id, row.covered);
    });
    expect(live_.empty(), "an actor with live dots has no context");
  }

  void check_elements() const {
    each(table::elem, [&](BytesView key, BytesView) {
      if (key.size() != 26) return expect(false, "a key does not decode");
      const ElementEntry entry{load_u16(key.data()), *ElementId::from(key.subspan(2, 16)),
                               load_u64(key.data() + 18)};
      expect(reader_.is_current(entry),
             "an entry stands for record " + std::to_string(entry.sequence) + ", which is another");
    });
    const PendingState state = read_pending_state(reader_.txn());
    std::uint64_t entries = 0;
    for_pending(reader_.txn(), 0, [&](const ElementEntry&) { ++entries; });
    expect(entries == state.entries, "the pending list has another number of entries");
  }

  void check_registers() const {
    each(table::reg, [&](BytesView key, BytesView value) {
      (void)decode_register_key(key);
      const bool is_sound = value.size() == 8 &&
                            reader_.txn().look(table::rec, TableKey().u64(load_u64(value.data())));
      expect(is_sound, "an entry stands for no record");
    });
    // Those that cannot be read may be of either kind.
    const std::uint64_t count = reader_.txn().count(table::reg);
    expect(count >= registers_ && count <= registers_ + damaged_,
           "has " + std::to_string(count) + " rows for " + std::to_string(registers_) + " entries");
  }

  void check_segments() {
    for (const auto& [number, row] : segments_) {
      const Totals& totals = totals_[number];
      expect(row.state.roots.context == totals.roots.context, row.name + ": another context root");
      expect(row.state.roots.live == totals.roots.live, row.name + ": another live root");
      if (damaged_ > 0) continue;
      expect(row.records == totals.records, row.name + ": counts " + std::to_string(row.records) +
                                                " records, has " + std::to_string(totals.records));
      expect(row.octets == totals.octets, row.name + ": counts other octets");
    }
  }

  void check_journals() {
    std::map<SegmentNumber, std::uint64_t> entries;
    each(table::jrnl, [&](BytesView key, BytesView value) {
      if (key.size() != 10) return expect(false, "a key does not decode");
      const SegmentState& state = segments_[load_u16(key.data())].state;
      const std::uint64_t number = load_u64(key.data() + 2);
      expect(number == state.floor + ++entries[load_u16(key.data())], "an entry is missing");
      for (const auto& [actor, ranges] : decode_journal_row(value).changed) {
        expect(!ranges.empty(), "an entry is empty");
        (void)reader_.actor(actor);
      }
    });
    for (const auto& [number, row] : segments_) {
      expect(entries[number] == row.state.head - row.state.floor,
             row.name + ": the end is missing");
      expect(row.state.journal != 0, row.name + ": the journal has no id");
    }
  }

  void check_packets() const {
    each(table::packet_log, [&](BytesView, BytesView value) {
      expect(reader_.txn().get(table::packets, value).has_value(), "one has no receipt");
    });
    expect(reader_.txn().count(table::packets) == reader_.txn().count(table::packet_log),
           "has another number of rows than packet_log");
  }

  void check_positions() const {
    each(table::positions, [&](BytesView key, BytesView value) {
      expect(key.size() == 18 && segments_.contains(load_u16(key.data() + 16)), "of no segment");
      (void)decode_position(value);
    });
  }

  void check_held() const {
    std::uint64_t octets = 0;
    each(table::held, [&](BytesView, BytesView value) {
      for (const auto& [actor, ranges] : decode_held_row(value).dots) (void)reader_.actor(actor);
      octets += value.size();
    });
    expect(octets == held_octets(reader_.txn()), "counts other octets");
  }

  const SharedStore& store_;
  const SharedReader& reader_;
  const WalkSink& found_;
  const char* table_ = "";
  std::shared_ptr<const Registry> registry_;
  PendingIndex pending_;
  std::map<SegmentNumber, SegmentRow> segments_;
  std::map<SegmentNumber, Totals> totals_;
  std::map<std::pair<SegmentNumber, ActorIndex>, ContextRow> live_;
  std::uint64_t registers_ = 0;
  std::uint64_t signed_dots_ = 0;
  std::uint64_t batch_dots_ = 0;
  std::uint64_t damaged_ = 0;
};

void check_private_rows(const lmdb::ReadTxn& txn, lmdb::Table rows, Kind kind,
                        std::map<SegmentNumber, PrivateCounts>& counts, const WalkSink& found) {
  const char* const name = kind == Kind::set ? "rec" : "reg";
  lmdb::Cursor cursor = txn.cursor(rows, lmdb::Damage::mark);
  for (bool on = cursor.first(); on; on = cursor.next()) {
    if (cursor.key().size() < 3) {
      found(name, "a key does not decode");
      continue;
    }
    PrivateCounts& at = counts[load_u16(cursor.key().data())];
    ++at.records;
    at.octets += cursor.value().size();
    if (cursor.is_damaged()) {
      found(name, "one cannot be read");
      continue;
    }
    try {
      check_record(kind, cursor.value());
    } catch (const Error& error) {
      found(name, "one does not decode: " + std::string(error.message()));
    }
  }
}

}  // namespace

void walk_shared(const SharedStore& store, const WalkSink& found) {
  store.read([&](const SharedReader& reader) {
    SharedWalk(store, reader, found).run();
    return 0;
  });
}

void walk_private(const PrivateStore& store, const WalkSink& found) {
  store.env().read([&](const lmdb::ReadTxn& txn) {
    try {
      std::map<SegmentNumber, PrivateCounts> counts;
      check_private_rows(txn, private_table::rec, Kind::set, counts, found);
      check_private_rows(txn, private_table::reg, Kind::map, counts, found);
      lmdb::Cursor cursor = txn.cursor(private_table::counts);
      for (bool on = cursor.first(); on; on = cursor.next()) {
        const PrivateCounts& at = counts[load_u16(cursor.key().data())];
        const bool agrees = cursor.value().size() == 16 &&
                            load_u64(cursor.value().data()) == at.records &&
                            load_u64(cursor.value().data() + 8) == at.octets;
        if (!agrees) found("counts", "a segment counts other records or octets than it has");
      }
      if (txn.count(private_table::packets) != txn.count(private_table::packet_log)) {
        found("packets", "has another number of rows than packet_log");
      }
    } catch (const Error& error) {
      found({}, std::string(error.message()));
    }
    return 0;
  });
}

}  // namespace loam
