// How a conversation begins: both sides say who they are and prove it, then the registry, then the rest.
#include "crdt/hash.hpp"
#include "planted.hpp"
#include "transport/session_impl.hpp"

namespace loam {

// The first frame of this side.
void Session::Impl::greet() {
  own_hello_ = encode_frame(config_.hello);
  send_request(config_.hello);
}

void Session::Impl::on(const Hello& hello) {
  if (stranger_) throw Error(ErrorCode::invalid, "hello: a second one");
  if (hello.version_min > wire_version || hello.version_max < wire_version_min) {
    close(close_protocol_error, "incompatible",
          "peer speaks versions " + std::to_string(hello.version_min) + " to " +
              std::to_string(hello.version_max) + ", this is " + std::to_string(wire_version));
    return;
  }
  if (hello.federation != config_.hello.federation) {
    return refuse("peer belongs to federation " + hello.federation.text() + ", this is " +
                  config_.hello.federation.text());
  }
  if (hello.nonce == config_.hello.nonce || hello.store == config_.hello.store) {
    close(close_policy, "self", "this is our own store");
    return;
  }
  if (config_.gate != nullptr && !is_let_in(hello)) return;
  stranger_ = hello;
  if (config_.role == Role::listener) greet();
  if (config_.gate == nullptr) {
    establish();
  } else if (config_.role == Role::dialler) {
    prove();
  }
}

void Session::Impl::refuse(const std::string& why) {
  report_.untrusted = true;
  close(close_policy, "untrusted", why);
}

// Whether it is worth hearing what the sender proves.
bool Session::Impl::is_let_in(const Hello& hello) {
  try {
    check_public_key(hello.key);
  } catch (const Error& error) {
    refuse(error.what());
    return false;
  }
  if (instance_of(hello.key) != hello.instance) {
    refuse("peer says that it is another instance than that of its key");
    return false;
  }
  if (config_.expected && hello.key != *config_.expected) {
    refuse("peer has another key than the one that was expected");
    return false;
  }
  const auto refusal = config_.gate->refusal(hello.key);
  const bool joins_here = config_.role == Role::listener && hello.joins && config_.gate->has_invitations();
  is_joining_ = config_.secret.has_value() || (refusal && joins_here);
  if (!refusal || is_joining_) return true;
  refuse(*refusal);
  return false;
}

Introduction Session::Impl::introduction() const {
  const bool dials = config_.role == Role::dialler;
  return {dials ? own_hello_ : peer_hello_, dials ? peer_hello_ : own_hello_, config_.channel};
}

void Session::Impl::prove() {
  send_request(Proof{config_.gate->sign(proof_domain, proof_octets(config_.role, introduction()))});
}

void Session::Impl::on(const Proof& proof) {
  if (!stranger_ || is_proven_ || config_.gate == nullptr) throw Error(ErrorCode::invalid, "proof: nobody has asked");
  const Role peer = config_.role == Role::dialler ? Role::listener : Role::dialler;
  if (!proves(stranger_->key, peer, introduction(), proof.signature)) {
    return refuse("peer does not hold the key that it says");
  }
  is_proven_ = true;
  // Rights may have changed since it said hello.
  const bool is_reviewed = !is_joining_ && !planted(Bug::key_not_reviewed);
  const auto refusal = is_reviewed ? config_.gate->refusal(stranger_->key) : std::nullopt;
  if (refusal) return refuse(*refusal);
  if (config_.role == Role::listener) prove();
  if (!is_joining_) return establish();
  if (config_.role == Role::dialler) send_request(JoinFrame{*config_.secret});
}

void Session::Impl::on(const JoinFrame& frame) {
  if (report_.peer) return;  // it is in the registry already
  if (!is_proven_ || !is_joining_ || config_.role != Role::listener || is_asked_) {
    throw Error(ErrorCode::invalid, "join: nobody has asked");
  }
  is_asked_ = true;
  out_.act(Admit{stranger_->key, frame.secret});
}

void Session::Impl::admitted(const std::optional<std::string>& refusal) {
  if (report_.peer) return;
  if (refusal) return refuse(*refusal);
  if (const auto why = config_.gate->refusal(stranger_->key)) return refuse(*why);
  establish();
}

// The peer is who it says, and is let in.
void Session::Impl::establish() {
  report_.peer = *stranger_;
  states_said_ = now_;
  awaiting_answer_ = true;
  if (config_.gate == nullptr) return open_segments();
  rights_ = config_.gate->state();
  open({source_.segments().front()});  // the registry, of which the rest depends
}

void Session::Impl::open(const std::vector<std::string>& segments) {
  const bool dials = config_.role == Role::dialler;
  const auto& ours = config_.hello.nonce;
  const auto& theirs = report_.peer->nonce;
  const SketchKey key = hash128("loam session 1", {dials ? ours : theirs, dials ? theirs : ours});
  const std::size_t before = exchanges_.size();
  for (const std::string& segment : segments) {
    exchanges_.emplace_back(segment, exchanges_.size(), source_, report_.peer->store, config_.role, key);
  }
  const bool is_last = config_.gate == nullptr || before > 0;
  for (std::size_t i = before; i < exchanges_.size(); ++i) {
    exchanges_[i].say_state({.final = is_last && i + 1 == exchanges_.size()}, out_);
  }
}

std::vector<std::string> Session::Impl::readable_segments() const {
  std::vector<std::string> segments = source_.segments();
  if (config_.gate == nullptr) return segments;
  std::erase_if(segments, [&](const std::string& segment) {
    return segment != source_.segments().front() && !config_.gate->may_read(report_.peer->instance, segment);
  });
  return segments;
}

// All that the peer may read, once both sides have the same registry.
void Session::Impl::open_segments() {
  is_open_ = true;
  std::vector<std::string> segments = readable_segments();
  if (config_.gate != nullptr) {
    rights_ = config_.gate->state();
    segments.erase(segments.begin());  // the registry is open
    if (segments.empty()) exchanges_.front().say_state({.final = true}, out_);
  }
  open(segments);
  for (const auto& [segment, frame] : std::exchange(early_states_, {})) on(frame);
}

// The registry has changed since: who is revoked hears nothing more, and what may be read is agreed anew by another
// connection.
void Session::Impl::review_rights() {
  rights_ = config_.gate->state();
  // Who comes in by an invitation does not know its governor before it has the registry.
  const bool may_judge = is_open_ || !is_joining_ || config_.role == Role::listener;
  const auto refusal = may_judge ? config_.gate->refusal(report_.peer->key) : std::nullopt;
  if (refusal) return refuse(*refusal);
  if (!is_open_) return;
  const std::vector<std::string> segments = readable_segments();
  const bool is_same = std::equal(segments.begin(), segments.end(), exchanges_.begin(), exchanges_.end(),
                                  [](const std::string& name, const Exchange& each) { return name == each.segment(); });
  if (is_same) return;
  if (config_.once) report_.problem = "rights have changed: once more";
  close(close_normal, "leaving", "rights have changed");
}

}  // namespace loam
