#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "crdt/error.hpp"
#include "lib/segment.hpp"

namespace loam {

/// What became of a strong call.
struct StrongReport {
  bool done = false;
  std::uint64_t rounds = 0;  ///< questions to the voters
  std::uint64_t epoch = 0;   ///< changes of voters so far
  std::map<std::string, std::string> votes;  ///< of each voter by name, to the last question
  std::string error;         ///< empty when done
  bool sealed = false;       ///< a change of voters was under way, and this call has ended it
};

/// How one call wants to know what others know (docs/CONSISTENCY.md).
struct CallOptions {
  /// Absent: as the segment is configured. Eventual: this replica answers, and writes here. Strong: a majority of the
  /// voters holds what is read or was written; the call blocks and touches the network.
  std::optional<Consistency> consistency = {};

  /// How long a strong call may take.
  std::chrono::milliseconds timeout = std::chrono::seconds(10);

  /// Filled in when a strong call has ended, also when it throws UnknownOutcome or Error(unavailable). Of a write in several
  /// segments it is about the last one.
  StrongReport* report = nullptr;
};

/// Who votes.
struct VoterStatus {
  std::uint64_t epoch = 0;            ///< changes so far
  bool sealed = true;                 ///< no change is under way
  bool disputed = false;              ///< several governors have changed them at once: one has to do it again
  std::vector<std::string> voters;    ///< names, of the newest set
  std::vector<std::string> lost;      ///< those that have another store now, as far as is known here, or are not active
};

/// A strong write that is durable here, and of which is not known whether a majority holds it: it may be there, come yet,
/// or be lost with this store. Code: unavailable.
class UnknownOutcome : public Error {
 public:
  explicit UnknownOutcome(const std::string& message) : Error(ErrorCode::unavailable, message) {}
};

}  // namespace loam
