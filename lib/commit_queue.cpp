#include "lib/commit_queue.hpp"

#include <chrono>
#include <future>
#include <utility>

#include "crdt/error.hpp"

namespace loam {
namespace {

// Without work for so long: lazy jobs are committed, and the element index is folded. Lazy jobs
// wait no longer either when more of them keep coming.
constexpr std::chrono::milliseconds idle_wait{500};

}  // namespace

CommitQueue::CommitQueue(SharedStore& shared, PrivateStore& priv,
                         std::function<std::int64_t()> now_ms, std::function<void()> committed)
    : committer_(shared, priv, std::move(now_ms), std::move(committed)) {}

CommitQueue::~CommitQueue() { stop(); }

void CommitQueue::submit(Job job, Full full) {
  process_.check("memory");
  std::unique_lock lock(mutex_);
  if (full == Full::block) {
    room_.wait(lock, [&] { return queued_octets_ < commit_queue_octets_max || stopping_; });
  }
  if (stopping_) throw Error(ErrorCode::failed, "memory: it is being closed");
  queued_octets_ += job.octets;
  queue_.push_back(std::move(job));
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  wake_.notify_one();
}

void CommitQueue::flush() {
  const auto reached = std::make_shared<std::promise<void>>();
  Job marker;
  marker.shared = [](SharedBatch&) {};
  marker.done = [reached](std::exception_ptr) { reached->set_value(); };
  submit(std::move(marker), Full::accept);
  reached->get_future().wait();
}

void CommitQueue::stop() {
  {
    const std::unique_lock lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
    room_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void CommitQueue::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto has_work = [&] { return !queue_.empty() || stopping_; };
    if (held_.empty() && folded_) {
      wake_.wait(lock, has_work);
    } else if (!wake_.wait_for(lock, idle_wait, has_work)) {
      std::vector<Job> jobs = std::exchange(held_, {});
      lock.unlock();
      if (!jobs.empty()) committer_.commit(std::move(jobs));
      committer_.fold();
      lock.lock();
      folded_ = true;
      continue;
    }
    if (queue_.empty() && held_.empty()) return;  // stopping, and nothing is left
    std::vector<Job> jobs = take(lock);
    folded_ = folded_ && jobs.empty();
    lock.unlock();
    if (!jobs.empty()) committer_.commit(std::move(jobs));
    lock.lock();
  }
}

// The next commit's jobs; or none, when only lazy ones wait: those are answered and held.
std::vector<Job> CommitQueue::take(std::unique_lock<std::mutex>& lock) {
  const auto now = std::chrono::steady_clock::now();
  if (held_.empty()) held_since_ = now;
  std::vector<Job> jobs = std::exchange(held_, {});
  std::size_t octets = 0;
  bool is_lazy = !stopping_ && now - held_since_ < idle_wait;
  while (!queue_.empty() && jobs.size() < commit_jobs_max && octets < commit_octets_max) {
    octets += queue_.front().octets;
    is_lazy = is_lazy && queue_.front().lazy;
    jobs.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  queued_octets_ -= octets;
  room_.notify_all();
  if (!is_lazy) return jobs;
  lock.unlock();
  for (Job& job : jobs) end(job, nullptr);
  lock.lock();
  held_ = std::move(jobs);
  return {};
}

}  // namespace loam
