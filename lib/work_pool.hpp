#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "lib/turns.hpp"

namespace loam {

/// Does what peers bring in threads of its own, a slice of each in turn. The threads are started when they are needed.
/// Thread-safe.
class WorkPool {
 public:
  explicit WorkPool(std::size_t threads_max) : threads_max_(threads_max) {}
  ~WorkPool() { stop(); }

  /// A peer's works end in the order of the calls.
  void add(const InstanceId& peer, std::shared_ptr<SlicedWork> work);

  /// Waits for slices that are under way. What has not ended never does.
  void stop();

 private:
  void run();

  const std::size_t threads_max_;
  std::mutex mutex_;
  std::condition_variable wake_;
  Turns turns_;
  std::size_t idle_ = 0;  ///< threads that wait
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

/// Threads that verify: as many as there are processors beside the one that writes and the one that reads links, between
/// two and four.
std::size_t verifying_threads();

}  // namespace loam
