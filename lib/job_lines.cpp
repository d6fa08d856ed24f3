#include "lib/job_lines.hpp"

#include <utility>

namespace loam {
namespace {

constexpr std::size_t turn_octets_of_job = 64;  // besides its own: many small ones are work too

}  // namespace

void JobLines::add(Job job) {
  const bool is_own = !job.peer;
  has_newcomer_ = has_newcomer_ || (is_own ? !job.lazy : !taken_.contains(job.peer));
  if (is_own) own_octets_ += job.octets;
  std::deque<Job>& line = lines_[job.peer];
  line.push_back(std::move(job));
}

void JobLines::add_everywhere(const std::function<Job()>& make) {
  std::set<Line> lines = taken_;  // what was taken may be put back
  lines.insert(Line());
  for (const auto& [line, jobs] : lines_) lines.insert(line);
  for (const Line& line : lines) {
    Job job = make();
    job.peer = line;
    add(std::move(job));
  }
}

std::vector<Job> JobLines::take(std::size_t jobs_max, std::size_t octets_max) {
  std::vector<Job> jobs;
  taken_.clear();
  has_newcomer_ = false;
  std::size_t octets = 0;
  const auto has_room = [&] { return jobs.size() < jobs_max && octets < octets_max; };
  const auto take_turn = [&](auto line) {
    taken_.insert(line->first);
    std::deque<Job>& waiting = line->second;
    for (std::size_t turn = 0; !waiting.empty() && turn < turn_octets && has_room();) {
      Job& job = waiting.front();
      turn += job.octets + turn_octets_of_job;
      octets += job.octets;
      if (!job.peer) own_octets_ -= job.octets;
      jobs.push_back(std::move(job));
      waiting.pop_front();
    }
    if (line->first) last_ = line->first;
    if (waiting.empty()) lines_.erase(line);
  };
  while (!lines_.empty() && has_room()) {
    // Own jobs between any two turns of peers.
    if (const auto own = lines_.find(Line()); own != lines_.end()) take_turn(own);
    if (lines_.empty() || !has_room()) break;
    auto next = lines_.upper_bound(last_);
    if (next == lines_.end()) next = lines_.upper_bound(Line());
    if (next != lines_.end()) take_turn(next);
  }
  return jobs;
}

void JobLines::put_back(std::vector<Job> jobs, const Line& done) {
  for (auto job = jobs.rbegin(); job != jobs.rend(); ++job) {
    if (!job->peer) own_octets_ += job->octets;
    lines_[job->peer].push_front(std::move(*job));
  }
  last_ = done;
}

}  // namespace loam
