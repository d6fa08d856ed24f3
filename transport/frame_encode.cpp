#include <algorithm>

#include "crdt/big_endian.hpp"
#include "crdt/hash.hpp"
#include "crdt/range_codec.hpp"
#include "transport/frame.hpp"
#include "transport/frame_layout.hpp"

namespace loam {
namespace {

using namespace wire;

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

Bytes octets_of(const std::vector<TreeHash>& hashes) {
  Bytes octets;
  for (const TreeHash& hash : hashes) octets.insert(octets.end(), hash.bytes.begin(), hash.bytes.end());
  return octets;
}

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
    const bool has_key = frame.version_max >= keys_since;
    begin(Type::hello, has_key ? 9 : 7).number(frame.version_min).number(frame.version_max);
    writer.octets(frame.federation.view()).octets(frame.instance.view());
    writer.octets(frame.store.view()).text(frame.name).octets(frame.nonce);
    if (has_key) writer.octets(frame.key.view()).boolean(frame.joins);
  }

  void operator()(const Proof& frame) { begin(Type::proof, 1).octets(frame.signature.view()); }

  void operator()(const JoinFrame& frame) { begin(Type::join, 1).octets(frame.secret); }

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

  void frontier(const std::vector<Dot>& dots) {
    writer.array(dots.size());
    for (const Dot& dot : dots) writer.array(2).octets(dot.actor.view()).number(dot.counter);
  }

  void context(const Context& dots) {
    writer.array(dots.actors().size());
    for (const auto& [actor, counters] : dots) {
      writer.array(2).octets(actor.view());
      ranges(counters);
    }
  }

  // `frontiers` has the number of each.
  void parts(const DeltaFrame& frame, const ActorId& actor,
             const std::map<std::vector<Dot>, std::uint64_t>& frontiers) {
    const auto at = frame.batches.find(actor);
    if (at == frame.batches.end()) return static_cast<void>(writer.array(0));
    writer.array(at->second.size());
    for (const BatchPart& part : at->second) {
      writer.array(7).number(part.first).number(part.count).number(frontiers.at(part.frontier));
      writer.octets(part.signature.view()).octets(octets_of(part.rest));
      context(part.superseded);
      part.here == live_in(frame.delta, actor, part) ? static_cast<void>(writer.nil()) : ranges(part.here);
    }
  }

  void operator()(const DeltaFrame& frame) {
    begin(Type::delta, 4).number(frame.index);
    optional_number(frame.upto);
    std::map<std::vector<Dot>, std::uint64_t> frontiers;
    std::vector<const std::vector<Dot>*> in_order;
    for (const auto& [actor, parts] : frame.batches) {
      for (const BatchPart& part : parts) {
        if (frontiers.emplace(part.frontier, in_order.size()).second) in_order.push_back(&part.frontier);
      }
    }
    writer.array(in_order.size());
    for (const auto* each : in_order) frontier(*each);
    writer.array(frame.delta.context.actors().size());
    auto live = frame.delta.live.begin();
    for (const auto& [actor, covered] : frame.delta.context) {
      const ActorClaim& claim = frame.authors.at(actor);
      std::array<std::byte, claim_octets> ids{};
      std::copy(claim.nonce.begin(), claim.nonce.end(),
                std::copy(claim.author.bytes.begin(), claim.author.bytes.end(),
                          std::copy(actor.bytes.begin(), actor.bytes.end(), ids.begin())));
      writer.array(4).octets(ids);
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
      parts(frame, actor, frontiers);
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
    begin(Type::live, 7).number(frame.index).number(frame.number);
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
    writer.octets(frame.cells).number(frame.wanted);
  }

  void operator()(const DeadFrame& frame) {
    begin(Type::dead, 5).number(frame.index).number(frame.number).boolean(frame.undecided);
    context(frame.dots);
    items(frame.items);
  }

  void operator()(const AskFrame& frame) {
    begin(Type::ask, 3).number(frame.index).octets(frame.actor.view());
    ranges(frame.selected);
  }

  void operator()(const AckFrame& frame) {
    begin(Type::ack, 3).number(frame.index).number(frame.octets).number(frame.position);
  }

  void operator()(const VoteFrame& frame) {
    begin(Type::vote, 7).number(frame.call).number(frame.number).octets(frame.view.view());
    writer.array(frame.states.size());
    for (const SaidDigest& said : frame.states) writer.array(2).text(said.segment).octets(said.digest.view());
    writer.text(frame.segment);
    context(frame.dots);
    writer.boolean(frame.dead);
  }

  void operator()(const VotedFrame& frame) {
    begin(Type::voted, 3).number(frame.call).number(frame.number).number(static_cast<std::uint64_t>(frame.vote));
  }
};

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

}  // namespace loam
