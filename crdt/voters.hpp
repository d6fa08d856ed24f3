#pragma once

#include <set>
#include <vector>

#include "crdt/dot.hpp"
#include "crdt/id.hpp"

namespace loam {

/// Whose word counts in operations of strong consistency: an instance with the store that it had when it became a voter.
/// An instance that has lost its store, and what it had said by it, has another one, and no vote.
struct Voter {
  InstanceId instance;
  StoreId store;

  auto operator<=>(const Voter&) const = default;
};

/// Ascending, each once.
using VoterSet = std::vector<Voter>;

/// Most voters of a set.
inline constexpr std::size_t voters_max = 15;

/// What an assignment of the registry says of voters: it begins a change to other ones, or ends one. Whoever ends one
/// has made sure that a majority of each open set holds, durably, what any operation before had acknowledged.
struct VoterChange {
  VoterSet voters;
  bool sealed = false;

  bool operator==(const VoterChange&) const = default;
};

/// Names a VoterView.
using VoterViewId = Id<struct VoterViewTag>;

/// What is known of the voters somewhere. Whoever operates and all that vote for it must know the same.
struct VoterView {
  VoterViewId id;
  std::uint64_t epoch = 0;     ///< how many changes were begun
  std::vector<VoterSet> open;  ///< an operation needs a majority of each of them
  VoterSet newest;             ///< of the change that nobody has changed since; by the greatest dot where there are several
  bool is_disputed = false;    ///< there are several: who begins another one ends the dispute


  bool operator==(const VoterView&) const = default;

  /// Whether no change is under way.
  bool is_sealed() const noexcept { return !is_disputed && open.size() == 1; }

  bool is_voter(const Voter& voter) const noexcept;

  /// Whether these are a majority of each open set. Never of a set without voters.
  bool is_quorum(const std::set<Voter>& votes) const;
};

/// An assignment that speaks of voters, as one of those in force.
struct VoterStep {
  Dot dot;
  VoterChange change;
  std::vector<std::size_t> seen;  ///< places of the steps before it that its author had seen
};

/// The view of a federation that began with one voter. `steps`: each after all that it has seen.
///
/// Open is every set but those that the author of a sealed step had seen. So a majority of sets that overlap has to
/// move from one view to the next before anybody can seal, and those who know an older view find no majority any
/// more: two operations either know the same, or one has seen what the other did. This needs no agreement on the order
/// of changes: of two that are begun at once both stay open. A seal of other voters than those of the one change that its
/// author had seen last does not count. After Kuznetsov, Rieutord and
/// Tucci-Piergiovanni, "Reconfigurable Lattice Agreement and Applications" (2019), with the registry as the lattice;
/// docs/CONSISTENCY.md has the proof.
VoterView view_of(const Voter& first, const std::vector<VoterStep>& steps);

}  // namespace loam
