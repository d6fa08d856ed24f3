// What a frame of the peer does.
#include "planted.hpp"
#include "transport/session_impl.hpp"

namespace loam {
namespace {

// As many segments as an instance may have.
constexpr std::size_t early_states_max = 256;

}  // namespace

void Session::Impl::on(const Bye& bye) {
  if (bye.code == "untrusted") report_.untrusted = true;
  if (bye.code == "done") report_.converged = peer_done_ = true;
  if (bye.code != "done" && bye.code != "leaving") {
    report_.problem = "the peer ended: " + bye.code + ": " + shown(bye.reason);
  } else if (bye.code == "leaving" && config_.once && !report_.converged) {
    report_.problem = "the peer left: " + shown(bye.reason);
  }
  finish(close_normal, bye.code);
}

void Session::Impl::on(const StateFrame& frame) {
  require_hello();
  if (frame.final) peer_final_ = true;
  const auto at = std::find_if(exchanges_.begin(), exchanges_.end(), [&](const Exchange& item) {
    return item.segment() == frame.segment;
  });
  if (at == exchanges_.end() && !is_open_ && early_states_.size() < early_states_max) {
    early_states_.insert_or_assign(frame.segment, frame);
  }
  if (at == exchanges_.end()) return;  // a segment that is not declared here, or that the peer may not read
  const auto own = static_cast<std::size_t>(at - exchanges_.begin());
  const auto known = peer_index_.emplace(frame.index, own).first;
  if (known->second != own) throw Error(ErrorCode::invalid, "state: an index with two segments");
  if (peer_index_.size() > exchanges_.size()) {
    throw Error(ErrorCode::invalid, "state: a segment with two indices");
  }
  at->received(frame, out_);
  awaited_states_.erase(own);
  at->pump(out_);
}

void Session::Impl::on(const DeltaFrame& frame) {
  Exchange& exchange = named(frame.index);
  if (planted(Bug::ack_before_durable)) {
    done_octets_ += std::exchange(message_octets_, 0);
    acknowledge(exchange);
  }
  exchange.follower().received(frame, message_octets_, out_);
  if (planted(Bug::vote_before_durable)) answer_again();
}

void Session::Impl::on(const DeadFrame& frame) {
  Exchange& exchange = named(frame.index);
  exchange.comparison().received(frame, out_);
  exchange.pump(out_);
}

void Session::Impl::on(const AskFrame& frame) {
  Exchange& exchange = named(frame.index);
  exchange.feed().want(frame.actor, frame.selected);
  exchange.pump(out_);
}

void Session::Impl::on(const AckFrame& frame) {
  Exchange& exchange = named(frame.index);
  if (!out_.acked(frame.octets)) throw Error(ErrorCode::invalid, "ack: more than was sent");
  exchange.feed().acked(frame.position);
  for (Exchange& each : exchanges_) each.pump(out_);
}

void Session::Impl::require_hello() const {
  if (!report_.peer) throw Error(ErrorCode::invalid, "frame before hello");
}

void Session::Impl::acknowledge(const Exchange& exchange) {
  out_.send(AckFrame{exchange.index(), done_octets_, exchange.follower().position().sequence});
}

Exchange& Session::Impl::named(std::uint64_t peer_index) {
  require_hello();
  const auto at = peer_index_.find(peer_index);
  if (at == peer_index_.end() || !exchanges_[at->second].is_shared()) {
    throw Error(ErrorCode::invalid, "frame for a segment without a state");
  }
  return exchanges_[at->second];
}

void Session::Impl::send_request(const Frame& frame) {
  out_.send(frame);
  awaiting_answer_ = true;
}

}  // namespace loam
