// What follows from the state of things, after every event: liveness, and the end of a round.
#include "transport/session_impl.hpp"

namespace loam {
namespace {

// One round: how often, and how soon again, the states are compared before the round is given up
// as not converged (somebody keeps writing).
constexpr int compare_rounds_max = 20;
constexpr Time compare_again_after = 50ms;

}  // namespace

// The states that have changed, however busy the link is: they are what shows that two sides
// differ. A ping when nothing else was said.
void Session::Impl::say_alive() {
  const bool is_silent = now_ - last_sent_ >= ping_after;
  if (now_ - states_said_ < states_after && !is_silent) return;
  states_said_ = now_;
  bool said = false;
  for (Exchange& exchange : exchanges_) {
    if (exchange.is_said()) continue;
    exchange.say_state({}, out_);
    said = true;
  }
  if (!said && is_silent) out_.send(Ping{});
}

void Session::Impl::settle() {
  const bool has_registry = !is_open_ && !exchanges_.empty() && exchanges_.front().is_shared();
  if (has_registry && exchanges_.front().has_met()) open_segments();
  if (closed_) return;
  for (Exchange& exchange : exchanges_) {
    const std::uint64_t octets = exchange.comparison().take_read();
    done_octets_ += octets;
    if (octets > 0) acknowledge(exchange);
  }
  for (Exchange& exchange : exchanges_) exchange.settle(out_);
  if (out_.octets_sent() != octets_seen_) {
    octets_seen_ = out_.octets_sent();
    last_sent_ = now_;
  }
  if (config_.once && is_open_ && peer_final_) settle_round();
  if (closed_) return;
  if (out_.wants_another_event()) {
    arm(now_);
    pump_later_ = true;
    return;
  }
  Time next = std::min(last_received_ + dead_after, last_sent_ + ping_after);
  next =
      report_.peer ? std::min(next, states_said_ + states_after) : connected_ + hello_within;
  if (compare_at_) next = std::min(next, *compare_at_);
  arm(next);
}

void Session::Impl::arm(Time when) {
  if (armed_ && *armed_ <= when) return;
  armed_ = when;
  out_.act(WakeAt{when});
}

void Session::Impl::settle_round() {
  if (comparing_states_) {
    if (awaited_states_.empty()) judge_round();
    return;
  }
  if (compare_at_) return;
  const bool met = std::all_of(exchanges_.begin(), exchanges_.end(),
                               [](const Exchange& exchange) { return exchange.has_met(); });
  if (!met) return;
  // Where nothing had to travel, the opening states have said it all.
  const bool is_known =
      all_shared([](const Exchange& exchange) { return exchange.is_still_equal(); });
  is_known ? judge_round() : ask_states();
}

void Session::Impl::ask_states() {
  comparing_states_ = true;
  for (std::size_t i = 0; i < exchanges_.size(); ++i) {
    if (!exchanges_[i].is_shared() || exchanges_[i].is_still_equal()) continue;
    awaited_states_.insert(i);
    exchanges_[i].say_state({.wanted = true}, out_);
    awaiting_answer_ = true;
  }
  octets_seen_ = out_.octets_sent();
  last_sent_ = now_;
  if (awaited_states_.empty()) judge_round();
}

void Session::Impl::judge_round() {
  comparing_states_ = false;
  report_.converged = all_shared([](const Exchange& exchange) { return exchange.is_equal(); });
  const bool has_left_out = std::any_of(exchanges_.begin(), exchanges_.end(), [](const Exchange& exchange) {
    return exchange.follower().tally().refused + exchange.follower().tally().parked > 0;
  });
  if (report_.converged) {
    out_.send(Bye{"done", ""});
    finish(close_normal, "done");
  } else if (any_holding()) {
    report_.problem = "records that one side has removed are kept by the other until confirmed";
    close(close_normal, "leaving", report_.problem);
  } else if (has_left_out) {
    report_.problem = "the peer has records that are not admitted here";
    close(close_normal, "leaving", report_.problem);
  } else if (++compare_rounds_ >= compare_rounds_max) {
    report_.problem = "the states still differ";
    close(close_normal, "leaving", report_.problem);
  } else {
    compare_at_ = now_ + compare_again_after;
  }
}

bool Session::Impl::any_holding() const {
  return std::any_of(exchanges_.begin(), exchanges_.end(),
                     [](const Exchange& exchange) { return exchange.is_holding(); });
}

}  // namespace loam
