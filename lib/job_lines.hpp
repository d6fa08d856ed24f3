#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "lib/job.hpp"

namespace loam {

/// The jobs that wait to be written: this instance's own, and those of each peer, in a line each. Commits take from all
/// lines in turn, so that who brings much is in nobody's way. A pure state machine. One thread.
class JobLines {
 public:
  using Line = std::optional<InstanceId>;  ///< as Job::peer

  void add(Job job);

  /// To the end of every line in which something waits or may be put back, and of this instance's own.
  void add_everywhere(const std::function<Job()>& make);

  /// What the next commit does: own jobs come first in every round of turns. At most so many, and so many octets unless
  /// the last job goes beyond.
  std::vector<Job> take(std::size_t jobs_max, std::size_t octets_max);

  /// Puts back what was taken last and not done, in its order, before all that has come since. It was last the turn of
  /// `done`, a peer.
  void put_back(std::vector<Job> jobs, const Line& done);

  /// Whether something has come, since jobs were taken last, of somebody whose none were taken; of own jobs, one that is
  /// not lazy.
  bool has_newcomer() const noexcept { return has_newcomer_; }

  bool empty() const noexcept { return lines_.empty(); }
  std::size_t own_octets() const noexcept { return own_octets_; }  ///< of own jobs that wait

 private:
  std::map<Line, std::deque<Job>> lines_;  ///< none is empty; own jobs sort first
  Line last_;                              ///< whose turn it was last, among peers
  std::set<Line> taken_;                   ///< of whom something was taken last
  bool has_newcomer_ = false;
  std::size_t own_octets_ = 0;
};

}  // namespace loam
