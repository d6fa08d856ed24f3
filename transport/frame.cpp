#include "transport/frame.hpp"

#include <algorithm>

#include "crdt/big_endian.hpp"
#include "crdt/error.hpp"
#include "crdt/hash.hpp"
#include "crdt/range_codec.hpp"

namespace loam {
namespace {

enum class Type : std::uint8_t {
  hello = 1,
  bye,
  ping,
  state,
  delta,
  context,
  compared,
  ask,
  sets,
  ack
};

constexpr std::size_t name_octets_max = 63;
constexpr std::size_t reason_octets_max = 512;

// Bits of one element of a state frame; above them is the kind.
constexpr std::uint64_t wanted_bit = 1;
constexpr std::uint64_t final_bit = 2;
constexpr std::uint64_t compare_bit = 4;
constexpr unsigned kind_shift = 3;

// The part of a state frame whose size is fixed: the digest, the sender's journal, and the journal
// that its position is in.
constexpr std::size_t state_octets = 32;

[[noreturn]] void reject(const std::string& why) {
  throw Error(ErrorCode::invalid, "frame: " + why);
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

  void optional_actor(const std::optional<ActorId>& value) {
    value ? writer.octets(value->view()) : writer.nil();
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
    writer.number((static_cast<std::uint64_t>(frame.state.kind) << kind_shift) |
                  (frame.wanted ? wanted_bit : 0) | (frame.final ? final_bit : 0) |
                  (frame.compare ? compare_bit : 0));
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

  void operator()(const ContextFrame& frame) {
    begin(Type::context, 4).number(frame.index);
    optional_actor(frame.after);
    optional_actor(frame.last);
    writer.array(frame.actors.size());
    for (const ActorState& actor : frame.actors) {
      writer.array(4).octets(actor.actor.view());
      ranges(actor.covered);
      writer.number(actor.live_count);
      fingerprint(actor.live);
    }
  }

  void operator()(const ComparedFrame& frame) {
    begin(Type::compared, 4).number(frame.index).array(frame.summaries.size());
    for (const Summary& summary : frame.summaries) {
      writer.array(3).octets(summary.actor.view());
      ranges(summary.common);
      fingerprint(summary.live);
    }
    writer.boolean(frame.end);
    if (!frame.follow_from) {
      writer.nil();
      return;
    }
    writer.array(2).number(frame.follow_from->journal).number(frame.follow_from->sequence);
  }

  void operator()(const AskFrame& frame) {
    begin(Type::ask, 4).number(frame.index).octets(frame.actor.view());
    ranges(frame.selected);
    writer.boolean(frame.records);
  }

  void operator()(const SetsFrame& frame) {
    begin(Type::sets, 5).number(frame.index).octets(frame.actor.view());
    ranges(frame.asked);
    ranges(frame.live);
    fingerprint(frame.fingerprint);
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
  std::optional<ActorId> optional_actor() {
    const Value& value = next();
    if (value.is_nil()) return std::nullopt;
    return as_id<ActorId>(value, what_);
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
  const std::uint64_t kind = bits >> kind_shift;
  if (kind > static_cast<std::uint64_t>(Kind::map)) reject("state: unknown kind");
  frame.state.kind = static_cast<Kind>(kind);
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

void read_live(const Array& flat, const ActorId& actor, Delta& delta) {
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
    read_live(entry.array(), actor, frame.delta);
  }
  return frame;
}

ContextFrame read_context(Elements& from) {
  ContextFrame frame;
  frame.index = from.number();
  frame.after = from.optional_actor();
  frame.last = from.optional_actor();
  std::optional<ActorId> before = frame.after;
  for (const Value& value : from.array()) {
    Elements entry(as_array(value, "context"), "context");
    ActorState actor;
    actor.actor = entry.id<ActorId>();
    actor.covered = entry.some_ranges();
    actor.live_count = entry.number();
    actor.live = entry.fingerprint();
    if (before && !(*before < actor.actor)) reject("context: actors out of order");
    before = actor.actor;
    frame.actors.push_back(std::move(actor));
  }
  if (frame.last && (!before || *before != *frame.last || *before == frame.after)) {
    reject("context: does not end with its last actor");
  }
  return frame;
}

ComparedFrame read_compared(Elements& from) {
  ComparedFrame frame;
  frame.index = from.number();
  for (const Value& value : from.array()) {
    Elements entry(as_array(value, "compared"), "compared");
    Summary summary;
    summary.actor = entry.id<ActorId>();
    summary.common = entry.some_ranges();
    summary.live = entry.fingerprint();
    frame.summaries.push_back(std::move(summary));
  }
  frame.end = from.boolean();
  if (const Value& value = from.next(); !value.is_nil()) {
    Elements position(as_array(value, "compared"), "compared");
    frame.follow_from = {position.number(), position.number()};
  }
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
    case Type::context: return read_context(from);
    case Type::compared: return read_compared(from);
    case Type::ask: {
      AskFrame frame;
      frame.index = from.number();
      frame.actor = from.id<ActorId>();
      frame.selected = from.some_ranges();
      frame.records = from.boolean();
      return frame;
    }
    case Type::sets: {
      SetsFrame frame;
      frame.index = from.number();
      frame.actor = from.id<ActorId>();
      frame.asked = from.some_ranges();
      frame.live = from.ranges();
      frame.fingerprint = from.fingerprint();
      if (!frame.asked.contains(frame.live)) reject("sets: live counters that were not asked for");
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
  if (type == 0 || type > static_cast<std::uint64_t>(Type::ack)) {
    throw UnknownFrame(type);
  }
  return read_frame(static_cast<Type>(type), elements);
}

}  // namespace loam
