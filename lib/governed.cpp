#include "lib/governed.hpp"

#include <algorithm>

namespace loam {
namespace {

// What an assignment supersedes. Absent: it does not count.
std::optional<Context> superseded_by(const SharedReader& reader, const Registry& registry,
                                     const AdmissionPlace& place, SegmentNumber segment, const StoredDot& dot) {
  const auto actor = reader.actor_index(dot.dot.actor);
  const auto placed = actor ? reader.txn().get(table::dot, dot_key(segment, *actor, dot.dot.counter)) : std::nullopt;
  if (!placed) return std::nullopt;
  const BatchPlace at = decode_dot_row(*placed).batch;
  if (!at.is_signed() || registry.is_fenced(dot.author, place.segment, dot.dot)) return std::nullopt;
  if (place.segment == registry_name && !registry.is_in_force(dot.dot)) return std::nullopt;
  const auto octets = reader.txn().get(table::dot, batch_key(segment, *actor, dot.dot.counter - at.place, at.variant));
  if (!octets) return std::nullopt;
  Context superseded;
  for (const auto& [index, counters] : decode_batch_row(*octets).superseded) {
    superseded.insert(reader.actor(index).id, counters);
  }
  return superseded;
}

}  // namespace

std::vector<StoredDot> standing_dots(const SharedReader& reader, const Registry& registry,
                                     const AdmissionPlace& place, SegmentNumber segment,
                                     const std::vector<StoredDot>& dots) {
  std::vector<StoredDot> counting;
  Context superseded;
  for (const StoredDot& dot : dots) {
    const auto others = superseded_by(reader, registry, place, segment, dot);
    if (!others) continue;
    superseded.insert(*others);
    counting.push_back(dot);
  }
  std::erase_if(counting, [&](const StoredDot& dot) { return superseded.contains(dot.dot); });
  return counting;
}

}  // namespace loam
