#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "lib/job.hpp"
#include "lib/layout.hpp"
#include "lib/write_quota.hpp"

namespace loam {

/// Jobs of connections that wait for their time, in a line for each connection and segment: what came later in a
/// line is never done before what came earlier, and no line waits for another. A pure state machine. One thread.
class WaitingJobs {
 public:
  using Time = WriteQuota::Time;
  using Nonce = std::array<std::byte, 16>;  ///< of the hello of the connection's peer
  using Line = std::pair<Nonce, SegmentNumber>;

  bool has(const Line& line) const { return lines_.contains(line); }
  void add(const Line& line, Time until, Job job) { lines_[line].emplace_back(until, std::move(job)); }

  /// Takes out the jobs whose time has come.
  std::vector<Job> take_due(Time now);

  /// When there are more; absent: none waits.
  std::optional<Time> next() const;

  /// The connection has ended: what it brought and was not done is at the peer still.
  void forget(const Nonce& nonce);

 private:
  std::map<Line, std::deque<std::pair<Time, Job>>> lines_;  ///< none is empty
};

}  // namespace loam
