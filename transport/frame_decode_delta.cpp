// A chunk: live records, whose they are, and what their authors have signed.
#include <algorithm>

#include "crdt/error.hpp"
#include "transport/frame_elements.hpp"

namespace loam::wire {
namespace {

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

}  // namespace

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

}  // namespace loam::wire
