#include "transport/frame.hpp"

#include <algorithm>

#include "crdt/big_endian.hpp"
#include "crdt/error.hpp"
#include "crdt/hash.hpp"
#include "crdt/range_codec.hpp"

namespace loam {
namespace {

// 6 to 9 were the comparison of version 1.
enum class Type : std::uint8_t {
  hello = 1,
  bye,
  ping,
  state,
  delta,
  ack = 10,
  compare,
  context,
  live,
  dead,
  ask
};

constexpr std::size_t name_octets_max = 63;
constexpr std::size_t reason_octets_max = 512;

// Bits of one element of a state frame.
constexpr std::uint64_t wanted_bit = 1;
constexpr std::uint64_t final_bit = 2;
constexpr std::uint64_t compare_bit = 4;
constexpr std::uint64_t map_bit = 8;
constexpr std::uint64_t held_bit = 16;
constexpr std::uint64_t state_bits = 31;

// Bits of one element of a context frame.
constexpr std::uint64_t all_bit = 1;
constexpr std::uint64_t end_bit = 2;

// The lowest bit of one element of a live frame; above it is the form.
constexpr std::uint64_t more_bit = 1;

constexpr std::size_t item_octets = 8;

// The part of a state frame whose size is fixed: the digest, the sender's journal, and the journal
// that its position is in.
constexpr std::size_t state_octets = 32;

[[noreturn]] void reject(const std::string& why) {
  throw Error(ErrorCode::invalid, "frame: " + why);
}

// ---------------------------------------------------------------- live sets

std::uint64_t bitmap_octets(const RangeSet& common) noexcept { return (common.count() + 7) / 8; }

// One bit for each common counter, in ascending order, the first the highest of its octet.
Bytes bitmap_of(const LiveSet& set) {
  Bytes bits(bitmap_octets(set.common));
  std::uint64_t at = 0;
  for (const Range& range : set.common) {
    for (const Range& live : set.live.intersect(RangeSet(range))) {
      for (std::uint64_t counter = live.first; counter <= live.last; ++counter) {
        const std::uint64_t bit = at + counter - range.first;
        bits[bit / 8] |= std::byte{0x80} >> bit % 8;
      }
    }
    at += range.last - range.first + 1;
  }
  return bits;
}

RangeSet live_of(const RangeSet& common, const Bytes& bits) {
  if (bits.size() != bitmap_octets(common)) reject("live: a bitmap of another size");
  RangeSet live;
  std::uint64_t at = 0;
  for (const Range& range : common) {
    for (std::uint64_t counter = range.first; counter <= range.last; ++counter, ++at) {
      if ((bits[at / 8] & (std::byte{0x80} >> at % 8)) != std::byte{}) live.insert(counter);
    }
  }
  for (; at % 8 != 0; ++at) {
    if ((bits[at / 8] & (std::byte{0x80} >> at % 8)) != std::byte{}) reject("live: stray bits");
  }
  if (encode_ranges(live).size() <= bits.size()) reject("live: a bitmap where ranges are smaller");
  return live;
}

// ---------------------------------------------------------------- writing

struct Encoder {
  Bytes& out;
  Writer writer{out};

  Writer& begin(Type type, std::size_t elements) {
    return writer.array(elements + 1).number(static_cast<std::uint64_t>(type));
  }

  void optional_number(const std::optional<std::uint64_t>& value) {
    value ? writer.number(*value) : writer.nil();
  }

  void ranges(const RangeSet& value) { writer.octets(encode_ranges(value)); }
  void fingerprint(const Fingerprint& value) { writer.octets(value.bytes()); }

  void operator()(const Hello& frame) {
    begin(Type::hello, 7).number(frame.version_min).number(frame.version_max);
    writer.octets(frame.federation.view()).octets(frame.instance.view());
    writer.octets(frame.store.view()).text(frame.name).octets(frame.nonce);
  }

  void operator()(const Bye& frame) { begin(Type::bye, 2).text(frame.code).text(frame.reason); }

