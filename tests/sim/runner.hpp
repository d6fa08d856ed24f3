#pragma once

#include <functional>

#include "tests/sim/scenario.hpp"
#include "tests/sim/trace.hpp"

namespace loam::sim {

/// How one run ended.
struct Result {
  std::string failure;  ///< the first rule that was broken; empty: none
  std::uint64_t hash = 0;
  Markers markers;
  std::size_t events = 0;
};

/// Runs seeds one after another, in one directory of its own (in memory where the system has such a
/// place), which is gone at the end. One at a time per process.
class Runner {
 public:
  explicit Runner(const Switches& switches = {});
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// With `is_shown`, everything that happens is printed.
  Result run(std::uint64_t seed, const Selection& selection = {}, bool is_shown = false) const;

  /// The smallest part of a failing run that was found to fail too.
  Selection shrunk(std::uint64_t seed, const Selection& failing) const;

  const Switches& switches() const noexcept { return switches_; }

 private:
  Switches switches_;
  std::string dir_;
};

/// Leaves out what a failure does not need: kinds of events, runs of events, single events,
/// replicas, settings. `fails` is asked at most `tries` times; `failing` fails.
Selection shrunk(const Scenario& scenario, Selection failing, int tries,
                 const std::function<bool(const Selection&)>& fails);

}  // namespace loam::sim
