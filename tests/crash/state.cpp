#include "tests/crash/state.hpp"

#include <stdexcept>

#include "tests/crash/script.hpp"

namespace loam::test {
namespace {

constexpr std::size_t no_limit = 1U << 30U;

template <class Visit>
void each(const lmdb::ReadTxn& txn, lmdb::Table table, Visit&& visit) {
  lmdb::Cursor cursor = txn.cursor(table);
  for (bool on = cursor.first(); on; on = cursor.next()) visit(cursor.key(), cursor.value());
}

PacketId packet_of(BytesView key) { return PacketId::from(key).value(); }

/// Reads one snapshot, table by table.
struct SharedScan {
  const SharedStore& store;
  const SharedReader& reader;
  SharedState state = {};
  std::map<ActorIndex, ActorId> actors = {};

  SegmentContents& segment(BytesView key) {
    return state.segments[store.name(load_u16(key.data()))];
  }

  SharedState run() {
    const lmdb::ReadTxn& txn = reader.txn();
    state.id = store.id();
    const auto clock = txn.get(table::meta, bytes_of(meta::clock));
    if (clock) state.clock = Hlc{load_u64(clock->data())};
    each(txn, table::actors, [&](BytesView key, BytesView value) {
      const ActorRow row = decode_actor_row(value);
      actors[load_u32(key.data())] = row.id;
      state.authors[row.id] = row.author;
    });
    segments(txn);
    each(txn, table::positions, [&](BytesView key, BytesView value) {
      const StoreId peer = StoreId::from(key.first(16)).value();
      state.positions[{peer, store.name(load_u16(key.data() + 16))}] = decode_position(value);
    });
    each(txn, table::peers, [&](BytesView key, BytesView value) {
      state.peers[StoreId::from(key).value()] = copy_of(value);
    });
    each(txn, table::packets, [&](BytesView key, BytesView value) {
      state.packets[packet_of(key)] = std::string(text_of(value));
    });
    return std::move(state);
  }

  void segments(const lmdb::ReadTxn& txn) {
    for (const SegmentNumber number : store.numbers()) {
      const SegmentState row = reader.segment(number).state;
      SegmentContents& contents = state.segments[store.name(number)];
      contents.journal = row.journal;
      contents.floor = row.floor;
      contents.head = row.head;
    }
    each(txn, table::ctx, [&](BytesView key, BytesView value) {
      const ActorId& actor = actors.at(load_u32(key.data() + 2));
      segment(key).context.insert(actor, decode_context_row(value).covered);
    });
    each(txn, table::rec, [&](BytesView, BytesView value) {
      const RecordRow row = decode_record_row(value);
      const Dot dot{actors.at(row.actor), row.counter};
      state.segments[store.name(row.segment)].live[dot] = copy_of(row.record);
    });
    each(txn, table::jrnl, [&](BytesView key, BytesView value) {
      const JournalRow row = decode_journal_row(value);
      auto& entry = segment(key).entries[load_u64(key.data() + 2)];
      entry.first = row.origin;
      for (const auto& [actor, ranges] : row.changed) entry.second.insert(actors.at(actor), ranges);
    });
  }
};

std::string number_of(std::size_t found, std::size_t expected) {
  return std::to_string(found) + " instead of " + std::to_string(expected);
}

std::string difference(const std::string& name, const SegmentContents& found,
                       const SegmentContents& expected) {
  if (found.context != expected.context) {
    return name + ": another context, of dots " +
           number_of(found.context.count(), expected.context.count());
  }
  if (found.live != expected.live) {
    return name + ": other records, " + number_of(found.live.size(), expected.live.size());
  }
  if (found.journal != expected.journal) return name + ": another journal id";
  if (found.floor != expected.floor || found.head != expected.head) {
    return name + ": the journal has another floor or head, " +
           number_of(found.head, expected.head);
  }
  return found.entries != expected.entries ? name + ": other journal entries" : std::string();
}

}  // namespace

SharedState read_state(const SharedStore& store) {
  return store.read([&](const SharedReader& reader) { return SharedScan{store, reader}.run(); });
}

PrivateState read_state(const PrivateStore& store) {
  PrivateState state;
  PacketId highest;
  highest.bytes.fill(std::byte{0xff});
  std::map<std::string, PrivateCounts> counts;
  const std::string set = private_set_segment;
  const std::string map = private_map_segment;
  for (const auto& found : store.between(store.number(set), {}, highest, no_limit)) {
    state.records[{set, found.id}] = found.record;
    ++counts[set].records;
    counts[set].octets += found.record.size();
  }
  for (const auto& found : store.entries(store.number(map), "", no_limit)) {
    state.entries[{map, found.key}] = found.record;
    ++counts[map].records;
    counts[map].octets += found.record.size();
  }
  for (const std::string& segment : {set, map}) {
    const PrivateCounts stored = store.counts(store.number(segment));
    if (stored.records != counts[segment].records || stored.octets != counts[segment].octets) {
      throw std::logic_error(segment + ": its counts are not those of its records");
    }
  }
  constexpr lmdb::Table packets{5};  // as lib/private_store.cpp numbers them
  store.env().read([&](const lmdb::ReadTxn& txn) {
    each(txn, packets, [&](BytesView key, BytesView value) {
      state.packets[packet_of(key)] = std::string(text_of(value));
    });
  });
  return state;
}

std::string difference(const SharedState& found, const SharedState& expected) {
  if (found == expected) return {};
  if (found.id != expected.id) return "another store id";
  for (const auto& [name, contents] : expected.segments) {
    const auto at = found.segments.find(name);
    if (at == found.segments.end()) return name + ": is not there";
    if (std::string what = difference(name, at->second, contents); !what.empty()) return what;
  }
  if (found.clock != expected.clock) return "another clock";
  if (found.authors != expected.authors) return "other actors";
  if (found.positions != expected.positions) return "other positions";
  if (found.peers != expected.peers) return "other peers";
  if (found.packets != expected.packets) return "other packets";
  return "other segments";
}

std::string difference(const PrivateState& found, const PrivateState& expected) {
  if (found == expected) return {};
  if (found.records != expected.records) {
    return "other private records, " + number_of(found.records.size(), expected.records.size());
  }
  return found.entries != expected.entries ? "other private entries" : "other private packets";
}

}  // namespace loam::test
