#include "tests/lib/store_walk.hpp"

#include <map>
#include <set>

#include "crdt/record.hpp"

namespace loam::test {
namespace {

struct Disagreement {
  std::string what;
};

void expect(bool holds, const std::string& what) {
  if (!holds) throw Disagreement{what};
}

using Place = std::tuple<SegmentNumber, ActorIndex, std::uint64_t>;

struct Derived {
  Roots roots;
  std::uint64_t records = 0;
  std::uint64_t octets = 0;
};

/// One walk. Every step checks one table against what the steps before have collected.
class Walk {
 public:
  Walk(const SharedStore& store, const SharedReader& reader) : store_(store), reader_(reader) {
    for (const SegmentNumber number : store.numbers()) {
      rows_[number] = reader.segment(number);
      derived_[number];
    }
  }

  void run() {
    actors();
    records();
    dots();
    contexts();
    elements();
    registers();
    segments();
    journals();
    packets();
    positions();
    held();
  }

 private:
  template <class Visit>
  void each(lmdb::Table table, Visit&& visit) {
    lmdb::Cursor cursor = reader_.txn().cursor(table);
    for (bool on = cursor.first(); on; on = cursor.next()) visit(cursor.key(), cursor.value());
  }

  void actors() {
    each(table::actors, [&](BytesView key, BytesView value) {
      const ActorRow row = decode_actor_row(value);
      const ActorIndex index = load_u32(key.data());
      actors_[index] = row;
      expect(reader_.actor_index(row.id) == index, "actors: one is missing from actor_ids");
    });
    expect(reader_.txn().count(table::actor_ids) == actors_.size(), "actor_ids: has more");
  }

  void records() {
    each(table::rec, [&](BytesView key, BytesView value) {
      const RecordRow row = decode_record_row(value);
      const Place place{row.segment, row.actor, row.counter};
      expect(rows_.contains(row.segment), "rec: a segment that is not declared");
      expect(records_.emplace(place, load_u64(key.data())).second, "rec: a dot stands twice");
      const bool is_set = rows_.at(row.segment).state.kind == Kind::set;
      check_record(is_set ? Kind::set : Kind::map, row.record);
      if (is_set) {
        elements_.insert(copy_of(element_index(row, load_u64(key.data()))));
      } else {
        registers_[copy_of(register_index(row))] = load_u64(key.data());
      }
    });
  }

  TableKey element_index(const RecordRow& row, std::uint64_t sequence) {
    const auto content = view_set_record(row.record).content;
    expect(row.element == element_of(rows_.at(row.segment).name, content), "rec: wrong element");
    return element_key(row.segment, row.element, sequence);
  }

  TableKey register_index(const RecordRow& row) {
    expect(row.element.is_zero(), "rec: an entry with an element");
    const MapRecord entry = decode_map_record(row.record);
    const Dot dot{actors_.at(row.actor).id, row.counter};
    return register_key(row.segment, entry.key, entry.stamp, dot);
  }

  void dots() {
    std::size_t batches = 0;
    each(table::dot, [&](BytesView key, BytesView value) {
      if (key.size() == batch_key_octets) {
        ++batches;
        return;
      }
      const Place place{load_u16(key.data()), load_u32(key.data() + 2), load_u64(key.data() + 6)};
      const DotRow row = decode_dot_row(value);
      const auto record = records_.find(place);
      expect(record != records_.end() && record->second == row.sequence, "dot: no such record");
      const BytesView octets = reader_.record(row.sequence).record;
      expect(content_hash(octets) == row.content, "dot: wrong content hash");
      const auto [segment, actor, counter] = place;
      const Fingerprint term = live_term({actors_.at(actor).id, counter}, row.content);
      ContextRow& live = live_[{segment, actor}];
      ++live.live_count;
      live.live += term;
      live.covered.insert(counter);
      Derived& derived = derived_.at(segment);
      derived.roots.live += term;
      ++derived.records;
      derived.octets += octets.size();
    });
    expect(reader_.txn().count(table::dot) == records_.size() + batches, "rec: records without a live dot");
  }

  void contexts() {
    each(table::ctx, [&](BytesView key, BytesView value) {
      const SegmentNumber segment = load_u16(key.data());
      const ActorIndex actor = load_u32(key.data() + 2);
      const ContextRow row = decode_context_row(value);
      const ContextRow live = live_[{segment, actor}];
      live_.erase({segment, actor});
      expect(row.covered.contains(live.covered), "ctx: a live dot is not covered");
      expect(row.live_count == live.live_count, "ctx: wrong live count");
      expect(row.live == live.live, "ctx: wrong fingerprint");
      derived_.at(segment).roots.context += context_term(actors_.at(actor).id, row.covered);
    });
    expect(live_.empty(), "ctx: an actor with live dots is missing");
  }

