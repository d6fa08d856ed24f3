#include "lib/governed.hpp"

#include <algorithm>

namespace loam {
namespace {

// What an assignment supersedes. Absent: it does not count.
std::optional<Context> superseded_by(const SharedReader& reader, const Registry& registry,
                                     const AdmissionPlace& place, SegmentNumber segment, const StoredDot& dot) {
  const auto row = reader.batch_row(segment, dot.dot);
  if (!row || is_void(registry, place, dot.author, dot.dot, reader.frontier_of(*row))) return std::nullopt;
  Context superseded;
  for (const auto& [index, counters] : row->superseded) {
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
