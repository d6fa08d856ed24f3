#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "lib/job.hpp"
#include "transport/session.hpp"

namespace loam {

/// The lowest ticket of a connection that was refused; all ones: none was. Shared by the
/// connection's jobs; any thread.
using RefusedFrom = std::shared_ptr<std::atomic<std::uint64_t>>;

/// What was refused of each open connection, by the nonce of the peer's hello. Loop thread only.
class Refusals {
 public:
  RefusedFrom of(const std::array<std::byte, 16>& nonce);

  /// The connection has ended. Jobs that still wait keep what they share.
  void forget(const std::array<std::byte, 16>& nonce) { known_.erase(nonce); }

 private:
  std::map<std::array<std::byte, 16>, RefusedFrom> known_;
};

/// The job that an Apply of a session stands for: joins the delta and stores the position, in one
/// transaction. Once one part of a peer's stream was refused, nothing after it on that connection
/// is stored: its position would claim the refused part. `ended` is called once, as a job's `done`
/// is, with how it ended. The store outlives the job.
Job apply_job(const SharedStore& store, const StoreId& peer, const InstanceId& instance, Apply change,
              RefusedFrom refused, std::function<void(ApplyOutcome)> ended);

/// What the operator has to hear of how an Apply to the segment ended, whatever has become of its
/// link since: that this running instance was copied. Absent: nothing.
std::optional<std::string> clone_alarm(const std::string& segment, const ApplyOutcome& outcome);

}  // namespace loam
