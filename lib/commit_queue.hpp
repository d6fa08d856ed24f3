#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "lib/committer.hpp"
#include "lib/job_lines.hpp"
#include "lib/own_process.hpp"

namespace loam {

/// Octets of own jobs that may wait for the writer before callers that may block do so.
inline constexpr std::size_t commit_queue_octets_max = std::size_t{64} << 20;

/// What goes into one commit at most.
inline constexpr std::size_t commit_jobs_max = 8'192;
inline constexpr std::size_t commit_octets_max = std::size_t{16} << 20;

/// Lets one thread write at a time: a thread of its own, which takes all jobs that have queued up into one transaction
/// per environment (group commit), so that a commit's sync is shared by all that waited for the one before; or, where
/// nothing waits and nobody writes, whoever wants to wait for his jobs anyway. What peers bring takes turns, and makes
/// room for others while it is being done (lib/job_lines.hpp). Thread-safe.
class CommitQueue {
 public:
  /// `committed` is called on the thread that writes, after every commit of the shared environment. Does
  /// not throw.
  CommitQueue(SharedStore& shared, PrivateStore& priv, std::function<std::int64_t()> now_ms,
         std::function<void()> committed);

  /// Finishes what is queued, then ends the thread.
  ~CommitQueue();

  enum class Full { block, accept };

  /// Queues a job. When too much waits already, blocks, or with `accept` takes it all the same (the
  /// caller bounds itself). Throws Error(failed) after `stop`, Error(wrong_process) after fork().
  void submit(Job job, Full full);

  /// Queues jobs whose end the caller is about to wait for, and may do them right here: handing them over and back
  /// takes a tenth of a commit. Blocks and throws as `submit`. Not from a job or from `committed`.
  void submit_and_wait(std::vector<Job> jobs);

  /// Returns when everything that was queued before has been done, lazy jobs included.
  void flush();

  void stop();

 private:
  void run();
  void wake_writer();
  bool wait_for_work(std::unique_lock<std::mutex>& lock);
  std::vector<Job> take(std::unique_lock<std::mutex>& lock);
  template <class Work>
  void alone(std::unique_lock<std::mutex>& lock, Work&& work);
  bool is_free_for_caller() const;

  Committer committer_;
  OwnProcess process_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable room_;
  JobLines lines_;
  std::atomic<bool> is_urgent_ = false;  ///< somebody new is in the lines since the commit was begun
  std::vector<Job> held_;  ///< lazy jobs, already answered
  std::chrono::steady_clock::time_point held_since_;  ///< when the first of them came
  bool stopping_ = false;
  bool busy_ = false;            ///< somebody writes
  bool awaits_caller_ = false;  ///< the thread waits for a caller who writes
  std::chrono::steady_clock::time_point quiet_since_;  ///< nobody has written since
  bool folded_ = false;  ///< nothing was committed since the element index was folded
  std::thread thread_;  ///< started by the first job: a process that only reads has none
};

}  // namespace loam