  void operator()(const Ping&) { begin(Type::ping, 0); }

  void operator()(const StateFrame& frame) {
    begin(Type::state, 7).number(frame.index).text(frame.segment);
    writer.number((frame.state.kind == Kind::map ? map_bit : 0) | (frame.wanted ? wanted_bit : 0) |
                  (frame.final ? final_bit : 0) | (frame.compare ? compare_bit : 0) |
                  (frame.held ? held_bit : 0));
    std::array<std::byte, state_octets> fixed{};
    std::copy(frame.state.digest.bytes.begin(), frame.state.digest.bytes.end(), fixed.begin());
    store_u64(fixed.data() + 16, frame.state.journal);
    store_u64(fixed.data() + 24, frame.position.journal);
    writer.octets(fixed).number(frame.state.floor).number(frame.state.head);
    writer.number(frame.position.sequence);
  }

  void operator()(const DeltaFrame& frame) {
    begin(Type::delta, 3).number(frame.index);
    optional_number(frame.upto);
    writer.array(frame.delta.context.actors().size());
    auto live = frame.delta.live.begin();
    for (const auto& [actor, covered] : frame.delta.context) {
      writer.array(4).octets(actor.view()).octets(frame.authors.at(actor).view());
      ranges(covered);
      auto end = live;
      std::size_t count = 0;
      for (; end != frame.delta.live.end() && end->first.actor == actor; ++end) ++count;
      writer.array(count * 2);
      std::uint64_t before = 0;
      for (; live != end; ++live) {
        writer.number(live->first.counter - before).octets(live->second);
        before = live->first.counter;
      }
    }
  }

  void position(const Position& value) {
    writer.array(2).number(value.journal).number(value.sequence);
  }

  void optional_position(const std::optional<Position>& value) {
    value ? position(*value) : static_cast<void>(writer.nil());
  }

  void items(const std::vector<SketchItem>& items) {
    Bytes octets(items.size() * item_octets);
    std::byte* at = octets.data();
    for (const SketchItem item : items) {
      store_u64(at, item);
      at += item_octets;
    }
    writer.octets(octets);
  }

  void operator()(const CompareFrame& frame) {
    begin(Type::compare, 10).number(frame.index).number(frame.number);
    position(frame.base);
    fingerprint(frame.context);
    writer.number(frame.actors).number(frame.records);
    writer.octets(frame.estimate).octets(frame.cells);
    items(frame.items);
    writer.boolean(frame.end);
  }

  void operator()(const ContextFrame& frame) {
    begin(Type::context, 6).number(frame.index).number(frame.number);
    optional_position(frame.base);
    writer.number((frame.all ? all_bit : 0) | (frame.end ? end_bit : 0));
    items(frame.named);
    writer.array(frame.rows.size());
    for (const ContextEntry& row : frame.rows) {
      writer.array(4).octets(row.actor.view());
      ranges(row.covered);
      writer.number(row.live_count << 1 | (row.common ? 1 : 0));
      fingerprint(row.live);
    }
  }

  // As ranges, or as a bitmap over the common counters in an array of its own where that is smaller.
  void live(const LiveSet& set) {
    const Bytes ranges = encode_ranges(set.live);
    if (ranges.size() <= bitmap_octets(set.common)) {
      writer.octets(ranges);
    } else {
      writer.array(1).octets(bitmap_of(set));
    }
  }

  void operator()(const LiveFrame& frame) {
    begin(Type::live, 6).number(frame.index).number(frame.number);
    writer.number(static_cast<std::uint64_t>(frame.form) << 1 | (frame.more ? more_bit : 0));
    optional_position(frame.base);
    const bool is_told = frame.form == LiveFrame::Form::sets;
    writer.array(frame.sets.size());
    for (const LiveSet& set : frame.sets) {
      writer.array(is_told ? 4 : 2).octets(set.actor.view());
      ranges(set.common);
      if (!is_told) continue;
      live(set);
      fingerprint(set.fingerprint);
    }
    writer.octets(frame.cells);
  }

