#pragma once

#include <signal.h>

#include <chrono>
#include <optional>

namespace loam::cli {

/// SIGTERM and SIGINT as something to wait for. Make it before any thread is made, so that all
/// inherit the mask; the old mask returns with its end. One thread waits; any may wake it.
class StopSignals {
 public:
  /// Throws Error(failed).
  StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  ~StopSignals();

  enum class Event { stop, woken, time_out };

  /// Blocks until a signal comes, `wake` was called, or the time is over (absent: never).
  Event wait(std::optional<std::chrono::milliseconds> at_most = {});

  void wake() noexcept;

 private:
  sigset_t before_;
  int signals_ = -1;
  int wakes_ = -1;
};

}  // namespace loam::cli
