#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <tuple>

#include "crdt/id.hpp"
#include "lib/layout.hpp"

namespace loam {

/// How much of one author's in one segment a peer may bring: so many batches at once, and then so many a second.
struct QuotaLimits {
  std::uint64_t per_second = 0;  ///< 0: there is no quota
  std::uint64_t burst = 500;

  bool operator==(const QuotaLimits&) const = default;
};

/// No longer does anything wait: a link that is not read from for longer counts as dead on both sides, begins anew,
/// and would never get further.
inline constexpr std::chrono::seconds quota_wait_max{5};

/// Says how long what an author has signed waits before it is stored. Nothing is refused: the link that brings more
/// is not read from meanwhile, so that the rest waits at the peer. The generic cell rate algorithm (ITU-T I.371,
/// annex A, virtual scheduling), with a bound. Each peer is counted by itself: who sends again what another wrote long
/// ago delays nobody else. A pure state machine: the time is given. One thread.
class WriteQuota {
 public:
  using Time = std::chrono::microseconds;  ///< since any fixed moment

  explicit WriteQuota(const QuotaLimits& limits) : limits_(limits) {}

  /// Counts batches that a peer has brought now, and says until when they wait; not after `now`: they need not.
  Time take(const InstanceId& peer, SegmentNumber segment, const InstanceId& author, std::uint64_t batches, Time now);

  /// Authors that are remembered: those of whom something came of late.
  std::size_t size() const noexcept { return due_.size(); }

 private:
  using Key = std::tuple<InstanceId, SegmentNumber, InstanceId>;

  void forget(Time now);

  QuotaLimits limits_;
  std::map<Key, Time> due_;  ///< when all that came so far would have come evenly
  std::size_t forget_at_ = 1'024;
};

}  // namespace loam
