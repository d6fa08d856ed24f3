#pragma once

#include <compare>
#include <cstdint>

namespace loam {

/// A hybrid logical clock stamp: 48 bits of Unix milliseconds, then 16 bits of counter (Kulkarni et
/// al., "Logical Physical Clocks", 2014). Ordered as one unsigned number.
struct Hlc {
  std::uint64_t value = 0;

  auto operator<=>(const Hlc&) const = default;

  std::int64_t ms() const noexcept { return static_cast<std::int64_t>(value >> 16); }

  /// The first stamp of a millisecond. Times before 1970 count as 0, beyond 48 bits as the last.
  static Hlc at_ms(std::int64_t ms) noexcept;
};

/// How far an instance's own clock follows the stamps of others, in milliseconds.
inline constexpr std::int64_t clock_follow_max_ms = 60'000;

/// The clock of one instance. A value: time is an argument, the last stamp is its whole state.
class Clock {
 public:
  Clock() = default;
  explicit Clock(Hlc last) : last_(last) {}

  /// A stamp greater than `after`, for a wall clock that reads `now_ms`, and greater than every
  /// earlier result unless `after` was beyond now + 60 s: such a stamp is used for its key and
  /// forgotten, so that one bad clock cannot drag this one. Saturates at the greatest stamp.
  Hlc next(std::int64_t now_ms, Hlc after = {}) noexcept;

  /// Takes note of a stamp made elsewhere, up to now + 60 s.
  void observe(Hlc stamp, std::int64_t now_ms) noexcept;

  Hlc last() const noexcept { return last_; }

  bool operator==(const Clock&) const = default;

 private:
  Hlc last_;
};

}  // namespace loam