  void operator()(const DeadFrame& frame) {
    begin(Type::dead, 5).number(frame.index).number(frame.number).boolean(frame.undecided);
    writer.array(frame.dots.actors().size());
    for (const auto& [actor, counters] : frame.dots) {
      writer.array(2).octets(actor.view());
      ranges(counters);
    }
    items(frame.items);
  }

  void operator()(const AskFrame& frame) {
    begin(Type::ask, 3).number(frame.index).octets(frame.actor.view());
    ranges(frame.selected);
  }

  void operator()(const AckFrame& frame) {
    begin(Type::ack, 3).number(frame.index).number(frame.octets).number(frame.position);
  }
};

// ---------------------------------------------------------------- reading

// Walks the elements of one array in order. What follows the known elements is skipped.
class Elements {
 public:
  Elements(const Array& array, const char* what) : array_(array), what_(what) {}

  const Value& next() {
    if (at_ >= array_.size()) reject(std::string(what_) + ": too few elements");
    return array_[at_++];
  }
  std::uint64_t number() { return as_number(next(), what_); }
  bool boolean() {
    const bool* value = next().get<bool>();
    if (value == nullptr) reject(std::string(what_) + ": not a boolean");
    return *value;
  }
  std::string text(std::size_t octets_max) {
    const std::string& text = as_text(next(), what_);
    if (text.size() > octets_max) reject(std::string(what_) + ": text too long");
    return text;
  }
  const Bytes& octets(std::size_t size) {
    const Bytes& octets = as_octets(next(), what_);
    if (octets.size() != size)
      reject(std::string(what_) + ": not " + std::to_string(size) + " octets");
    return octets;
  }
  template <class IdType>
  IdType id() {
    return as_id<IdType>(next(), what_);
  }
  const Bytes& any_octets() { return as_octets(next(), what_); }
  RangeSet ranges() { return decode_ranges(as_octets(next(), what_)); }
  RangeSet some_ranges() {
    RangeSet found = ranges();
    if (found.empty()) reject(std::string(what_) + ": no counters");
    return found;
  }
  Fingerprint fingerprint() { return Fingerprint::from(id<ContentHash>().bytes); }
  const Array& array() { return as_array(next(), what_); }
  std::optional<std::uint64_t> optional_number() {
    const Value& value = next();
    if (value.is_nil()) return std::nullopt;
    return as_number(value, what_);
  }
  Position position() {
    Elements from(array(), what_);
    const std::uint64_t journal = from.number();
    return {journal, from.number()};
  }
  std::optional<Position> optional_position() {
    if (array_.size() <= at_ || !array_[at_].is_nil()) return position();
    ++at_;
    return std::nullopt;
  }
  std::vector<SketchItem> items() {
    const Bytes& octets = as_octets(next(), what_);
    if (octets.size() % item_octets != 0) reject(std::string(what_) + ": a part of an item");
    std::vector<SketchItem> items;
    for (std::size_t i = 0; i < octets.size(); i += item_octets) {
      items.push_back(load_u64(octets.data() + i));
    }
    return items;
  }

