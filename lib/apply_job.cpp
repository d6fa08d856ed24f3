#include "lib/apply_job.hpp"

#include <algorithm>
#include <utility>

#include "crdt/error.hpp"
#include "lib/shared_store.hpp"
#include "planted.hpp"

namespace loam {
namespace {

/// What the pieces of an Apply have in common. Only the thread that writes touches it once the jobs are queued.
struct Whole {
  StoreId peer;
  InstanceId instance;
  SegmentNumber segment = 0;
  std::shared_ptr<StreamGaps> gaps;
  std::function<void(ApplyOutcome)> ended;
  std::size_t refused_from = ~std::size_t{0};  ///< the first of its pieces that was refused
  ApplyOutcome outcome;     ///< of the pieces that have ended
};

struct Piece {
  Apply change;
  std::optional<CheckedDelta> checked;
  std::size_t index = 0;
  bool is_last = false;
  std::shared_ptr<Whole> whole;
  ApplyOutcome outcome;

  void refuse() const;
  void run(SharedBatch& batch);
  void end(const std::exception_ptr& failure);
};

void Piece::refuse() const {
  whole->refused_from = std::min(whole->refused_from, index);
  whole->gaps->refused_from = std::min<std::uint64_t>(whole->gaps->refused_from, change.ticket);
}

void Piece::run(SharedBatch& batch) {
  const bool has_cloned = outcome.cloned;
  outcome = {};  // of an earlier run
  outcome.cloned = has_cloned;
  const bool is_after_refusal = whole->gaps->refused_from < change.ticket || whole->refused_from < index;
  if (is_after_refusal && !planted(Bug::later_position_after_refusal)) {
    throw Error(ErrorCode::failed, "an earlier part was refused");
  }
  const SegmentNumber segment = whole->segment;
  Applied applied;
  const bool was_known = batch.saw_clone();  // an earlier part of the same transaction tells of it
  try {
    const bool is_left_out = change.position && planted(Bug::position_without_records);
    if (!change.delta.empty() && !is_left_out) {
      applied = checked ? batch.join(segment, change.delta, change.authors, change.batches, *checked, whole->peer,
                                     whole->instance)
                        : batch.join(segment, change.delta, change.authors, change.batches, whole->peer, whole->instance);
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
  std::map<SegmentNumber, std::uint64_t>& gaps = whole->gaps->left_out;
  if (left_out.refused + left_out.parked > 0) {
    std::uint64_t& lowest = gaps.emplace(segment, change.ticket).first->second;
    lowest = std::min(lowest, change.ticket);
  }
  const auto gap = gaps.find(segment);
  const bool has_all = gap == gaps.end() || change.ticket < gap->second ||
                       (planted(Bug::position_past_left_out) && left_out.refused + left_out.parked == 0);
  if (change.position) batch.set_position(segment, whole->peer, has_all ? *change.position : Position{});
  outcome = {change.ticket, applied.inserted, applied.dropped, applied.equivocated.size(), std::nullopt,
             left_out.refused, left_out.parked, left_out.reason, outcome.cloned};
}

void Piece::end(const std::exception_ptr& failure) {
  ApplyOutcome& all = whole->outcome;
  all.ticket = change.ticket;
  all.cloned = all.cloned || outcome.cloned;
  all.inserted += outcome.inserted;
  all.dropped += outcome.dropped;
  all.equivocated += outcome.equivocated;
  all.left_out += outcome.left_out;
  all.parked += outcome.parked;
  if (all.reason.empty()) all.reason = outcome.reason;
  if (failure) {
    refuse();
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      if (!all.refused) all.refused = error.what();
    }
  }
  if (is_last) whole->ended(all);
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

std::map<InstanceId, std::uint64_t> signed_batches(std::span<const CheckedApply> pieces) {
  std::map<InstanceId, std::uint64_t> batches;
  for (const CheckedApply& piece : pieces) {
    if (!piece.checked) continue;
    for (const auto& [actor, parts] : piece.checked->parts) {
      const auto claim = piece.change.authors.find(actor);
      const auto are_signed = std::count_if(parts.begin(), parts.end(), [](const auto& part) { return part.is_signed; });
      if (claim != piece.change.authors.end() && are_signed > 0) {
        batches[claim->second.author] += static_cast<std::uint64_t>(are_signed);
      }
    }
  }
  return batches;
}

std::vector<Job> apply_jobs(const SharedStore& store, const StoreId& peer, const InstanceId& instance,
                            std::vector<CheckedApply> pieces, std::shared_ptr<StreamGaps> gaps,
                            std::function<void(ApplyOutcome)> ended) {
  const auto whole = std::make_shared<Whole>();
  whole->peer = peer;
  whole->instance = instance;
  whole->segment = store.number(pieces.front().change.segment);
  whole->gaps = std::move(gaps);
  whole->ended = std::move(ended);
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto piece = std::make_shared<Piece>(Piece{std::move(pieces[i].change), std::move(pieces[i].checked), i,
                                                     i + 1 == pieces.size(), whole, {}});
    Job& job = jobs.emplace_back();
    job.peer = instance;
    job.lazy = piece->change.delta.empty();
    for (const auto& [dot, record] : piece->change.delta.live) job.octets += record.size() + 64;
    for (const auto& [actor, parts] : piece->change.batches) job.octets += 128 * parts.size();
    job.shared = [piece](SharedBatch& batch) { piece->run(batch); };
    job.done = [piece](const std::exception_ptr& failure) { piece->end(failure); };
  }
  return jobs;
}

std::optional<std::string> clone_alarm(const std::string& segment, const ApplyOutcome& outcome) {
  if (!outcome.cloned) return std::nullopt;
  return "segment " + segment +
         ": a copy of this running instance writes under the same name: this one goes on under a "
         "new one";
}

}  // namespace loam
