#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/transport/net.hpp"

namespace test {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

inline const std::vector<Declared> two_segments{{"registry", loam::Kind::map},
                                                {"lessons", loam::Kind::set}};

inline loam::Hello hello_from(const Peer& peer, const std::string& nonce) {
  loam::Hello hello = Net::hello_of(peer, 0);
  hello.nonce = loam::hash128("test nonce", {loam::bytes_of(nonce)});
  return hello;
}

/// What a peer would say of a segment to another, when it names it by its place in its own list.
inline loam::StateFrame state_from(const Peer& peer, const std::string& segment, const Peer& to) {
  loam::StateFrame frame;
  const auto segments = peer.segments();
  while (segments.at(static_cast<std::size_t>(frame.index)) != segment) ++frame.index;
  frame.segment = segment;
  frame.state = loam::said(peer.state(segment));
  frame.position = peer.position(segment, to.id());
  frame.final = segment == segments.back();
  return frame;
}

/// What a dialler says first when it compares a segment with the listener: everything, item by item.
inline loam::CompareFrame compare_from(const Peer& dialler, const std::string& segment,
                                       std::uint64_t index, std::uint64_t number,
                                       const loam::Hello& dials, const loam::Hello& listens) {
  const loam::SketchKey session = loam::hash128("loam session 1", {dials.nonce, listens.nonce});
  const loam::SketchKey key =
      loam::hash128("loam compare 1", {session, loam::bytes_of(segment),
                                       loam::bytes_of(std::to_string(number))});
  const loam::SegmentState state = dialler.state(segment);
  loam::CompareFrame frame{.index = index, .number = number};
  frame.base = {state.journal, state.head};
  frame.context = state.roots.context;
  frame.records = state.records;
  for (const loam::ActorState& actor : dialler.actors(segment, std::nullopt, 1'000)) {
    frame.items.push_back(loam::sketch_item(key, actor.actor, actor.covered, actor.live));
  }
  frame.actors = frame.items.size();
  std::sort(frame.items.begin(), frame.items.end());
  return frame;
}

inline loam::Action send(const loam::Frame& frame) { return loam::Send{loam::encode_frame(frame)}; }

/// One Session of `own`, to which the test speaks as `other` would: frame by frame.
class Script {
 public:
  explicit Script(loam::Role role = loam::Role::listener, const loam::SessionLimits& limits = {})
      : session_(make(role, limits)) {}

  Peer own{1, 1, two_segments};
  Peer other{2, 2, two_segments};
  loam::Time now{};

  loam::Session& session() { return session_; }
  loam::Hello own_hello() const { return hello_from(own, "own"); }
  loam::Hello other_hello() const { return hello_from(other, "other"); }

  std::vector<loam::Action> connected() { return session_.connected(now); }
  std::vector<loam::Action> receive(const loam::Frame& frame) {
    return receive(loam::BytesView(loam::encode_frame(frame)));
  }
  std::vector<loam::Action> receive(loam::BytesView message) {
    return session_.received(message, now);
  }
  std::vector<loam::Action> woke(loam::Time when) {
    now = when;
    return session_.woke(now);
  }

  /// Connects and greets; the states are still to be said.
  std::vector<loam::Action> greet() {
    session_.connected(now);
    return receive(other_hello());
  }

  /// Connects, greets and says the other's states: the conversation is open.
  std::vector<loam::Action> open() {
    greet();
    std::vector<loam::Action> all;
    for (const std::string& segment : other.segments()) {
      for (loam::Action& action : receive(state_from(other, segment, own))) {
        all.push_back(std::move(action));
      }
    }
    return all;
  }

  /// Commits an Apply, as the driver does, and tells the session.
  std::vector<loam::Action> commit(const loam::Apply& change) {
    return session_.applied(own.apply(change, other.id()), now);
  }

 private:
  loam::Session make(loam::Role role, const loam::SessionLimits& limits) const {
    loam::SessionConfig config;
    config.role = role;
    config.hello = own_hello();
    config.limits = limits;
    return loam::Session(std::move(config), own);
  }

  loam::Session session_;
};

/// The actions of one type.
template <class Type>
std::vector<Type> only(const std::vector<loam::Action>& actions) {
  std::vector<Type> found;
  for (const loam::Action& action : actions) {
    if (const auto* item = std::get_if<Type>(&action)) found.push_back(*item);
  }
  return found;
}

/// The frames of one type that are sent.
template <class Type>
std::vector<Type> sent(const std::vector<loam::Action>& actions) {
  std::vector<Type> found;
  for (const loam::Send& item : only<loam::Send>(actions)) {
    const loam::Frame frame = loam::decode_frame(item.frame);
    if (const auto* wanted = std::get_if<Type>(&frame)) found.push_back(*wanted);
  }
  return found;
}

/// How a session ended: "1002 invalid" for a bye `invalid` and a close code 1002; empty when it did
/// not, or not in order (a bye and a close, nothing behind them).
inline std::string end_of(const std::vector<loam::Action>& actions) {
  const auto closes = only<loam::Close>(actions);
  const auto byes = sent<loam::Bye>(actions);
  if (closes.size() != 1 || byes.size() != 1 || actions.size() < 2) return "";
  if (!std::holds_alternative<loam::Close>(actions.back())) return "";
  return std::to_string(closes[0].code) + " " + byes[0].code;
}

}  // namespace test
