#include "lib/waiting_jobs.hpp"

#include <algorithm>

namespace loam {

std::vector<Job> WaitingJobs::take_due(Time now) {
  std::vector<Job> due;
  for (auto& [line, jobs] : lines_) {
    for (; !jobs.empty() && jobs.front().first <= now; jobs.pop_front()) due.push_back(std::move(jobs.front().second));
  }
  std::erase_if(lines_, [](const auto& line) { return line.second.empty(); });
  return due;
}

std::optional<WaitingJobs::Time> WaitingJobs::next() const {
  std::optional<Time> next;
  for (const auto& [line, jobs] : lines_) next = std::min(next.value_or(jobs.front().first), jobs.front().first);
  return next;
}

void WaitingJobs::forget(const Nonce& nonce) {
  std::erase_if(lines_, [&](const auto& line) { return line.first.first == nonce; });
}

}  // namespace loam
