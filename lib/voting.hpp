#pragma once

#include <string>
#include <vector>

#include "lib/shared_store.hpp"
#include "lib/strong.hpp"
#include "transport/session.hpp"
#include "transport/strong_call.hpp"

namespace loam {

/// The vote of a store, by what is committed: LMDB shows a reader what is durable, and nothing else.
class StoreVoting final : public Voting {
 public:
  /// The store outlives it.
  explicit StoreVoting(const SharedStore& store) : store_(store) {}

  VoteMoment look(const VoteFrame& question) const override;

 private:
  const SharedStore& store_;
};

/// Who this store is when it votes.
Voter voter_of(const SharedStore& store);

/// What a strong call is about, as of now. Absent: the federation has no registry.
std::optional<StrongState> strong_state(const SharedStore& store, const std::vector<std::string>& segments);

/// All that an actor has written in a segment, as of now.
Context written_by(const SharedStore& store, const std::string& segment, const ActorId& actor);

/// The voters as people want to know them.
VoterStatus voter_status(const SharedStore& store);

/// The name of a voter's instance, or its id.
std::string name_of(const Registry& registry, const Voter& voter);

}  // namespace loam
