#pragma once

#include <algorithm>

#include <set>

#include "tests/support/gen.hpp"
#include "transport/frame.hpp"

namespace test {

template <class IdType>
IdType any_id(Gen& gen) {
  IdType id;
  for (std::byte& octet : id.bytes) octet = static_cast<std::byte>(gen.below(256));
  return id;
}

/// A non-empty set of counters.
inline loam::RangeSet any_ranges(Gen& gen) {
  loam::RangeSet ranges;
  std::uint64_t next = 1;
  for (std::size_t left = 1 + gen.index(4); left > 0; --left) {
    const std::uint64_t first = next + (gen.number() >> 8);
    const std::uint64_t last = first + (gen.number() >> 8);
    ranges.insert(loam::Range{first, last});
    next = last + 2;
  }
  return ranges;
}

inline loam::Fingerprint any_fingerprint(Gen& gen) { return {gen.bits(), gen.bits()}; }

inline std::optional<std::uint64_t> any_optional(Gen& gen) {
  if (gen.coin()) return std::nullopt;
  return gen.number();
}

inline loam::StateFrame any_state(Gen& gen) {
  loam::StateFrame frame;
  frame.index = gen.number();
  frame.segment = gen.ascii(63);
  frame.state = {gen.coin() ? loam::Kind::set : loam::Kind::map, any_id<loam::StateDigest>(gen),
                 gen.bits(), 0, gen.number()};
  frame.state.floor = gen.between(0, frame.state.head);
  frame.position = {gen.bits(), gen.number()};
  frame.wanted = gen.coin();
  frame.compare = gen.coin();
  frame.held = gen.coin();
  frame.final = gen.coin();
  return frame;
}

inline loam::BatchPart any_part(Gen& gen, std::uint64_t counter) {
  loam::BatchPart part;
  part.first = counter - std::min<std::uint64_t>(counter - 1, gen.below(4));
  part.count = static_cast<std::uint32_t>(counter - part.first + 1 + gen.below(4));
  part.here = loam::RangeSet(loam::Range{counter, counter});
  for (std::size_t left = gen.index(3); left > 0; --left) part.frontier.push_back({any_id<loam::ActorId>(gen), 1 + gen.below(9)});
  std::sort(part.frontier.begin(), part.frontier.end());
  if (gen.one_in(4)) part.superseded.insert(any_id<loam::ActorId>(gen), any_ranges(gen));
  for (std::byte& octet : part.signature.bytes) octet = static_cast<std::byte>(gen.below(256));
  part.rest.resize(gen.index(part.count + 1));
  for (loam::TreeHash& hash : part.rest) hash = any_id<loam::TreeHash>(gen);
  return part;
}

inline loam::DeltaFrame any_delta(Gen& gen) {
  loam::DeltaFrame frame;
  frame.index = gen.number();
  frame.upto = any_optional(gen);
  for (std::size_t left = gen.index(4); left > 0; --left) {
    const auto actor = any_id<loam::ActorId>(gen);
    loam::ActorClaim claim(any_id<loam::InstanceId>(gen));
    for (std::byte& octet : claim.nonce) octet = static_cast<std::byte>(gen.below(256));
    frame.authors[actor] = claim;
    frame.delta.context.insert(actor, any_ranges(gen));
    for (std::size_t records = gen.index(4); records > 0; --records) {
      frame.delta.live[{actor, 1 + (gen.number() >> 2)}] = gen.bytes(20);
    }
  }
  for (const auto& [dot, record] : frame.delta.live) {
    if (gen.coin()) frame.batches[dot.actor].push_back(any_part(gen, dot.counter));
  }
  return frame;
}

inline std::vector<loam::SketchItem> any_items(Gen& gen) {
  std::vector<loam::SketchItem> items(gen.index(5));
  for (loam::SketchItem& item : items) item = gen.bits();
  return items;
}

inline loam::Bytes any_cells(Gen& gen) {
  loam::Sketch sketch(1 + gen.index(6));
  for (std::size_t left = gen.index(4); left > 0; --left) sketch.add(gen.bits());
  return sketch.octets();
}

inline std::optional<loam::Position> any_base(Gen& gen) {
  if (gen.coin()) return std::nullopt;
  return loam::Position{gen.bits(), gen.number()};
}

inline loam::CompareFrame any_compare(Gen& gen) {
  loam::CompareFrame frame{.index = gen.number(), .number = gen.below(3)};
  frame.base = {gen.bits(), gen.number()};
  frame.context = any_fingerprint(gen);
  frame.actors = gen.number();
  frame.records = gen.number();
  if (gen.coin()) {
    frame.items = any_items(gen);
    frame.end = gen.coin();
    return frame;
  }
  frame.cells = any_cells(gen);
  frame.estimate.resize(loam::DifferenceEstimate::octets_size);
  for (std::byte& octet : frame.estimate) octet = static_cast<std::byte>(gen.below(256));
  return frame;
}

inline loam::ContextFrame any_context(Gen& gen) {
  loam::ContextFrame frame{.index = gen.number(), .number = gen.below(3)};
  frame.base = any_base(gen);
  frame.all = gen.coin();
  frame.end = gen.coin();
  frame.named = any_items(gen);
  std::set<loam::ActorId> ids;
  for (std::size_t left = gen.index(5); left > 0; --left) ids.insert(any_id<loam::ActorId>(gen));
  for (const loam::ActorId& id : ids) {
    frame.rows.push_back(
        {id, any_ranges(gen), gen.number() >> 1, any_fingerprint(gen), gen.coin()});
  }
  return frame;
}

inline loam::LiveFrame any_live(Gen& gen) {
  loam::LiveFrame frame{.index = gen.number(), .number = gen.below(3)};
  frame.form = static_cast<loam::LiveFrame::Form>(gen.below(4));
  frame.more = gen.coin();
  frame.base = any_base(gen);
  const bool is_told = frame.form == loam::LiveFrame::Form::sets;
  if (frame.form == loam::LiveFrame::Form::wanted) {
    frame.wanted = 1 + gen.below(300);
    return frame;
  }
  if (!is_told) frame.cells = any_cells(gen);
  if (frame.form == loam::LiveFrame::Form::all) return frame;
  for (std::size_t left = gen.index(4); left > 0; --left) {
    loam::LiveSet set{any_id<loam::ActorId>(gen), any_ranges(gen), {}, {}};
    if (is_told && gen.one_in(3)) set.common.insert(loam::Range{1, 1 + gen.below(200)});
    const std::uint64_t odds = 1 + gen.below(4);
    for (std::uint64_t counter = 1; is_told && counter < 200; ++counter) {
      if (set.common.contains(counter) && gen.one_in(odds)) set.live.insert(counter);
    }
    if (is_told) set.fingerprint = any_fingerprint(gen);
    frame.sets.push_back(std::move(set));
  }
  return frame;
}

inline loam::DeadFrame any_dead(Gen& gen) {
  loam::DeadFrame frame{.index = gen.number(), .number = gen.below(3)};
  frame.undecided = gen.coin();
  for (std::size_t left = gen.index(4); left > 0; --left) {
    frame.dots.insert(any_id<loam::ActorId>(gen), any_ranges(gen));
  }
  frame.items = any_items(gen);
  return frame;
}

inline loam::Hello any_hello(Gen& gen) {
  loam::Hello frame;
  frame.version_max = gen.number();
  frame.version_min = gen.between(0, frame.version_max);
  frame.federation = any_id<loam::FederationId>(gen);
  frame.instance = any_id<loam::InstanceId>(gen);
  frame.store = any_id<loam::StoreId>(gen);
  frame.name = gen.ascii(63);
  frame.nonce = any_id<loam::ContentHash>(gen).bytes;
  if (frame.version_max < 3) return frame;
  for (std::byte& octet : frame.key.bytes) octet = static_cast<std::byte>(gen.below(256));
  frame.joins = gen.coin();
  return frame;
}

/// A question of any kind, or a withdrawal.
inline loam::VoteFrame any_vote(Gen& gen) {
  loam::VoteFrame frame;
  frame.call = gen.number();
  frame.number = gen.number();
  frame.view = any_id<loam::VoterViewId>(gen);
  for (std::size_t left = gen.index(4); left > 0; --left) {
    frame.states.push_back({gen.ascii(63), any_id<loam::StateDigest>(gen)});
  }
  frame.dead = gen.coin();
  if (gen.coin()) return frame;
  frame.segment = "s" + gen.ascii(62);
  for (std::size_t left = 1 + gen.index(3); left > 0; --left) {
    frame.dots.insert(any_id<loam::ActorId>(gen), any_ranges(gen));
  }
  return frame;
}

/// A frame of any type that a peer may send.
inline loam::Frame any_frame(Gen& gen) {
  switch (gen.below(15)) {
    case 13: return any_vote(gen);
    case 14: return loam::VotedFrame{gen.number(), gen.number(), static_cast<loam::Vote>(gen.below(4))};
    case 11: return loam::Proof{any_part(gen, 1).signature};
    case 12: return loam::JoinFrame{any_id<loam::ContentHash>(gen).bytes};
    case 0: return any_hello(gen);
    case 1: return loam::Bye{gen.ascii(63), gen.text(100)};
    case 2: return loam::Ping{};
    case 3: return any_state(gen);
    case 4: return any_delta(gen);
    case 5: return any_compare(gen);
    case 6: return any_context(gen);
    case 7: return any_live(gen);
    case 8: return any_dead(gen);
    case 9: return loam::AskFrame{gen.number(), any_id<loam::ActorId>(gen), any_ranges(gen)};
    default: return loam::AckFrame{gen.number(), gen.number(), gen.number()};
  }
}

}  // namespace test
