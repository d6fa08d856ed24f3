#include "lib/signed_group.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace loam {

bool SignedGroup::add(const DeltaFrame& frame) {
  const bool repeats = std::any_of(frame.delta.live.begin(), frame.delta.live.end(),
                                   [&](const auto& record) { return delta_.live.contains(record.first); });
  if (repeats) return false;
  for (const auto& [actor, claim] : frame.authors) {
    const auto known = authors_.find(actor);
    if (known != authors_.end() && known->second != claim) return false;
  }
  const RecordHashes hashes(frame.delta.live);
  std::vector<std::pair<Key, Known>> made;
  for (const auto& [actor, parts] : frame.batches) {
    for (const BatchPart& part : parts) {
      Known with{part, records_of(actor, part, hashes)};
      const Key key{actor, part.first, part.count, part.signature.bytes};
      if (const auto at = batches_.find(key); at != batches_.end()) {
        const BatchPart& known = at->second.part;
        if (known.frontier != part.frontier || known.superseded != part.superseded) return false;
        auto records = tree_union(part.count, at->second.records, with.records);
        if (!records) return false;
        with.records = std::move(*records);
        with.part.here.insert(known.here);
      }
      const bool is_twice = std::any_of(made.begin(), made.end(), [&](const auto& each) { return each.first == key; });
      if (is_twice) return false;
      made.emplace_back(key, std::move(with));
    }
  }
  delta_.context.insert(frame.delta.context);
  delta_.live.insert(frame.delta.live.begin(), frame.delta.live.end());
  authors_.insert(frame.authors.begin(), frame.authors.end());
  for (auto& [key, known] : made) batches_.insert_or_assign(key, std::move(known));
  return true;
}

DeltaFrame SignedGroup::frame() const {
  DeltaFrame frame;
  frame.delta = delta_;
  frame.authors = authors_;
  for (const auto& [key, known] : batches_) {
    BatchPart part = known.part;
    part.rest = known.records.rest;
    frame.batches[std::get<ActorId>(key)].push_back(std::move(part));
  }
  return frame;
}

}  // namespace loam
