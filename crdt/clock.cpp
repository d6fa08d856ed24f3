#include "crdt/clock.hpp"
#include "planted.hpp"

#include <algorithm>
#include <limits>

namespace loam {
namespace {

constexpr std::int64_t ms_max = (std::int64_t{1} << 48) - 1;

Hlc successor(Hlc stamp) noexcept {
  if (stamp.value == std::numeric_limits<std::uint64_t>::max()) return stamp;
  return Hlc{stamp.value + 1};
}

// The greatest stamp that the clock may take over while the wall clock reads now_ms.
Hlc follow_bound(std::int64_t now_ms) noexcept {
  const std::int64_t now = std::clamp<std::int64_t>(now_ms, 0, ms_max);
  return Hlc{Hlc::at_ms(std::min(now + clock_follow_max_ms, ms_max)).value | 0xffff};
}

}  // namespace

Hlc Hlc::at_ms(std::int64_t ms) noexcept {
  return Hlc{static_cast<std::uint64_t>(std::clamp<std::int64_t>(ms, 0, ms_max)) << 16};
}

Hlc Clock::next(std::int64_t now_ms, Hlc after) noexcept {
  const Hlc own = std::max(Hlc::at_ms(now_ms), successor(last_));
  const Hlc stamp = std::max(own, successor(after));
  const Hlc bound = follow_bound(now_ms);
  last_ = after > bound ? std::max(own, bound) : stamp;
  return stamp;
}

void Clock::observe(Hlc stamp, std::int64_t now_ms) noexcept {
  const Hlc bound = planted(Bug::clock_follows_anybody) ? stamp : follow_bound(now_ms);
  last_ = std::max(last_, std::min(stamp, bound));
}

}  // namespace loam
