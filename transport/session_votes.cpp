// Votes of strong consistency: what this side asks, and what its store answers.
#include "planted.hpp"
#include "transport/frame_layout.hpp"
#include "transport/session_impl.hpp"

namespace loam {
namespace {

// Most calls of one peer that are remembered, and octets of a question of one of these: enough for the states of all
// segments.
constexpr std::size_t asked_max = 16;
constexpr std::size_t asked_octets_max = std::size_t{64} << 10;

}  // namespace

void Session::Impl::ask(const VoteFrame& question) {
  if (!report_.peer || report_.peer->version_max < wire::votes_since || !may_read(question)) return;
  send_request(question);
}

void Session::Impl::on(const VotedFrame& frame) {
  require_hello();
  out_.act(Voted{frame});
}

void Session::Impl::on(const VoteFrame& frame) {
  require_hello();
  if (frame.is_withdrawal()) {
    asked_.erase(frame.call);
    return;
  }
  auto moment = moment_of(frame);
  if (!moment) return answer(frame, config_.voting == nullptr ? Vote::no_voter : Vote::not_yet);
  if (message_octets_ > asked_octets_max) {
    asked_.erase(frame.call);
    return answer(frame, vote_of(frame, *moment));
  }
  if (!asked_.contains(frame.call) && asked_.size() == asked_max) asked_.erase(asked_.begin());  // it asks again if it has to know
  answer(frame, asked_[frame.call].ask(frame, std::move(*moment)));
}

void Session::Impl::answer(const VoteFrame& question, Vote vote) {
  out_.send(VotedFrame{question.call, question.number, vote});
}

// Something was committed.
void Session::Impl::answer_again() {
  for (auto& each : asked_) {
    auto moment = moment_of(each.second.question());
    if (!moment) continue;
    if (const auto vote = each.second.note(std::move(*moment))) answer(each.second.question(), *vote);
  }
}

// Whether something for it has come that is not stored yet.
bool Session::Impl::is_coming(const std::string& segment) const {
  return std::any_of(exchanges_.begin(), exchanges_.end(), [&](const Exchange& each) {
    return each.segment() == segment && each.follower().has_unfinished();
  });
}

// Who may not read a segment hears nothing of how it stands, neither by a question nor by an answer. The registry is for
// everybody who is let in.
bool Session::Impl::may_read(const VoteFrame& question) const {
  const auto is_readable = [&](const std::string& segment) {
    return config_.gate == nullptr || segment == source_.segments().front() ||
           config_.gate->may_read(report_.peer->instance, segment);
  };
  return (question.segment.empty() || is_readable(question.segment)) &&
         std::all_of(question.states.begin(), question.states.end(),
                     [&](const SaidDigest& said) { return is_readable(said.segment); });
}

std::optional<VoteMoment> Session::Impl::moment_of(const VoteFrame& question) const {
  if (config_.voting == nullptr || !may_read(question)) return std::nullopt;
  if (planted(Bug::vote_before_durable) && is_coming(question.segment)) {
    VoteFrame without_dots = question;
    without_dots.dots = {};
    return config_.voting->look(without_dots);
  }
  return config_.voting->look(question);
}

}  // namespace loam
