#pragma once

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
  frame.final = gen.coin();
  return frame;
}

inline loam::DeltaFrame any_delta(Gen& gen) {
  loam::DeltaFrame frame;
  frame.index = gen.number();
  frame.upto = any_optional(gen);
  for (std::size_t left = gen.index(4); left > 0; --left) {
    const auto actor = any_id<loam::ActorId>(gen);
    frame.authors[actor] = any_id<loam::InstanceId>(gen);
    frame.delta.context.insert(actor, any_ranges(gen));
    for (std::size_t records = gen.index(4); records > 0; --records) {
      frame.delta.live[{actor, 1 + (gen.number() >> 2)}] = gen.bytes(20);
    }
  }
  return frame;
}

inline loam::ContextFrame any_context(Gen& gen) {
  loam::ContextFrame frame;
  frame.index = gen.number();
  std::set<loam::ActorId> ids;
  for (std::size_t left = gen.index(5); left > 0; --left) ids.insert(any_id<loam::ActorId>(gen));
  if (!ids.empty() && gen.coin()) frame.after = ids.extract(ids.begin()).value();
  for (const loam::ActorId& id : ids) {
    frame.actors.push_back({id, any_ranges(gen), gen.number(), any_fingerprint(gen)});
  }
  if (!ids.empty() && gen.coin()) frame.last = *ids.rbegin();
  return frame;
}

inline loam::ComparedFrame any_compared(Gen& gen) {
  loam::ComparedFrame frame;
  frame.index = gen.number();
  for (std::size_t left = gen.index(4); left > 0; --left) {
    frame.summaries.push_back({any_id<loam::ActorId>(gen), any_ranges(gen), any_fingerprint(gen)});
  }
  frame.end = gen.coin();
  if (gen.coin()) frame.follow_from = loam::Position{gen.bits(), gen.number()};
  return frame;
}

inline loam::SetsFrame any_sets(Gen& gen) {
  loam::SetsFrame frame;
  frame.index = gen.number();
  frame.actor = any_id<loam::ActorId>(gen);
  frame.asked = any_ranges(gen);
  if (gen.coin()) frame.live = any_ranges(gen).intersect(frame.asked);
  frame.fingerprint = any_fingerprint(gen);
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
  return frame;
}

/// A frame of any type that a peer may send.
inline loam::Frame any_frame(Gen& gen) {
  switch (gen.below(10)) {
    case 0: return any_hello(gen);
    case 1: return loam::Bye{gen.ascii(63), gen.text(100)};
    case 2: return loam::Ping{};
    case 3: return any_state(gen);
    case 4: return any_delta(gen);
    case 5: return any_context(gen);
    case 6: return any_compared(gen);
    case 7:
      return loam::AskFrame{gen.number(), any_id<loam::ActorId>(gen), any_ranges(gen), gen.coin()};
    case 8: return any_sets(gen);
    default: return loam::AckFrame{gen.number(), gen.number(), gen.number()};
  }
}

}  // namespace test
