#include "lib/commit_queue.hpp"

#include <algorithm>
#include <chrono>
#include <future>
#include <iterator>
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
    room_.wait(lock, [&] { return lines_.own_octets() < commit_queue_octets_max || stopping_; });
  }
  if (stopping_) throw Error(ErrorCode::failed, "memory: it is being closed");
  lines_.add(std::move(job));
  wake_writer();
}

void CommitQueue::wake_writer() {
  is_urgent_ = lines_.has_newcomer();
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  if (!busy_) wake_.notify_one();  // who writes looks whether there is more
}

void CommitQueue::flush() {
  process_.check("memory");
  const auto reached = std::make_shared<std::promise<void>>();
  const auto left = std::make_shared<std::atomic<std::size_t>>(1);
  const auto count_down = [reached, left](const std::exception_ptr&) {
    if (--*left == 0) reached->set_value();
  };
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) throw Error(ErrorCode::failed, "memory: it is being closed");
    lines_.add_everywhere([&] {
      ++*left;
      Job marker;
      marker.shared = [](SharedBatch&) {};
      marker.done = count_down;
      return marker;
    });
    wake_writer();
  }
  count_down(nullptr);
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

// Of an environment of which this thread holds a snapshot it cannot be the writer.
bool CommitQueue::is_free_for_caller() const {
  return !busy_ && lines_.empty() && !stopping_ && !committer_.is_read_here();
}

void CommitQueue::submit_and_wait(std::vector<Job> jobs) {
  process_.check("memory");
  std::unique_lock lock(mutex_);
  if (!is_free_for_caller()) {
    lock.unlock();
    for (Job& job : jobs) submit(std::move(job), Full::block);
    return;
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  // Lazy ones have been answered already; they come first, as they came first.
  jobs.insert(jobs.begin(), std::make_move_iterator(held_.begin()), std::make_move_iterator(held_.end()));
  held_.clear();
  const bool is_news = std::exchange(folded_, false);
  alone(lock, [&] { committer_.commit(std::move(jobs)); });
  if (is_news || awaits_caller_ || !lines_.empty() || stopping_) wake_.notify_one();
}

// Without the lock, and nobody else writes meanwhile.
template <class Work>
void CommitQueue::alone(std::unique_lock<std::mutex>& lock, Work&& work) {
  struct Turn {
    CommitQueue& queue;
    std::unique_lock<std::mutex>& lock;
    Turn(CommitQueue& of, std::unique_lock<std::mutex>& held) : queue(of), lock(held) {
      queue.busy_ = true;
      lock.unlock();
    }
    ~Turn() {
      lock.lock();
      queue.busy_ = false;
      queue.quiet_since_ = std::chrono::steady_clock::now();
    }
  };
  const Turn turn(*this, lock);
  work();
}

// False: there is none, and has been none for a while.
bool CommitQueue::wait_for_work(std::unique_lock<std::mutex>& lock) {
  while (true) {
    if (busy_) {
      awaits_caller_ = true;
      wake_.wait(lock, [&] { return !busy_; });
      awaits_caller_ = false;
    }
    const auto has_work = [&] { return !lines_.empty() || stopping_; };
    if (has_work()) return true;
    if (held_.empty() && folded_) {
      wake_.wait(lock);
      continue;
    }
    const auto idle_at = std::max(quiet_since_, held_.empty() ? quiet_since_ : held_since_) + idle_wait;
    if (std::chrono::steady_clock::now() >= idle_at) return false;
    wake_.wait_until(lock, idle_at);
  }
}

void CommitQueue::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (!wait_for_work(lock)) {
      std::vector<Job> jobs = std::exchange(held_, {});
      alone(lock, [&] {
        if (!jobs.empty()) committer_.commit(std::move(jobs));
        committer_.fold();
      });
      folded_ = true;
      continue;
    }
    if (lines_.empty() && held_.empty()) return;  // stopping, and nothing is left
    std::vector<Job> jobs = take(lock);
    if (jobs.empty()) continue;
    folded_ = false;
    Committer::Rest rest;
    alone(lock, [&] { rest = committer_.commit(std::move(jobs), [this] { return is_urgent_.load(); }); });
    if (!rest.jobs.empty()) lines_.put_back(std::move(rest.jobs), rest.after);
  }
}

// The next commit's jobs; or none, when only lazy ones wait: those are answered and held.
std::vector<Job> CommitQueue::take(std::unique_lock<std::mutex>& lock) {
  const auto now = std::chrono::steady_clock::now();
  if (held_.empty()) held_since_ = now;
  std::vector<Job> jobs = lines_.take(commit_jobs_max, commit_octets_max);
  is_urgent_ = false;
  const bool is_lazy = !stopping_ && now - held_since_ < idle_wait &&
                       std::all_of(jobs.begin(), jobs.end(), [](const Job& job) { return job.lazy; });
  jobs.insert(jobs.begin(), std::make_move_iterator(held_.begin()), std::make_move_iterator(held_.end()));
  held_.clear();
  room_.notify_all();
  if (!is_lazy) return jobs;
  alone(lock, [&] {
    for (Job& job : jobs) end(job, nullptr);
  });
  held_ = std::move(jobs);
  return {};
}

}  // namespace loam