 private:
  const Array& array_;
  const char* what_;
  std::size_t at_ = 0;
};

Hello read_hello(Elements& from) {
  Hello frame;
  frame.version_min = from.number();
  frame.version_max = from.number();
  frame.federation = from.id<FederationId>();
  frame.instance = from.id<InstanceId>();
  frame.store = from.id<StoreId>();
  frame.name = from.text(name_octets_max);
  frame.nonce = from.id<ContentHash>().bytes;
  if (frame.version_min > frame.version_max) reject("hello: version_min above version_max");
  return frame;
}

StateFrame read_state(Elements& from) {
  StateFrame frame;
  frame.index = from.number();
  frame.segment = from.text(name_octets_max);
  const std::uint64_t bits = from.number();
  frame.wanted = (bits & wanted_bit) != 0;
  frame.final = (bits & final_bit) != 0;
  frame.compare = (bits & compare_bit) != 0;
  frame.held = (bits & held_bit) != 0;
  if (bits > state_bits) reject("state: unknown kind");
  frame.state.kind = (bits & map_bit) != 0 ? Kind::map : Kind::set;
  const Bytes& fixed = from.octets(state_octets);
  std::copy_n(fixed.begin(), 16, frame.state.digest.bytes.begin());
  frame.state.journal = load_u64(fixed.data() + 16);
  frame.position.journal = load_u64(fixed.data() + 24);
  frame.state.floor = from.number();
  frame.state.head = from.number();
  frame.position.sequence = from.number();
  if (frame.state.floor > frame.state.head) reject("state: floor above head");
  return frame;
}

void read_records(const Array& flat, const ActorId& actor, Delta& delta) {
  if (flat.size() % 2 != 0) reject("delta: a counter without a record");
  std::uint64_t before = 0;
  for (std::size_t i = 0; i < flat.size(); i += 2) {
    const std::uint64_t step = as_number(flat[i], "delta");
    if (step == 0 || step > counter_max || before + step > counter_max) {
      reject("delta: counters out of order or range");
    }
    before += step;
    const Bytes& record = as_octets(flat[i + 1], "delta");
    if (record.size() > record_octets_max) {
      throw Error(ErrorCode::limit, "frame: delta: record of " + std::to_string(record.size()) +
                                        " octets, limit " + std::to_string(record_octets_max));
    }
    delta.live.emplace_hint(delta.live.end(), Dot{actor, before}, record);
  }
}

DeltaFrame read_delta(Elements& from) {
  DeltaFrame frame;
  frame.index = from.number();
  frame.upto = from.optional_number();
  const ActorId* before = nullptr;
  for (const Value& value : from.array()) {
    Elements entry(as_array(value, "delta"), "delta");
    const auto actor = entry.id<ActorId>();
    if (before != nullptr && !(*before < actor)) reject("delta: actors out of order");
    const auto author = frame.authors.emplace(actor, entry.id<InstanceId>()).first;
    before = &author->first;
    frame.delta.context.insert(actor, entry.some_ranges());
    read_records(entry.array(), actor, frame.delta);
  }
  return frame;
}

CompareFrame read_compare(Elements& from) {
  CompareFrame frame;
  frame.index = from.number();
  frame.number = from.number();
  frame.base = from.position();
  frame.context = from.fingerprint();
  frame.actors = from.number();
  frame.records = from.number();
  frame.estimate = from.any_octets();
  frame.cells = from.any_octets();
  frame.items = from.items();
  frame.end = from.boolean();
  const bool is_sketch = !frame.cells.empty();
  if (is_sketch != !frame.estimate.empty()) reject("compare: cells and estimate go together");
  if (is_sketch && !frame.items.empty()) reject("compare: cells and items");
  if (is_sketch && !frame.end) reject("compare: cells that do not end");
  if (is_sketch && frame.cells.size() % Sketch::cell_octets != 0) reject("compare: part of a cell");
  if (is_sketch && frame.estimate.size() != DifferenceEstimate::octets_size) {
    reject("compare: estimate of another size");
  }
  return frame;
}

ContextFrame read_context(Elements& from) {
  ContextFrame frame;
  frame.index = from.number();
  frame.number = from.number();
  frame.base = from.optional_position();
  const std::uint64_t bits = from.number();
  frame.all = (bits & all_bit) != 0;
  frame.end = (bits & end_bit) != 0;
  frame.named = from.items();
  for (const Value& value : from.array()) {
    Elements entry(as_array(value, "context"), "context");
    ContextEntry row;
    row.actor = entry.id<ActorId>();
    row.covered = entry.some_ranges();
    const std::uint64_t count = entry.number();
    row.live_count = count >> 1;
    row.common = (count & 1) != 0;
    row.live = entry.fingerprint();
    if (!frame.rows.empty() && !(frame.rows.back().actor < row.actor)) {
      reject("context: actors out of order");
    }
    frame.rows.push_back(std::move(row));
  }
  return frame;
}

LiveFrame read_live(Elements& from) {
  LiveFrame frame;
  frame.index = from.number();
  frame.number = from.number();
  const std::uint64_t bits = from.number();
  frame.more = (bits & more_bit) != 0;
  const std::uint64_t form = bits >> 1;
  if (form > static_cast<std::uint64_t>(LiveFrame::Form::all)) reject("live: unknown form");
  frame.form = static_cast<LiveFrame::Form>(form);
  frame.base = from.optional_position();
  for (const Value& value : from.array()) {
    Elements entry(as_array(value, "live"), "live");
    LiveSet set;
    set.actor = entry.id<ActorId>();
    set.common = entry.some_ranges();
    if (frame.form == LiveFrame::Form::sets) {
      const Value& live = entry.next();
      if (const Array* bitmap = live.get<Array>()) {
        set.live = live_of(set.common, Elements(*bitmap, "live").any_octets());
      } else {
        set.live = decode_ranges(as_octets(live, "live"));
      }
      set.fingerprint = entry.fingerprint();
      if (!set.common.contains(set.live)) reject("live: counters that are not meant");
    }
    frame.sets.push_back(std::move(set));
  }
  frame.cells = from.any_octets();
  if (frame.cells.size() % Sketch::cell_octets != 0) reject("live: part of a cell");
  if ((frame.form == LiveFrame::Form::sets) != frame.cells.empty()) {
    reject("live: a sketch has cells, and sets have none");
  }
  if (frame.form == LiveFrame::Form::all && !frame.sets.empty()) reject("live: all, and sets");
  return frame;
}

DeadFrame read_dead(Elements& from) {
  DeadFrame frame;
  frame.index = from.number();
  frame.number = from.number();
  frame.undecided = from.boolean();
  for (const Value& value : from.array()) {
    Elements entry(as_array(value, "dead"), "dead");
    const auto actor = entry.id<ActorId>();
    frame.dots.insert(actor, entry.some_ranges());
  }
  frame.items = from.items();
  return frame;
}

Frame read_frame(Type type, Elements& from) {
  switch (type) {
    case Type::hello: return read_hello(from);
    case Type::bye: {
      Bye frame;
      frame.code = from.text(name_octets_max);
      frame.reason = from.text(reason_octets_max);
      return frame;
    }
    case Type::ping: return Ping{};
    case Type::state: return read_state(from);
    case Type::delta: return read_delta(from);
    case Type::compare: return read_compare(from);
    case Type::context: return read_context(from);
    case Type::live: return read_live(from);
    case Type::dead: return read_dead(from);
    case Type::ask: {
      AskFrame frame;
      frame.index = from.number();
      frame.actor = from.id<ActorId>();
      frame.selected = from.some_ranges();
      return frame;
    }
    case Type::ack: {
      AckFrame frame;
      frame.index = from.number();
      frame.octets = from.number();
      frame.position = from.number();
      return frame;
    }
  }
  throw UnknownFrame(static_cast<std::uint64_t>(type));
}

}  // namespace

StateDigest digest_of(const Roots& roots) {
  return {hash128("loam digest 1", {roots.context.bytes(), roots.live.bytes()})};
}

SaidState said(const SegmentState& state) {
  return {state.kind, digest_of(state.roots), state.journal, state.floor, state.head};
}

Bytes encode_frame(const Frame& frame) {
  Bytes out;
  Encoder encoder{out};
  std::visit(encoder, frame);
  return out;
}

Frame decode_frame(BytesView message) {
  const Value value = decode(message, {.octets_max = message_octets_max});
  const Array& array = as_array(value, "frame");
  Elements elements(array, "frame");
  const std::uint64_t type = elements.number();
  if (type == 0 || type > static_cast<std::uint64_t>(Type::ask)) {
    throw UnknownFrame(type);
  }
  return read_frame(static_cast<Type>(type), elements);
}

}  // namespace loam
