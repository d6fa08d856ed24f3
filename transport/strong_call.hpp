#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "transport/frame.hpp"

namespace loam {

/// What an instance knows at one committed moment of what a strong operation is about.
struct StrongState {
  VoterView view;
  std::vector<SaidDigest> states;  ///< of the segments that are read; of a write: none

  bool operator==(const StrongState&) const = default;
};

/// One operation of strong consistency, at the side that wants it (docs/CONSISTENCY.md). Pure: the driver says what is
/// committed here and what voters answer, and sends each question to all voters it can reach.
///
/// A read is done when a majority of every open set of voters had exactly the state that this side had at one of its
/// questions: what it is to return is what was read with that state. A write is done when such a majority covers its
/// dots. Otherwise nothing is known: a read has no answer, and a write may be there or come yet.
class StrongCall {
 public:
  /// A read of the segments whose states `refreshed` is given. `id`: no other one of this instance has it.
  StrongCall(std::uint64_t id, const Voter& self) : id_(id), self_(self) {}

  /// A write of these dots; `dead`: a removal of them.
  StrongCall(std::uint64_t id, const Voter& self, std::string segment, Context dots, bool dead = false)
      : id_(id), self_(self), segment_(std::move(segment)), dots_(std::move(dots)), dead_(dead) {}

  std::uint64_t id() const noexcept { return id_; }
  bool is_write() const noexcept { return !segment_.empty(); }

  /// Something was committed here. Present: it changes the question, which now has this number; what the caller is to
  /// return by it is what it reads at the same moment.
  std::optional<VoteFrame> refreshed(StrongState state);

  /// The last question, for a voter that is reached later.
  const std::optional<VoteFrame>& question() const noexcept { return question_; }

  /// Ends the last one.
  VoteFrame withdrawal() const { return {.call = id_, .number = number_ + 1}; }

  /// Whether that peer's word counts in the last question.
  bool is_asked(const Voter& peer) const noexcept;

  void answered(const Voter& from, const VotedFrame& vote);

  /// The question that has found its majority, by number. Absent: none yet.
  std::optional<std::uint64_t> decided() const noexcept { return decided_; }

  /// The voters by whom it was decided.
  const VoterView& decided_view() const { return decided_view_; }

  /// Questions so far: round trips, once it is decided.
  std::uint64_t rounds() const noexcept { return number_; }

  /// The oldest question that can still be decided: what was read for older ones is of no use any more.
  std::uint64_t oldest() const noexcept { return attempts_.empty() ? 0 : attempts_.begin()->first; }

  /// What each voter has answered to the last question; absent: nothing.
  std::map<Voter, std::optional<Vote>> votes() const;

 private:
  struct Attempt {
    StrongState state;
    std::set<Voter> votes;
    std::map<Voter, Vote> answers;
  };

  void decide(std::uint64_t number, const Attempt& attempt);

  std::uint64_t id_;
  Voter self_;
  std::string segment_;
  Context dots_;
  bool dead_ = false;
  std::uint64_t number_ = 0;
  std::optional<VoteFrame> question_;
  std::map<std::uint64_t, Attempt> attempts_;
  std::optional<std::uint64_t> decided_;
  VoterView decided_view_;
};

/// What a store knew, at one committed moment, of what a call asks for.
struct VoteMoment {
  VoterViewId view;
  bool has_vote = false;
  StateDigest states;   ///< all_of those of the segments that the call reads
  bool covers = false;  ///< the dots of a write; true of a read

  bool operator==(const VoteMoment&) const = default;
};

/// These states in one.
StateDigest all_of(const std::vector<SaidDigest>& states);

/// Whether a store that knows the voters so has a vote.
bool has_vote(const VoterView& view, const Voter& self);

/// What it votes by that moment.
Vote vote_of(const VoteFrame& question, const VoteMoment& moment);

/// What a store answers in one call: by every moment since the call was heard of first. Two majorities that had a state at some
/// moments of a call share a voter as well as two that have it now, and so a caller that is a little behind is answered at once.
class VoteAnswers {
 public:
  /// The call asks anew; `moment`: of now.
  Vote ask(const VoteFrame& question, VoteMoment moment);

  /// Something was committed. Present: the answer to the last question is another one now.
  std::optional<Vote> note(VoteMoment moment);

  const VoteFrame& question() const noexcept { return question_; }

 private:
  void remember(VoteMoment moment);
  Vote answer() const;

  VoteFrame question_;
  StateDigest asked_states_;
  std::vector<VoteMoment> moments_;  ///< the newest last
  Vote answered_ = Vote::not_yet;
};

/// For people.
std::string text_of(Vote vote);

}  // namespace loam
