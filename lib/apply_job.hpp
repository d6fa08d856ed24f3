#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "crdt/admission.hpp"
#include "lib/job.hpp"
#include "lib/rows.hpp"
#include "transport/session.hpp"

namespace loam {

/// What of one peer's stream was not stored. Shared by the connection's jobs.
struct StreamGaps {
  /// The lowest ticket that was refused whole; all ones: none was. Any thread.
  std::atomic<std::uint64_t> refused_from = ~std::uint64_t{0};

  /// The lowest ticket of a part of which something was not admitted, by segment. The thread that writes only.
  std::map<SegmentNumber, std::uint64_t> left_out;
};

/// The gaps of each open connection, by the nonce of the peer's hello. Loop thread only.
class Refusals {
 public:
  std::shared_ptr<StreamGaps> of(const std::array<std::byte, 16>& nonce);

  /// The connection has ended. Jobs that still wait keep what they share.
  void forget(const std::array<std::byte, 16>& nonce) { known_.erase(nonce); }

 private:
  std::map<std::array<std::byte, 16>, std::shared_ptr<StreamGaps>> known_;
};

/// A piece of a session's Apply (lib/apply_pieces.hpp), and what follows of what is signed in it.
struct CheckedApply {
  Apply change;
  std::optional<CheckedDelta> checked;  ///< absent: that failed, or there is nothing to check
};

/// Verifies its signatures, so that the thread that writes does not wait for it. Any thread. Throws nothing: what fails
/// here fails in the job again.
CheckedApply check_apply(const SharedStore& store, Apply change);

/// How many batches each author has signed in them.
std::map<InstanceId, std::uint64_t> signed_batches(std::span<const CheckedApply> pieces);

/// The jobs that an Apply of a session stands for, one for each of its pieces, of which there is one at least: joins
/// the deltas and stores the position, each in one transaction. Once one part of a peer's stream was refused, nothing
/// after it on that connection is stored: its position would claim the refused part. Once something of a segment was
/// not admitted, no position of that segment is stored on that connection, so that the next conversation compares.
/// `ended` is called once, as a job's `done` is, with how all of it ended. The store outlives the jobs.
std::vector<Job> apply_jobs(const SharedStore& store, const StoreId& peer, const InstanceId& instance,
                            std::vector<CheckedApply> pieces, std::shared_ptr<StreamGaps> gaps,
                            std::function<void(ApplyOutcome)> ended);

/// What the operator has to hear of how an Apply to the segment ended, whatever has become of its
/// link since: that this running instance was copied. Absent: nothing.
std::optional<std::string> clone_alarm(const std::string& segment, const ApplyOutcome& outcome);

}  // namespace loam
