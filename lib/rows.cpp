#include "lib/rows.hpp"

#include <cassert>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"

namespace loam {
namespace {

[[noreturn]] void damaged(const char* table) {
  throw Error(ErrorCode::damaged, std::string("table ") + table + ": a row does not decode");
}

struct RowWriter {
  Bytes out = {};

  RowWriter& u8(std::uint8_t value) {
    out.push_back(static_cast<std::byte>(value));
    return *this;
  }
  RowWriter& u16(std::uint16_t value) {
    return put<2>([&](std::byte* at) { store_u16(at, value); });
  }
  RowWriter& u32(std::uint32_t value) {
    return put<4>([&](std::byte* at) { store_u32(at, value); });
  }
  RowWriter& u64(std::uint64_t value) {
    return put<8>([&](std::byte* at) { store_u64(at, value); });
  }
  RowWriter& octets(BytesView value) {
    out.insert(out.end(), value.begin(), value.end());
    return *this;
  }
  RowWriter& text(std::string_view value) {
    return u16(static_cast<std::uint16_t>(value.size())).octets(bytes_of(value));
  }
  RowWriter& fingerprint(const Fingerprint& value) { return octets(value.bytes()); }

 private:
  template <std::size_t Size, class Store>
  RowWriter& put(Store&& store) {
    out.resize(out.size() + Size);
    store(out.data() + out.size() - Size);
    return *this;
  }
};

struct RowReader {
  BytesView rest;
  const char* table;

  BytesView octets(std::size_t size) {
    if (rest.size() < size) damaged(table);
    const BytesView view = rest.first(size);
    rest = rest.subspan(size);
    return view;
  }
  std::uint8_t u8() { return std::to_integer<std::uint8_t>(octets(1).front()); }
  std::uint16_t u16() { return load_u16(octets(2).data()); }
  std::uint32_t u32() { return load_u32(octets(4).data()); }
  std::uint64_t u64() { return load_u64(octets(8).data()); }
  std::string text() { return std::string(text_of(octets(u16()))); }
  template <class IdType>
  IdType id() {
    return *IdType::from(octets(16));
  }
  template <std::size_t size>
  std::array<std::byte, size> array() {
    std::array<std::byte, size> value;
    const BytesView view = octets(size);
    std::copy(view.begin(), view.end(), value.begin());
    return value;
  }
  Fingerprint fingerprint() { return Fingerprint::from(id<ContentHash>().bytes); }
  RangeSet ranges(std::size_t size) {
    try {
      return decode_ranges(octets(size));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::damaged) throw;
      damaged(table);
    }
  }
  void end() const {
    if (!rest.empty()) damaged(table);
  }
};

// Stands before what was refused of a peer. Segments are numbered from 1.
constexpr SegmentNumber refusals_follow = 0;

using ActorRanges = std::vector<std::pair<ActorIndex, RangeSet>>;

void append(RowWriter& to, const ActorRanges& dots) {
  for (const auto& [actor, ranges] : dots) {
    const Bytes octets = encode_ranges(ranges);
    to.u32(actor).u32(static_cast<std::uint32_t>(octets.size())).octets(octets);
  }
}

// To the end of the row.
ActorRanges read_dots(RowReader& from) {
  ActorRanges dots;
  while (!from.rest.empty()) {
    const ActorIndex actor = from.u32();
    const std::uint32_t size = from.u32();
    dots.emplace_back(actor, from.ranges(size));
  }
  return dots;
}

// To the end of the row: at least one, each once, in order.
std::map<SegmentNumber, std::uint64_t> read_refusals(RowReader& from) {
  std::map<SegmentNumber, std::uint64_t> refused;
  SegmentNumber last = refusals_follow;
  do {
    const SegmentNumber segment = from.u16();
    const std::uint64_t count = from.u64();
    if (segment <= last || count == 0) damaged("peers");
    refused.emplace(segment, count);
    last = segment;
  } while (!from.rest.empty());
  return refused;
}

}  // namespace

Bytes encode(const SegmentRow& row) {
  RowWriter to;
  to.text(row.name).u16(static_cast<std::uint16_t>(row.state.kind));
  to.fingerprint(row.state.roots.context).fingerprint(row.state.roots.live);
  to.u64(row.state.journal).u64(row.state.floor).u64(row.state.head);
  return to.u64(row.records).u64(row.octets).out;
}

SegmentRow decode_segment_row(BytesView octets) {
  RowReader from{octets, "segs"};
  SegmentRow row;
  row.name = from.text();
  const std::uint16_t kind = from.u16();
  if (kind > static_cast<std::uint16_t>(Kind::map)) damaged("segs");
  row.state.kind = static_cast<Kind>(kind);
  row.state.roots.context = from.fingerprint();
  row.state.roots.live = from.fingerprint();
  row.state.journal = from.u64();
  row.state.floor = from.u64();
  row.state.head = from.u64();
  row.records = from.u64();
  row.octets = from.u64();
  from.end();
  return row;
}

Bytes encode(const ContextRow& row) {
  RowWriter to;
  to.u64(row.live_count).fingerprint(row.live);
  append_ranges(to.out, row.covered);
  return to.out;
}

ContextRow decode_context_row(BytesView octets) {
  RowReader from{octets, "ctx"};
  ContextRow row;
  row.live_count = from.u64();
  row.live = from.fingerprint();
  row.covered = from.ranges(from.rest.size());
  return row;
}

