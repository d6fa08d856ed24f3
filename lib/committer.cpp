#include "lib/committer.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "crdt/error.hpp"
#include "planted.hpp"

namespace loam {

void end(Job& job, const std::exception_ptr& failure) {
  if (job.done) std::exchange(job.done, nullptr)(failure);
}

Committer::Committer(SharedStore& shared, PrivateStore& priv, std::function<std::int64_t()> now_ms,
                     std::function<void()> committed)
    : shared_(shared),
      private_(priv),
      now_ms_(std::move(now_ms)),
      committed_(std::move(committed)) {}

// Time to spare: readers are quickest when no part of the element index is pending.
void Committer::fold() {
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

// Runs a group of jobs in one transaction. A job that fails is left out and the others run again;
// when the transaction itself fails for want of space, each job is tried alone, so that the innocent
// ones get through. None is tried before those queued earlier have been told how they ended. Returns which were not done,
// as `run` says.
template <class Run>
Committer::Undone Committer::commit_group(const lmdb::Env& env, const std::vector<Job*>& jobs, Run&& run) {
  std::map<Job*, std::exception_ptr> failed;
  Undone undone;
  std::vector<Job*> group = jobs;
  while (!group.empty()) {
    const bool all_remove = std::all_of(group.begin(), group.end(), [](const Job* job) {
      return job->space == lmdb::Space::removal;
    });
    const auto space = all_remove ? lmdb::Space::removal : lmdb::Space::normal;
    const std::uint64_t refused = env.refused_commits();
    std::size_t current = group.size();
    bool is_own = true;
    std::exception_ptr failure;
    try {
      undone = run(group, current, space);
      break;
    } catch (const Error& error) {
      failure = std::current_exception();
      is_own = error.code() != ErrorCode::out_of_space;
    } catch (...) {
      failure = std::current_exception();
    }
    // A commit that the disk refused may be durable all the same: its jobs must not run again. Where
    // the disk refuses every write one attempt tells it for all.
    if (env.refused_commits() != refused || !env.is_writable()) {
      for (Job* job : jobs) failed[job] = failure;
      break;
    }
    is_own = is_own && current < group.size();
    if (!is_own && jobs.size() > 1) {
      // Those that failed by themselves too: what they failed at may have been undone.
      for (Job* job : jobs) undone.merge(commit_group(env, {job}, run));
      return undone;
    }
    if (!is_own) current = 0;
    failed[group[current]] = failure;
    group.erase(group.begin() + static_cast<std::ptrdiff_t>(current));
  }
  for (Job* job : jobs) {
    if (!undone.contains(job)) end(*job, planted(Bug::failure_told_as_success) ? nullptr : failed[job]);
  }
  return undone;
}

Committer::Rest Committer::commit(std::vector<Job> jobs, const std::function<bool()>& is_urgent) {
  std::vector<Job*> shared;
  std::vector<Job*> priv;
  for (Job& job : jobs) (job.shared ? shared : priv).push_back(&job);
  const std::int64_t now = now_ms_();
  const auto run_shared = [&](const std::vector<Job*>& group, std::size_t& current, lmdb::Space space) {
    Undone undone;
    shared_.env().write(
        [&](lmdb::WriteTxn& txn) {
          undone.clear();
          SharedBatch batch(shared_, txn, now);
          std::size_t of_peers = 0;
          for (current = 0; current < group.size(); ++current) {
            Job& job = *group[current];
            if (job.peer && (!undone.empty() || (of_peers >= turn_octets && is_urgent()))) {
              undone.insert(&job);
              continue;
            }
            if (job.peer) of_peers += job.octets;
            job.shared(batch);
          }
          batch.finish();
          if (!planted(Bug::told_before_commit)) return;
          for (Job* job : group) end(*job, nullptr);
        },
        space);
    committed_();
    return undone;
  };
  const auto run_private = [&](const std::vector<Job*>& group, std::size_t& current, lmdb::Space space) {
    private_.env().write(
        [&](lmdb::WriteTxn& txn) {
          PrivateBatch batch(private_, txn);
          for (current = 0; current < group.size(); ++current) group[current]->priv(batch);
        },
        space);
    return Undone();
  };
  const Undone undone = commit_group(shared_.env(), shared, run_shared);
  (void)commit_group(private_.env(), priv, run_private);
  Rest rest;
  for (Job& job : jobs) {
    if (undone.contains(&job)) {
      rest.jobs.push_back(std::move(job));
    } else if (job.peer) {
      rest.after = job.peer;
    }
  }
  return rest;
}

}  // namespace loam
