#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "lib/committer.hpp"
#include "lib/own_process.hpp"

namespace loam {

/// Octets that may wait for the writer before callers that may block do so.
inline constexpr std::size_t commit_queue_octets_max = std::size_t{64} << 20;

/// What goes into one commit at most.
inline constexpr std::size_t commit_jobs_max = 8'192;
inline constexpr std::size_t commit_octets_max = std::size_t{16} << 20;

/// The one thread that writes: takes all jobs that have queued up into one transaction per environment
/// (group commit), so that a commit's sync is shared by all that waited for the one before. Thread-safe.
class CommitQueue {
 public:
  /// `committed` is called on the writer thread after every commit of the shared environment. Does
  /// not throw.
  CommitQueue(SharedStore& shared, PrivateStore& priv, std::function<std::int64_t()> now_ms,
         std::function<void()> committed);

  /// Finishes what is queued, then ends the thread.
  ~CommitQueue();

  enum class Full { block, accept };

  /// Queues a job. When too much waits already, blocks, or with `accept` takes it all the same (the
  /// caller bounds itself). Throws Error(failed) after `stop`, Error(wrong_process) after fork().
  void submit(Job job, Full full);

  /// Returns when everything that was queued before has been done, lazy jobs included.
  void flush();

  void stop();

 private:
  void run();
  std::vector<Job> take(std::unique_lock<std::mutex>& lock);

  Committer committer_;
  OwnProcess process_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable room_;
  std::deque<Job> queue_;
  std::vector<Job> held_;  ///< lazy jobs, already answered
  std::chrono::steady_clock::time_point held_since_;  ///< when the first of them came
  std::size_t queued_octets_ = 0;
  bool stopping_ = false;
  bool folded_ = false;  ///< nothing was committed since the element index was folded
  std::thread thread_;  ///< started by the first job: a process that only reads has none
};

}  // namespace loam
