#include "transport/exchange.hpp"

#include <utility>

#include "planted.hpp"

namespace loam {

bool is_in_step(const StateFrame& one, const StateFrame& other) {
  return one.position == Position{other.state.journal, other.state.head} &&
         other.position == Position{one.state.journal, one.state.head};
}

Start decide_start(const StateFrame& feed, const StateFrame& follower) {
  if (feed.state.digest == follower.state.digest) return {false, feed.state.head};
  const bool is_same = follower.position.journal == feed.state.journal ||
                       planted(Bug::journal_id_ignored);
  const bool follows = is_same && follower.position.journal != 0 &&
                       follower.position.sequence >= feed.state.floor &&
                       follower.position.sequence <= feed.state.head;
  const bool is_trusted = !is_in_step(feed, follower) || planted(Bug::ends_not_compared);
  if (follows && is_trusted) return {false, follower.position.sequence};
  return {true, 0};
}

Exchange::Exchange(std::string segment, std::uint64_t index, const Source& source,
                   const StoreId& peer, Role role, const SketchKey& key)
    : segment_(std::move(segment)),
      index_(index),
      source_(source),
      peer_(peer),
      role_(role),
      feed_(segment_, index, source),
      follower_(segment_, source.state(segment_).kind),
      comparison_(segment_, index, source, peer, role, key, feed_, follower_) {}

void Exchange::say_state(Say say, Outbound& out) {
  StateFrame frame;
  frame.index = index_;
  frame.segment = segment_;
  frame.state = said(source_.state(segment_));
  frame.position = position();
  frame.wanted = say.wanted;
  frame.compare = say.compare;
  frame.final = say.final;
  frame.held = comparison_.held() > 0;
  if (!opening_) opening_ = frame;
  last_said_ = frame;
  out.send(frame);
}

void Exchange::received(const StateFrame& frame, Outbound& out) {
  if (!peer_opening_) {
    peer_opening_ = frame;
    if (frame.state.kind != opening_->state.kind) {
      out.act(Alarm{"segment " + segment_ + " is of another kind at the peer: not exchanged"});
      return;
    }
    shared_ = true;
    compare_digests(frame, opening_->state);
    if (!equal_ && is_in_step(frame, *opening_)) raise_alarm(*opening_, frame, out);
    const Start feed = decide_start(*opening_, frame);
    const Start follower = decide_start(frame, *opening_);
    if (feed.compare || follower.compare) {  // the peer sees it too, from the same two states
      role_ == Role::dialler ? comparison_.start(out) : comparison_.await();
      return;
    }
    feed_.follow({opening_->state.journal, feed.sequence}, peer_);
    follower_.follow({frame.state.journal, follower.sequence}, opening_->position, out);
    return;
  }
  if (!shared_) return;
  peer_holds_ = frame.held;
  if (!frame.compare) {
    check_in_step(frame, out);
  } else if (role_ == Role::dialler && !comparison_.is_open()) {  // else it has crossed our frame
    comparison_.start(out);
  }
  if (frame.wanted) say_state({}, out);
}

Position Exchange::position() const {
  return shared_ ? follower_.position() : source_.position(segment_, peer_);
}

void Exchange::compare_digests(const StateFrame& frame, const SaidState& own) {
  equal_.reset();
  if (frame.state.digest != own.digest) return;
  equal_ = own.digest;
  alarmed_.reset();
}

// When both sides have followed each other to the end their states must be equal. When they are
// not, something broke a rule (or a backup was restored); comparing everything mends it. Not again
// for the same two states.
void Exchange::check_in_step(const StateFrame& frame, Outbound& out) {
  StateFrame own;
  own.state = said(source_.state(segment_));
  own.position = position();
  compare_digests(frame, own.state);
  if (planted(Bug::ends_not_compared)) return;
  if (equal_ || !is_in_step(frame, own) || follower_.has_unfinished()) return;
  if (comparison_.is_open() || is_holding()) return;  // then they differ, and why is known
  if (follower_.tally().parked > 0) return begin_comparison(out);  // there may be more of the registry by now
  if (follower_.tally().refused > 0) return;
  if (alarmed_ == std::pair(own.state.digest, frame.state.digest)) return;
  raise_alarm(own, frame, out);
  begin_comparison(out);
}

// The dialler begins; a listener asks it to.
void Exchange::begin_comparison(Outbound& out) {
  if (role_ == Role::dialler) return comparison_.start(out);
  comparison_.await();
  say_state({.compare = true}, out);
}

void Exchange::raise_alarm(const StateFrame& own, const StateFrame& peer, Outbound& out) {
  alarmed_ = {own.state.digest, peer.state.digest};
  out.act(Alarm{"segment " + segment_ +
                ": both sides followed each other to the end and differ: comparing everything"});
}

void Exchange::pump(Outbound& out) {
  if (!shared_) return;
  comparison_.pump(out);
  if (!feed_.pump(out) && !comparison_.is_open()) begin_comparison(out);
}

void Exchange::settle(Outbound& out) {
  if (!comparison_.is_open()) return;
  comparison_.settle(out);
  if (comparison_.is_open()) return;
  if (comparison_.held() > 0) say_state({}, out);  // or the peer would think that a rule was broken
  pump(out);
}

bool Exchange::has_met() const {
  if (!shared_) return true;
  const SaidState& own = opening_->state;
  const SaidState& peer = peer_opening_->state;
  return follower_.has_reached({peer.journal, peer.head}) &&
         feed_.has_confirmed({own.journal, own.head});
}

bool Exchange::is_still_equal() const {
  return equal_ && *equal_ == digest_of(source_.state(segment_).roots);
}

bool Exchange::is_said() const {
  return last_said_ && last_said_->state == said(source_.state(segment_)) &&
         last_said_->position == position();
}

std::uint64_t Exchange::lag() const {
  const std::uint64_t head = source_.state(segment_).head;
  return shared_ && head > feed_.confirmed() ? head - feed_.confirmed() : 0;
}

}  // namespace loam
