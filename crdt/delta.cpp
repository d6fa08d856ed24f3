#include "crdt/delta.hpp"

#include <algorithm>
#include <stdexcept>

#include "crdt/error.hpp"

namespace loam {

void check_delta(Kind kind, const Delta& delta) {
  for (const auto& [actor, ranges] : delta.context) {
    if (ranges.highest() > counter_max) {
      throw Error(ErrorCode::invalid, "delta: counter " + std::to_string(ranges.highest()) +
                                          " of actor " + actor.text() + " is out of range");
    }
  }
  for (const auto& [dot, record] : delta.live) {
    if (!delta.context.contains(dot)) {
      throw Error(ErrorCode::invalid, "delta: live dot " + std::to_string(dot.counter) + " of " +
                                          dot.actor.text() + " is outside its context");
    }
    check_record(kind, record);
  }
}

RecordHashes::RecordHashes(const std::map<Dot, Bytes>& live) {
  hashes_.reserve(live.size());
  for (const auto& [dot, record] : live) hashes_.emplace_back(dot, content_hash(record));
}

std::vector<RecordHashes::Entry>::const_iterator RecordHashes::find(const Dot& dot) const {
  const auto at = std::lower_bound(hashes_.begin(), hashes_.end(), dot,
                                   [](const Entry& entry, const Dot& wanted) { return entry.first < wanted; });
  if (at == hashes_.end() || at->first != dot) throw std::out_of_range("a record that was not hashed");
  return at;
}

const ContentHash& RecordHashes::at(const Dot& dot) const { return find(dot)->second; }

std::vector<ContentHash> RecordHashes::at(const ActorId& actor, Range counters) const {
  std::vector<ContentHash> found;
  auto entry = find({actor, counters.first});
  for (std::uint64_t counter = counters.first; counter <= counters.last; ++counter, ++entry) {
    const bool is_there = entry != hashes_.end() && entry->first == Dot{actor, counter};
    if (!is_there) throw std::out_of_range("a record that was not hashed");
    found.push_back(entry->second);
  }
  return found;
}

}  // namespace loam
