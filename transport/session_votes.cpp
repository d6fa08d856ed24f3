// Votes of strong consistency: what this side asks, and what its store answers.
#include "planted.hpp"
#include "transport/frame_layout.hpp"
#include "transport/session_impl.hpp"

namespace loam {
namespace {

// Most questions of one peer that wait until the answer is yes.
constexpr std::size_t asked_max = 16;

}  // namespace

void Session::Impl::ask(const VoteFrame& question) {
  if (!report_.peer || report_.peer->version_max < wire::votes_since) return;
  send_request(question);
}

void Session::Impl::on(const VotedFrame& frame) {
  require_hello();
  out_.act(Voted{frame});
}

void Session::Impl::on(const VoteFrame& frame) {
  require_hello();
  asked_.erase(frame.call);
  if (frame.is_withdrawal()) return;
  Asked asked{frame, {}};
  answer(asked);
  if (asked.answered == Vote::yes) return;
  if (asked_.size() == asked_max) asked_.erase(asked_.begin());  // it asks again if it has to know
  asked_.emplace(frame.call, std::move(asked));
}

void Session::Impl::answer(Asked& asked) {
  const Vote vote = vote_on(asked.question);
  if (asked.answered == vote) return;
  asked.answered = vote;
  out_.send(VotedFrame{asked.question.call, asked.question.number, vote});
}

// Something was committed.
void Session::Impl::answer_again() {
  for (auto at = asked_.begin(); at != asked_.end();) {
    answer(at->second);
    at = at->second.answered == Vote::yes ? asked_.erase(at) : std::next(at);
  }
}

// Who may not read a segment does not hear how it stands. The registry is for everybody who is let in.
Vote Session::Impl::vote_on(const VoteFrame& question) const {
  if (config_.voting == nullptr) return Vote::no_voter;
  const auto is_readable = [&](const std::string& segment) {
    return config_.gate == nullptr || segment == source_.segments().front() ||
           config_.gate->may_read(report_.peer->instance, segment);
  };
  const bool may_ask = (question.segment.empty() || is_readable(question.segment)) &&
                       std::all_of(question.states.begin(), question.states.end(),
                                   [&](const SaidDigest& said) { return is_readable(said.segment); });
  return may_ask ? config_.voting->vote(question) : Vote::not_yet;
}

}  // namespace loam
