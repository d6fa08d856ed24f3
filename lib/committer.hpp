#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "lib/job.hpp"
#include "lib/shared_store.hpp"

namespace loam {

/// Carries jobs out: a group of them in one transaction per environment. Owns no thread and no
/// queue; whoever calls it is the writer thread.
class Committer {
 public:
  /// `now_ms` is the wall clock in Unix milliseconds. `committed` is called after every commit of
  /// the shared environment, before the jobs' own `done`. Does not throw. The stores outlive it.
  Committer(SharedStore& shared, PrivateStore& priv, std::function<std::int64_t()> now_ms,
            std::function<void()> committed);

  /// What a commit has not done, in its order, and the peer of whom something was done last.
  struct Rest {
    std::vector<Job> jobs;
    std::optional<InstanceId> after;
  };

  /// Makes the jobs durable, those of the shared environment first, and tells each how it ended. A
  /// job that fails is left out and the others run again; when the transaction itself fails, each
  /// job is tried alone, unless the disk refused it. Once `is_urgent` says that others wait, and `turn_octets` of
  /// peers are done, no more jobs of peers are begun: they are given back, and not told anything.
  Rest commit(std::vector<Job> jobs, const std::function<bool()>& is_urgent = [] { return false; });

  /// Whether this thread holds a snapshot of one of the environments, or writes it: then it cannot commit.
  bool is_read_here() const noexcept { return shared_.env().is_inside() || private_.env().is_inside(); }

  /// Enters what is pending of the element index, for when there is time to spare. Throws nothing:
  /// whoever reads or writes next is told.
  void fold();

 private:
  using Undone = std::set<const Job*>;

  template <class Run>
  Undone commit_group(const lmdb::Env& env, const std::vector<Job*>& jobs, Run&& run);

  SharedStore& shared_;
  PrivateStore& private_;
  std::function<std::int64_t()> now_ms_;
  std::function<void()> committed_;
};

/// Tells a job how it ended: null, or its failure. Once.
void end(Job& job, const std::exception_ptr& failure);

}  // namespace loam
