#include "transport/exchange.hpp"

#include <utility>

namespace loam {

Exchange::Exchange(std::string segment, std::uint64_t index, const Source& source,
                   const StoreId& peer)
    : segment_(std::move(segment)),
      index_(index),
      source_(source),
      peer_(peer),
      feed_(segment_, index, source),
      follower_(segment_, source.state(segment_).kind, index, source) {}

void Exchange::say_state(Say say, Outbound& out) {
  StateFrame frame;
  frame.index = index_;
  frame.segment = segment_;
  frame.state = said(source_.state(segment_));
  frame.position = position();
  frame.wanted = say.wanted;
  frame.compare = say.compare;
  frame.final = say.final;
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
    feed_.start(decide_start(*opening_, frame), opening_->state.journal, peer_);
    follower_.start(decide_start(frame, *opening_), frame, opening_->position, out);
    return;
  }
  if (!shared_) return;
  if (!frame.compare) {
    check_in_step(frame, out);
  } else if (!follower_.is_comparing()) {  // else our context has crossed the request
    follower_.start(Start{.compare = true}, frame, {}, out);
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
  if (equal_ || !is_in_step(frame, own) || follower_.has_unfinished()) return;
  if (alarmed_ == std::pair(own.state.digest, frame.state.digest)) return;
  raise_alarm(own, frame, out);
  say_state({.compare = true}, out);  // the peer does not always see it
  follower_.start(Start{.compare = true}, frame, {}, out);
}

void Exchange::raise_alarm(const StateFrame& own, const StateFrame& peer, Outbound& out) {
  alarmed_ = {own.state.digest, peer.state.digest};
  out.act(Alarm{"segment " + segment_ +
                ": both sides followed each other to the end and differ: comparing everything"});
}

void Exchange::pump(Outbound& out) {
  if (shared_ && !feed_.pump(out)) say_state({.compare = true}, out);
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
