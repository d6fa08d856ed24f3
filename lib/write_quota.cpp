#include "lib/write_quota.hpp"

#include <algorithm>

namespace loam {

WriteQuota::Time WriteQuota::take(const InstanceId& peer, SegmentNumber segment, const InstanceId& author,
                                  std::uint64_t batches, Time now) {
  if (limits_.per_second == 0 || batches == 0) return now;
  const auto spread = [&](std::uint64_t count) { return Time(count * 1'000'000 / limits_.per_second); };
  if (due_.size() >= forget_at_) forget(now);
  Time& due = due_.try_emplace({peer, segment, author}, now).first->second;
  due = std::min(std::max(due, now) + spread(batches), now + spread(limits_.burst) + quota_wait_max);
  return due - spread(limits_.burst);
}

// Of whom nothing came for so long is as one of whom nothing ever came.
void WriteQuota::forget(Time now) {
  std::erase_if(due_, [&](const auto& entry) { return entry.second <= now; });
  forget_at_ = std::max<std::size_t>(1'024, 2 * due_.size());
}

}  // namespace loam
