#include "lib/apply_job.hpp"

#include <algorithm>
#include <utility>

#include "crdt/error.hpp"
#include "lib/shared_store.hpp"
#include "planted.hpp"

namespace loam {
namespace {

struct Task {
  Apply change;
  StoreId peer;
  InstanceId instance;
  SegmentNumber segment = 0;
  std::shared_ptr<StreamGaps> gaps;
  std::optional<CheckedDelta> checked;  ///< absent: that failed, or there is nothing to check
  ApplyOutcome outcome;

  void refuse() const { gaps->refused_from = std::min<std::uint64_t>(gaps->refused_from, change.ticket); }
  void run(SharedBatch& batch);
  void end(const std::exception_ptr& failure);
};

void Task::run(SharedBatch& batch) {
  if (gaps->refused_from < change.ticket && !planted(Bug::later_position_after_refusal)) {
    throw Error(ErrorCode::failed, "an earlier part was refused");
  }
  Applied applied;
  const bool was_known = batch.saw_clone();  // an earlier part of the same transaction tells of it
  try {
    const bool is_left_out = change.position && planted(Bug::position_without_records);
    if (!change.delta.empty() && !is_left_out) {
      applied = checked ? batch.join(segment, change.delta, change.authors, change.batches, *checked, peer, instance)
                        : batch.join(segment, change.delta, change.authors, change.batches, peer, instance);
      // Once seen it stays seen when the transaction runs again, for want of room for what follows too:
      // the actor that showed it is given up then, and shows nothing any more.
      outcome.cloned = outcome.cloned || (batch.saw_clone() && !was_known);
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::out_of_space) refuse();
    throw;
  }
  const SharedBatch::LeftOut left_out = batch.take_left_out();
  // What was left out is still to come: then the next conversation has to compare.
  if (left_out.refused + left_out.parked > 0) {
    std::uint64_t& lowest = gaps->left_out.emplace(segment, change.ticket).first->second;
    lowest = std::min(lowest, change.ticket);
  }
  const auto gap = gaps->left_out.find(segment);
  const bool has_all = gap == gaps->left_out.end() || change.ticket < gap->second ||
                       (planted(Bug::position_past_left_out) && left_out.refused + left_out.parked == 0);
  if (change.position) batch.set_position(segment, peer, has_all ? *change.position : Position{});
  outcome = {change.ticket, applied.inserted, applied.dropped, applied.equivocated.size(), std::nullopt,
             left_out.refused, left_out.parked, left_out.reason, outcome.cloned};
}

void Task::end(const std::exception_ptr& failure) {
  outcome.ticket = change.ticket;
  if (!failure) return;
  refuse();
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    outcome.refused = error.what();
  }
}

}  // namespace

std::shared_ptr<StreamGaps> Refusals::of(const std::array<std::byte, 16>& nonce) {
  std::shared_ptr<StreamGaps>& gaps = known_[nonce];
  if (!gaps) gaps = std::make_shared<StreamGaps>();
  return gaps;
}

CheckedApply check_apply(const SharedStore& store, Apply change) {
  CheckedApply apply{std::move(change), std::nullopt};
  if (apply.change.delta.empty()) return apply;
  try {
    const AdmissionPlace place = store.place(store.number(apply.change.segment));
    apply.checked = check(store.registry().get(), place, apply.change.delta, apply.change.authors, apply.change.batches);
  } catch (const std::exception&) {
  }
  return apply;
}

std::map<InstanceId, std::uint64_t> signed_batches(const CheckedApply& apply) {
  std::map<InstanceId, std::uint64_t> batches;
  if (!apply.checked) return batches;
  for (const auto& [actor, parts] : apply.checked->parts) {
    const auto claim = apply.change.authors.find(actor);
    const auto are_signed = std::count_if(parts.begin(), parts.end(), [](const auto& part) { return part.is_signed; });
    if (claim != apply.change.authors.end() && are_signed > 0) {
      batches[claim->second.author] += static_cast<std::uint64_t>(are_signed);
    }
  }
  return batches;
}

Job apply_job(const SharedStore& store, const StoreId& peer, const InstanceId& instance, CheckedApply apply,
              std::shared_ptr<StreamGaps> gaps, std::function<void(ApplyOutcome)> ended) {
  const SegmentNumber segment = store.number(apply.change.segment);
  const auto task = std::make_shared<Task>(Task{std::move(apply.change), peer, instance, segment, std::move(gaps),
                                                std::move(apply.checked), {}});
  Job job;
  job.lazy = task->change.delta.empty();
  for (const auto& [dot, record] : task->change.delta.live) job.octets += record.size() + 64;
  job.shared = [task](SharedBatch& batch) { task->run(batch); };
  job.done = [task, ended = std::move(ended)](std::exception_ptr failure) {
    task->end(failure);
    ended(task->outcome);
  };
  return job;
}

std::optional<std::string> clone_alarm(const std::string& segment, const ApplyOutcome& outcome) {
  if (!outcome.cloned) return std::nullopt;
  return "segment " + segment +
         ": a copy of this running instance writes under the same name: this one goes on under a "
         "new one";
}

}  // namespace loam
