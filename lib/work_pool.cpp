#include "lib/work_pool.hpp"

#include <algorithm>
#include <utility>

namespace loam {

void WorkPool::add(const InstanceId& peer, std::shared_ptr<SlicedWork> work) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  const bool are_many = work->slices() > 1;
  if (idle_ == 0 && threads_.size() < threads_max_) threads_.emplace_back([this] { run(); });
  turns_.add(peer, std::move(work));
  are_many ? wake_.notify_all() : wake_.notify_one();
}

void WorkPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void WorkPool::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto slice = turns_.next();
    if (!slice) {
      ++idle_;
      wake_.wait(lock);
      --idle_;
      continue;
    }
    lock.unlock();
    slice->work->slice(slice->index);
    lock.lock();
    // Under the lock: so they end in their order, whichever threads did them.
    for (const auto& work : turns_.done(*slice)) work->end();
  }
}

std::size_t verifying_threads() {
  const std::size_t processors = std::thread::hardware_concurrency();
  return std::clamp<std::size_t>(processors, 4, 6) - 2;
}

}  // namespace loam
