// What a frame of the peer does.
#include "crdt/hash.hpp"
#include "planted.hpp"
#include "transport/session_impl.hpp"

namespace loam {

void Session::Impl::on(const Hello& hello) {
  if (report_.peer) throw Error(ErrorCode::invalid, "hello: a second one");
  if (hello.version_min > wire_version || hello.version_max < wire_version_min) {
    close(close_protocol_error, "incompatible",
          "peer speaks versions " + std::to_string(hello.version_min) + " to " +
              std::to_string(hello.version_max) + ", this is " + std::to_string(wire_version));
    return;
  }
  if (hello.federation != config_.hello.federation) {
    report_.untrusted = true;
    close(close_policy, "untrusted",
          "peer belongs to federation " + hello.federation.text() + ", this is " +
              config_.hello.federation.text());
    return;
  }
  if (hello.nonce == config_.hello.nonce || hello.store == config_.hello.store) {
    close(close_policy, "self", "this is our own store");
    return;
  }
  report_.peer = hello;
  states_said_ = now_;
  if (config_.role == Role::listener) send_request(config_.hello);
  open_segments(hello.store);
}

void Session::Impl::open_segments(const StoreId& peer) {
  std::uint64_t index = 0;
  const bool dials = config_.role == Role::dialler;
  const auto& ours = config_.hello.nonce;
  const auto& theirs = report_.peer->nonce;
  const SketchKey key =
      hash128("loam session 1", {dials ? ours : theirs, dials ? theirs : ours});
  for (const std::string& segment : source_.segments()) {
    exchanges_.emplace_back(segment, index++, source_, peer, config_.role, key);
  }
  for (Exchange& exchange : exchanges_) {
    exchange.say_state({.final = &exchange == &exchanges_.back()}, out_);
  }
  awaiting_answer_ = true;
}

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
  if (at == exchanges_.end()) return;  // a segment that is not declared here
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
