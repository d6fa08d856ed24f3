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

/// How one call wants to know what others know (docs/CONSISTENCY.md).
struct CallOptions {
  /// Absent: as the segment is configured. Eventual: this replica answers, and writes here. Strong: a majority of the
  /// voters holds what is read or was written; the call blocks and touches the network.
  std::optional<Consistency> consistency = {};

  /// How long a strong call may take.
  std::chrono::milliseconds timeout = std::chrono::seconds(10);
};

/// What became of a strong call.
struct StrongReport {
  bool done = false;
  std::uint64_t rounds = 0;  ///< questions to the voters
  std::uint64_t epoch = 0;   ///< changes of voters so far
  std::map<std::string, std::string> votes;  ///< of each voter by name, to the last question
  std::string error;         ///< empty when done
  bool sealed = false;       ///< a change of voters was under way, and this call has ended it
};

/// Who votes.
struct VoterStatus {
  std::uint64_t epoch = 0;            ///< changes so far
  bool sealed = true;                 ///< no change is under way
  bool disputed = false;              ///< several governors have changed them at once: one has to do it again
  std::vector<std::string> voters;    ///< names, of the newest set
  std::vector<std::string> lost;      ///< those of them that have another store now, as far as it is known here
};

/// A strong write that is durable here, and of which is not known whether a majority holds it: it may be there, come yet,
/// or be lost with this store. Code: unavailable.
class UnknownOutcome : public Error {
 public:
  explicit UnknownOutcome(const std::string& message) : Error(ErrorCode::unavailable, message) {}
};

}  // namespace loam
