#include <algorithm>

#include "crdt/big_endian.hpp"
#include "crdt/error.hpp"
#include "crdt/range_codec.hpp"
#include "transport/frame.hpp"
#include "transport/frame_elements.hpp"
#include "transport/frame_layout.hpp"

namespace loam {
namespace {

using namespace wire;

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

VoteFrame read_vote(Elements& from) {
  VoteFrame frame;
  frame.call = from.number();
  frame.number = from.number();
  frame.view.bytes = from.id<ContentHash>().bytes;
  const Array& states = from.array();
  if (states.size() > voted_segments_max) reject("vote: too many segments");
  for (const Value& value : states) {
    Elements entry(as_array(value, "vote"), "vote");
    SaidDigest said;
    said.segment = entry.text(name_octets_max);
    said.digest.bytes = entry.id<ContentHash>().bytes;
    frame.states.push_back(std::move(said));
  }
  frame.segment = from.text(name_octets_max);
  for (const Value& value : from.array()) {
    Elements entry(as_array(value, "vote"), "vote");
    const auto actor = entry.id<ActorId>();
    frame.dots.insert(actor, entry.some_ranges());
  }
  frame.dead = from.boolean();
  if (frame.segment.empty() != frame.dots.empty()) reject("vote: dots and their segment belong together");
  return frame;
}

VotedFrame read_voted(Elements& from) {
  VotedFrame frame;
  frame.call = from.number();
  frame.number = from.number();
  const std::uint64_t vote = from.number();
  if (vote > static_cast<std::uint64_t>(Vote::no_voter)) reject("vote: not known");
  frame.vote = static_cast<Vote>(vote);
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
    case Type::vote: return read_vote(from);
    case Type::voted: return read_voted(from);
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
  if (type == 0 || type > static_cast<std::uint64_t>(Type::voted)) {
    throw UnknownFrame(type);
  }
  return read_frame(static_cast<Type>(type), elements);
}

}  // namespace loam
