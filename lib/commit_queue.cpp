#include "lib/commit_queue.hpp"

#include <algorithm>
#include <chrono>
#include <future>
#include <map>
#include <utility>

#include "crdt/error.hpp"

namespace loam {
namespace {

// Without work for so long: lazy jobs are committed, and the element index is folded. Lazy jobs
// wait no longer either when more of them keep coming.
constexpr std::chrono::milliseconds idle_wait{500};

void end(Job& job, const std::exception_ptr& failure) {
  if (job.done) std::exchange(job.done, nullptr)(failure);
}

}  // namespace

CommitQueue::CommitQueue(SharedStore& shared, PrivateStore& priv,
                         std::function<std::int64_t()> now_ms, std::function<void()> committed)
    : shared_(shared),
      private_(priv),
      now_ms_(std::move(now_ms)),
      committed_(std::move(committed)) {}

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
      if (!jobs.empty()) commit(std::move(jobs));
      fold();
      lock.lock();
      folded_ = true;
      continue;
    }
    if (queue_.empty() && held_.empty()) return;  // stopping, and nothing is left
    std::vector<Job> jobs = take(lock);
    folded_ = folded_ && jobs.empty();
    lock.unlock();
    if (!jobs.empty()) commit(std::move(jobs));
    lock.lock();
  }
}

// Time to spare: readers are quickest when no part of the element index is pending.
void CommitQueue::fold() {
  try {
    const bool has_pending = shared_.env().read(
        [](const lmdb::ReadTxn& txn) { return read_pending_state(txn).entries > 0; });
    if (!has_pending) return;
  } catch (const Error&) {
    return;  // whoever reads or writes next is told
  }
  Job job;
  job.shared = [](SharedBatch& batch) { batch.fold(); };
  std::vector<Job> jobs;
  jobs.push_back(std::move(job));
  commit(std::move(jobs));
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

// Runs a group of jobs in one transaction. A job that fails is left out and the others run again;
// when the transaction itself fails, each job is tried alone, so that the innocent ones get
// through. None is tried before those queued earlier have been told how they ended.
template <class Run>
void CommitQueue::commit_group(const std::vector<Job*>& jobs, Run&& run) {
  std::map<Job*, std::exception_ptr> failed;
  std::vector<Job*> group = jobs;
  while (!group.empty()) {
    const bool all_remove = std::all_of(group.begin(), group.end(), [](const Job* job) {
      return job->space == lmdb::Space::removal;
    });
    const auto space = all_remove ? lmdb::Space::removal : lmdb::Space::normal;
    std::size_t current = group.size();
    bool is_own = true;
    std::exception_ptr failure;
    try {
      run(group, current, space);
      break;
    } catch (const Error& error) {
      failure = std::current_exception();
      is_own = error.code() != ErrorCode::out_of_space;
    } catch (...) {
      failure = std::current_exception();
    }
    is_own = is_own && current < group.size();
    if (!is_own && group.size() > 1) {
      for (Job* job : jobs) {
        const auto known = failed.find(job);
        known != failed.end() ? end(*job, known->second) : commit_group({job}, run);
      }
      return;
    }
    if (!is_own) current = 0;
    failed[group[current]] = failure;
    group.erase(group.begin() + static_cast<std::ptrdiff_t>(current));
  }
  for (Job* job : jobs) end(*job, failed[job]);
}

void CommitQueue::commit(std::vector<Job> jobs) {
  std::vector<Job*> shared;
  std::vector<Job*> priv;
  for (Job& job : jobs) (job.shared ? shared : priv).push_back(&job);
  const std::int64_t now = now_ms_();
  commit_group(shared,
               [&](const std::vector<Job*>& group, std::size_t& current, lmdb::Space space) {
                 shared_.env().write(
                     [&](lmdb::WriteTxn& txn) {
                       SharedBatch batch(shared_, txn, now);
                       for (current = 0; current < group.size(); ++current)
                         group[current]->shared(batch);
                       batch.finish();
                     },
                     space);
                 committed_();
               });
  commit_group(priv, [&](const std::vector<Job*>& group, std::size_t& current, lmdb::Space space) {
    private_.env().write(
        [&](lmdb::WriteTxn& txn) {
          PrivateBatch batch(private_, txn);
          for (current = 0; current < group.size(); ++current) group[current]->priv(batch);
        },
        space);
  });
}

}  // namespace loam
