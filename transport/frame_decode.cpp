#include <algorithm>

#include "crdt/big_endian.hpp"
#include "crdt/error.hpp"
#include "crdt/range_codec.hpp"
#include "transport/frame.hpp"
#include "transport/frame_layout.hpp"

namespace loam {
namespace {

using namespace wire;

[[noreturn]] void reject(const std::string& why) {
  throw Error(ErrorCode::invalid, "frame: " + why);
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
  if (frame.version_min > frame.version_max) reject("hello: version_min above version_max");
  frame.federation = from.id<FederationId>();
  frame.instance = from.id<InstanceId>();
  frame.store = from.id<StoreId>();
  frame.name = from.text(name_octets_max);
  frame.nonce = from.id<ContentHash>().bytes;
  if (frame.version_max < keys_since) return frame;  // there were no keys yet; it hears that it is too old
  frame.key = *PublicKey::from(from.octets(frame.key.bytes.size()));
  frame.joins = from.boolean();
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

std::uint64_t read_counter(Elements& from) {
  const std::uint64_t counter = from.number();
  if (counter == 0 || counter > counter_max) reject("delta: a counter out of range");
  return counter;
}

std::vector<std::vector<Dot>> read_frontiers(const Array& array) {
  std::vector<std::vector<Dot>> frontiers;
  for (const Value& value : array) {
    std::vector<Dot> frontier;
    const Array& dots = as_array(value, "delta");
    if (dots.size() > batch_frontier_max) {
      throw Error(ErrorCode::limit, "frame: delta: a frontier of " + std::to_string(dots.size()) + " dots, limit " +
                                        std::to_string(batch_frontier_max));
    }
    for (const Value& each : dots) {
      Elements pair(as_array(each, "delta"), "delta");
      const auto actor = pair.id<ActorId>();
      const Dot dot{actor, read_counter(pair)};
      if (!frontier.empty() && !(frontier.back() < dot)) reject("delta: a frontier out of order");
      frontier.push_back(dot);
    }
    frontiers.push_back(std::move(frontier));
  }
  return frontiers;
}

Context read_superseded(const Array& array) {
  Context superseded;
  std::optional<ActorId> before;
  std::size_t ranges = 0;
  for (const Value& value : array) {
    Elements entry(as_array(value, "delta"), "delta");
    const auto actor = entry.id<ActorId>();
    if (before && !(*before < actor)) reject("delta: actors out of order");
    before = actor;
    const RangeSet counters = entry.some_ranges();
    if ((ranges += counters.ranges().size()) > batch_superseded_max) {
      throw Error(ErrorCode::limit, "frame: delta: a batch supersedes more than " +
                                        std::to_string(batch_superseded_max) + " ranges");
    }
    superseded.insert(actor, counters);
  }
  return superseded;
}

BatchPart read_part(Elements from, const ActorId& actor, const Delta& delta,
                    const std::vector<std::vector<Dot>>& frontiers) {
  BatchPart part;
  part.first = read_counter(from);
  const std::uint64_t count = from.number();
  if (count == 0 || count > batch_records_max || part.first + count - 1 > counter_max) {
    reject("delta: a batch of another size");
  }
  part.count = static_cast<std::uint32_t>(count);
  const std::uint64_t frontier = from.number();
  if (frontier >= frontiers.size()) reject("delta: a frontier that is not there");
  part.frontier = frontiers[frontier];
  part.signature = *Signature::from(from.octets(sizeof part.signature.bytes));
  const Bytes& rest = from.any_octets();
  if (rest.size() % 16 != 0 || rest.size() / 16 > count) reject("delta: a rest of another size");
  for (std::size_t at = 0; at < rest.size(); at += 16) {
    part.rest.push_back(*TreeHash::from(BytesView(rest).subspan(at, 16)));
  }
  part.superseded = read_superseded(from.array());
  const RangeSet live = live_in(delta, actor, part);
  const Value& here = from.next();
  part.here = here.is_nil() ? live : decode_ranges(as_octets(here, "delta"));
  if (!here.is_nil() && part.here == live) reject("delta: a batch names records that need no name");
  if (part.here.empty() || !live.contains(part.here)) reject("delta: a batch without its records");
  return part;
}

DeltaFrame read_delta(Elements& from) {
  DeltaFrame frame;
  frame.index = from.number();
  frame.upto = from.optional_number();
  const auto frontiers = read_frontiers(from.array());
  const ActorId* before = nullptr;
  for (const Value& value : from.array()) {
    Elements entry(as_array(value, "delta"), "delta");
    const BytesView ids = entry.octets(claim_octets);
    const ActorId actor = *ActorId::from(ids.first(16));
    if (before != nullptr && !(*before < actor)) reject("delta: actors out of order");
    ActorClaim claim(*InstanceId::from(ids.subspan(16, 16)));
    std::copy(ids.begin() + 32, ids.end(), claim.nonce.begin());
    before = &frame.authors.emplace(actor, claim).first->first;
    frame.delta.context.insert(actor, entry.some_ranges());
    read_records(entry.array(), actor, frame.delta);
    RangeSet named;
    for (const Value& each : entry.array()) {
      BatchPart part = read_part(Elements(as_array(each, "delta"), "delta"), actor, frame.delta, frontiers);
      if (!named.intersect(part.here).empty()) reject("delta: a record in two batches");
      named.insert(part.here);
      frame.batches[actor].push_back(std::move(part));
    }
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
  if (form > static_cast<std::uint64_t>(LiveFrame::Form::wanted)) reject("live: unknown form");
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
  frame.wanted = from.number();
  using Form = LiveFrame::Form;
  const bool has_cells = frame.form == Form::sketch || frame.form == Form::all;
  if (has_cells == frame.cells.empty()) reject("live: a sketch has cells, and nothing else has");
  const bool has_sets = frame.form == Form::sets || frame.form == Form::sketch;
  if (!has_sets && !frame.sets.empty()) reject("live: sets, where all is meant");
  if ((frame.form == Form::wanted) != (frame.wanted > 0)) reject("live: cells are not wanted");
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
    case Type::proof: return Proof{*Signature::from(from.octets(sizeof(Signature)))};
    case Type::join: {
      JoinFrame frame;
      frame.secret = from.id<ContentHash>().bytes;
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

Frame decode_frame(BytesView message) {
  const Value value = decode(message, {.octets_max = message_octets_max});
  const Array& array = as_array(value, "frame");
  Elements elements(array, "frame");
  const std::uint64_t type = elements.number();
  if (type == 0 || type > static_cast<std::uint64_t>(Type::join)) {
    throw UnknownFrame(type);
  }
  return read_frame(static_cast<Type>(type), elements);
}

}  // namespace loam
