#pragma once

#include <chrono>

namespace loam {

/// The bound of the first pause before dialling again; it doubles with every failure.
inline constexpr std::chrono::milliseconds backoff_base{250};

/// The greatest bound of a pause.
inline constexpr std::chrono::milliseconds backoff_max{30'000};

/// How long a link must have been established to count as a success.
inline constexpr std::chrono::milliseconds backoff_settled{10'000};

/// When to dial again: exponential with full jitter (Brooker, "Exponential Backoff And Jitter", AWS
/// Architecture Blog, 2015). Pure: the random number is an argument. A value.
class Backoff {
 public:
  /// The next pause, from 0 up to the bound; `random` is in [0, 1). Doubles the bound.
  std::chrono::milliseconds next(double random) noexcept;

  /// Takes note of a link that was established for that long: after a settled one the bound starts
  /// again, so that a peer which refuses us right after its hello is not dialled in a loop.
  void ended(std::chrono::milliseconds established) noexcept;

  /// What the next pause stays below.
  std::chrono::milliseconds bound() const noexcept { return bound_; }

  bool operator==(const Backoff&) const = default;

 private:
  std::chrono::milliseconds bound_ = backoff_base;
};

}  // namespace loam
