#include "transport/strong_call.hpp"

#include <algorithm>

#include "crdt/hash.hpp"
#include "planted.hpp"

namespace loam {
namespace {

// So many questions wait for their answers at once: where the state changes more often than a round trip takes, an
// older one may be the one that all agree on.
constexpr std::size_t attempts_max = 16;

// The seat that an instance had with another store.
Voter seat_of(const VoterView& view, const Voter& voter) {
  for (const VoterSet& set : view.open) {
    for (const Voter& seat : set) {
      if (seat.instance == voter.instance) return seat;
    }
  }
  return voter;
}

// Moments of a call that are remembered. Of more commits within one round trip some are not.
constexpr std::size_t moments_max = 32;

Vote vote_at(const VoterViewId& view, const StateDigest& states, const VoteMoment& moment) {
  if (moment.view != view && !planted(Bug::epoch_ignored)) return Vote::other_voters;
  if (!moment.has_vote) return Vote::no_voter;
  return moment.states == states && moment.covers ? Vote::yes : Vote::not_yet;
}

}  // namespace

bool has_vote(const VoterView& view, const Voter& self) {
  return view.is_voter(planted(Bug::vote_after_loss) ? seat_of(view, self) : self);
}

StateDigest all_of(const std::vector<SaidDigest>& states) {
  Bytes octets;
  for (const SaidDigest& said : states) {
    octets.push_back(static_cast<std::byte>(said.segment.size()));  // a name has 63 octets at most
    const BytesView name = bytes_of(said.segment);
    octets.insert(octets.end(), name.begin(), name.end());
    octets.insert(octets.end(), said.digest.bytes.begin(), said.digest.bytes.end());
  }
  return {hash128("loam voted states 1", {octets})};
}

Vote vote_of(const VoteFrame& question, const VoteMoment& moment) { return vote_at(question.view, all_of(question.states), moment); }

Vote VoteAnswers::ask(const VoteFrame& question, VoteMoment moment) {
  // What is remembered is of the same segments and dots, unless the caller is confused.
  if (question.segment != question_.segment || question.dots != question_.dots) moments_.clear();
  question_ = question;
  asked_states_ = all_of(question.states);
  remember(std::move(moment));
  return answered_ = answer();
}

std::optional<Vote> VoteAnswers::note(VoteMoment moment) {
  remember(std::move(moment));
  const Vote vote = answer();
  if (vote == answered_) return std::nullopt;
  return answered_ = vote;
}

void VoteAnswers::remember(VoteMoment moment) {
  if (!moments_.empty() && moments_.back() == moment) return;
  if (moments_.size() == moments_max) moments_.erase(moments_.begin());
  moments_.push_back(std::move(moment));
}

Vote VoteAnswers::answer() const {
  const auto at = [&](const VoteMoment& moment) { return vote_at(question_.view, asked_states_, moment); };
  const bool was_so = std::any_of(moments_.begin(), moments_.end(),
                                  [&](const VoteMoment& each) { return at(each) == Vote::yes; });
  return was_so ? Vote::yes : at(moments_.back());
}

std::optional<VoteFrame> StrongCall::refreshed(StrongState state) {
  if (!attempts_.empty() && attempts_.rbegin()->second.state == state) return std::nullopt;
  question_ = VoteFrame{id_, ++number_, state.view.id, state.states, segment_, dots_, dead_};
  if (attempts_.size() == attempts_max) attempts_.erase(attempts_.begin());
  Attempt& attempt = attempts_[number_];
  attempt.state = std::move(state);
  // What is committed here is durable here.
  if (attempt.state.view.is_voter(self_)) {
    attempt.votes.insert(self_);
    attempt.answers[self_] = Vote::yes;
  }
  decide(number_, attempt);
  return question_;
}

bool StrongCall::is_asked(const Voter& peer) const noexcept {
  return question_ && has_vote(attempts_.rbegin()->second.state.view, peer);
}

void StrongCall::answered(const Voter& from, const VotedFrame& vote) {
  const auto at = attempts_.find(vote.number);
  if (at == attempts_.end()) return;
  const Voter peer = planted(Bug::vote_after_loss) ? seat_of(at->second.state.view, from) : from;
  if (!at->second.state.view.is_voter(peer)) return;
  at->second.answers[peer] = vote.vote;
  const bool counts = vote.vote == Vote::yes || planted(Bug::majority_merge);
  if (counts) at->second.votes.insert(peer);
  decide(at->first, at->second);
}

void StrongCall::decide(std::uint64_t number, const Attempt& attempt) {
  if (decided_ || !attempt.state.view.is_quorum(attempt.votes)) return;
  decided_ = number;
  decided_view_ = attempt.state.view;
}

std::map<Voter, std::optional<Vote>> StrongCall::votes() const {
  std::map<Voter, std::optional<Vote>> votes;
  if (attempts_.empty()) return votes;
  const Attempt& last = attempts_.rbegin()->second;
  for (const VoterSet& set : last.state.view.open) {
    for (const Voter& voter : set) {
      const auto at = last.answers.find(voter);
      votes[voter] = at == last.answers.end() ? std::nullopt : std::optional(at->second);
    }
  }
  return votes;
}

std::string text_of(Vote vote) {
  switch (vote) {
    case Vote::yes: return "yes";
    case Vote::not_yet: return "not yet";
    case Vote::other_voters: return "knows other voters";
    case Vote::no_voter: return "is no voter with that store";
  }
  return "?";
}

}  // namespace loam
