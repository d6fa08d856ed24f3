#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <utility>

#include "crdt/id.hpp"
#include "lib/layout.hpp"

namespace loam {

/// How much of one author's in one segment links may bring: so many batches at once, and then so many a second.
struct QuotaLimits {
  std::uint64_t per_second = 0;  ///< 0: there is no quota
  std::uint64_t burst = 500;

  bool operator==(const QuotaLimits&) const = default;
};

/// Says how long what an author has signed waits before it is stored. Nothing is refused: the link that brings more
/// is not read from meanwhile, so that the rest waits at the peer. The generic cell rate algorithm (ITU-T I.371,
/// annex A, virtual scheduling). A pure state machine: the time is given. One thread.
class WriteQuota {
 public:
  using Time = std::chrono::microseconds;  ///< since any fixed moment

  explicit WriteQuota(const QuotaLimits& limits) : limits_(limits) {}

  /// Counts batches that have come now, and says until when they wait; not after `now`: they need not.
  Time take(SegmentNumber segment, const InstanceId& author, std::uint64_t batches, Time now);

  /// Authors that are remembered: those who have written of late.
  std::size_t size() const noexcept { return due_.size(); }

 private:
  void forget(Time now);

  QuotaLimits limits_;
  std::map<std::pair<SegmentNumber, InstanceId>, Time> due_;  ///< when all that came so far would have come evenly
  std::size_t forget_at_ = 1'024;
};

}  // namespace loam