Bytes encode(const ActorRow& row) {
  RowWriter to;
  to.octets(row.id.view()).octets(row.author.view());
  return row.nonce ? to.octets(*row.nonce).out : to.out;
}

ActorRow decode_actor_row(BytesView octets) {
  RowReader from{octets, "actors"};
  ActorRow row;
  row.id = from.id<ActorId>();
  row.author = from.id<InstanceId>();
  if (!from.rest.empty()) row.nonce = from.array<8>();
  from.end();
  return row;
}

Bytes encode(const DotRow& row) {
  RowWriter to;
  to.u64(row.sequence).octets(row.content.view());
  return row.batch.is_signed() ? to.u8(row.batch.place).u8(row.batch.variant).out : to.out;
}

DotRow decode_dot_row(BytesView octets) {
  RowReader from{octets, "dot"};
  DotRow row;
  row.sequence = from.u64();
  row.content = from.id<ContentHash>();
  if (from.rest.empty()) return row;
  row.batch.place = from.u8();
  row.batch.variant = from.u8();
  if (!row.batch.is_signed()) damaged("dot");
  from.end();
  return row;
}

Bytes encode(const BatchRow& row) {
  RowWriter to;
  to.u16(row.count).u16(static_cast<std::uint16_t>(row.frontier.size()));
  for (const auto& [actor, counter] : row.frontier) to.u32(actor).u64(counter);
  to.octets(row.signature.view()).u16(static_cast<std::uint16_t>(row.rest.size()));
  for (const TreeHash& hash : row.rest) to.octets(hash.view());
  append(to, row.superseded);
  return to.out;
}

BatchRow decode_batch_row(BytesView octets) {
  RowReader from{octets, "dot"};
  BatchRow row;
  row.count = from.u16();
  for (std::uint16_t left = from.u16(); left > 0; --left) {
    const ActorIndex actor = from.u32();
    row.frontier.emplace_back(actor, from.u64());
  }
  row.signature.bytes = from.array<64>();
  for (std::uint16_t left = from.u16(); left > 0; --left) row.rest.push_back(from.id<TreeHash>());
  row.superseded = read_dots(from);
  return row;
}

Bytes encode(const RecordRow& row) {
  RowWriter to;
  to.out.reserve(30 + row.record.size());
  to.u16(row.segment).u32(row.actor).u64(row.counter).octets(row.element.view());
  return to.octets(row.record).out;
}

RecordRow decode_record_row(BytesView octets) {
  RowReader from{octets, "rec"};
  RecordRow row;
  row.segment = from.u16();
  row.actor = from.u32();
  row.counter = from.u64();
  row.element = from.id<ElementId>();
  row.record = from.rest;
  return row;
}

Bytes encode(const JournalRow& row) {
  RowWriter to;
  to.octets(row.origin.view());
  append(to, row.changed);
  return to.out;
}

JournalRow decode_journal_row(BytesView octets) {
  RowReader from{octets, "jrnl"};
  JournalRow row;
  row.origin = from.id<StoreId>();
  row.changed = read_dots(from);
  return row;
}

Bytes encode(const PeerRow& row) {
  RowWriter to;
  to.text(row.name).octets(row.instance.view()).text(row.endpoint);
  to.u64(static_cast<std::uint64_t>(row.last_seen_ms));
  for (const auto& [segment, sequence] : row.confirmed) to.u16(segment).u64(sequence);
  if (!row.refused.empty()) to.u16(refusals_follow);
  for (const auto& [segment, count] : row.refused) {
    assert(segment != refusals_follow && count > 0);
    to.u16(segment).u64(count);
  }
  return to.out;
}

PeerRow decode_peer_row(BytesView octets) {
  RowReader from{octets, "peers"};
  PeerRow row;
  row.name = from.text();
  row.instance = from.id<InstanceId>();
  row.endpoint = from.text();
  row.last_seen_ms = static_cast<std::int64_t>(from.u64());
  while (!from.rest.empty()) {
    const SegmentNumber segment = from.u16();
    if (segment == refusals_follow) {
      row.refused = read_refusals(from);
    } else {
      row.confirmed.emplace_back(segment, from.u64());
    }
  }
  return row;
}

Bytes encode(const Position& position) {
  return RowWriter().u64(position.journal).u64(position.sequence).out;
}

Position decode_position(BytesView octets) {
  RowReader from{octets, "positions"};
  Position position;
  position.journal = from.u64();
  position.sequence = from.u64();
  from.end();
  return position;
}

Bytes encode(const HeldRow& row) {
  RowWriter to;
  to.u16(static_cast<std::uint16_t>(row.reason)).u16(row.segment).octets(row.peer.view());
  to.u64(static_cast<std::uint64_t>(row.at_ms));
  to.u32(static_cast<std::uint32_t>(row.record.size())).octets(row.record);
  append(to, row.dots);
  return to.out;
}

HeldRow decode_held_row(BytesView octets) {
  RowReader from{octets, "held"};
  HeldRow row;
  const std::uint16_t reason = from.u16();
  if (reason < static_cast<std::uint16_t>(HeldReason::equivocation) ||
      reason > static_cast<std::uint16_t>(HeldReason::damaged)) {
    damaged("held");
  }
  row.reason = static_cast<HeldReason>(reason);
  row.segment = from.u16();
  row.peer = from.id<StoreId>();
  row.at_ms = static_cast<std::int64_t>(from.u64());
  row.record = copy_of(from.octets(from.u32()));
  row.dots = read_dots(from);
  return row;
}

}  // namespace loam