  // The index holds what stands; its pending part may also hold what has gone.
  void elements() {
    std::set<Bytes> found;
    each(table::elem, [&](BytesView key, BytesView value) {
      expect(value.empty() && elements_.contains(copy_of(key)), "elem: an entry of no record");
      found.insert(copy_of(key));
    });
    const PendingState state = read_pending_state(reader_.txn());
    std::uint64_t entries = 0;
    for_pending(reader_.txn(), 0, [&](const ElementEntry& entry) {
      ++entries;
      const Bytes key = copy_of(element_key(entry.segment, entry.element, entry.sequence));
      if (elements_.contains(key)) found.insert(key);
      expect(reader_.is_current(entry) == elements_.contains(key), "pending: wrong about a record");
    });
    expect(entries == state.entries, "pending: wrong number of entries");
    expect(found == elements_, "elem: a record is missing");
  }

  void registers() {
    std::map<Bytes, std::uint64_t> found;
    each(table::reg, [&](BytesView key, BytesView value) {
      expect(value.size() == 8, "reg: not a sequence");
      found.emplace(copy_of(key), load_u64(value.data()));
    });
    expect(found == registers_, "reg: is not what the records say");
  }

  void segments() {
    for (const auto& [number, row] : rows_) {
      const Derived& derived = derived_.at(number);
      expect(row.name == store_.name(number), "segs: wrong name");
      expect(row.state.roots.context == derived.roots.context, row.name + ": wrong context root");
      expect(row.state.roots.live == derived.roots.live, row.name + ": wrong live root");
      expect(row.records == derived.records, row.name + ": wrong number of records");
      expect(row.octets == derived.octets, row.name + ": wrong octets");
    }
  }

  void journals() {
    std::map<SegmentNumber, std::uint64_t> entries;
    each(table::jrnl, [&](BytesView key, BytesView value) {
      const SegmentState& state = rows_.at(load_u16(key.data())).state;
      const std::uint64_t sequence = load_u64(key.data() + 2);
      expect(sequence == state.floor + ++entries[load_u16(key.data())], "jrnl: a gap");
      expect(sequence <= state.head, "jrnl: an entry beyond the head");
      const JournalRow row = decode_journal_row(value);
      expect(!row.changed.empty(), "jrnl: an empty entry");
      for (const auto& [actor, ranges] : row.changed) {
        expect(actors_.contains(actor) && !ranges.empty(), "jrnl: an actor that is not there");
      }
    });
    for (const auto& [number, row] : rows_) {
      expect(row.state.journal != 0, "segs: a journal without an id");
      expect(entries[number] == row.state.head - row.state.floor, row.name + ": journal too short");
    }
  }

  void packets() {
    std::set<Bytes> logged;
    each(table::packet_log, [&](BytesView, BytesView value) {
      expect(logged.insert(copy_of(value)).second, "packet_log: a packet twice");
      expect(reader_.txn().get(table::packets, value).has_value(), "packets: one is missing");
    });
    expect(reader_.txn().count(table::packets) == logged.size(), "packets: one is not logged");
  }

  void positions() {
    each(table::positions, [&](BytesView key, BytesView value) {
      expect(key.size() == 18 && rows_.contains(load_u16(key.data() + 16)), "positions: bad key");
      (void)decode_position(value);
    });
  }

  void held() {
    const auto counters = reader_.txn().get(table::meta, bytes_of("held"));
    std::uint64_t octets = 0;
    std::uint64_t last = 0;
    each(table::held, [&](BytesView key, BytesView value) {
      const HeldRow row = decode_held_row(value);
      expect(rows_.contains(row.segment), "held: a segment that is not declared");
      expect(!row.dots.empty(), "held: nothing it is about");
      for (const auto& [actor, ranges] : row.dots) {
        expect(actors_.contains(actor) && !ranges.empty(), "held: an actor that is not there");
      }
      octets += value.size();
      last = load_u64(key.data());
    });
    expect(!counters || load_u64(counters->data()) > last, "held: the next sequence is used");
    expect(octets == (counters ? load_u64(counters->data() + 8) : 0), "held: wrong octets");
  }

  const SharedStore& store_;
  const SharedReader& reader_;
  std::map<SegmentNumber, SegmentRow> rows_;
  std::map<SegmentNumber, Derived> derived_;
  std::map<ActorIndex, ActorRow> actors_;
  std::map<Place, std::uint64_t> records_;
  std::set<Bytes> elements_;
  std::map<Bytes, std::uint64_t> registers_;
  std::map<std::pair<SegmentNumber, ActorIndex>, ContextRow> live_;
};

}  // namespace

std::string walk(const SharedStore& store) {
  return store.read([&](const SharedReader& reader) -> std::string {
    try {
      Walk(store, reader).run();
    } catch (const Disagreement& found) {
      return found.what;
    }
    return {};
  });
}

}  // namespace loam::test
