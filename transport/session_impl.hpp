#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "planted.hpp"
#include "transport/exchange.hpp"
#include "transport/proof.hpp"
#include "transport/session.hpp"

namespace loam {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

inline constexpr Time hello_within = 10s;
inline constexpr Time ping_after = 15s;
inline constexpr Time states_after = 15s;
inline constexpr Time dead_after = 45s;

inline constexpr std::uint16_t close_normal = 1000;
inline constexpr std::uint16_t close_going_away = 1001;
inline constexpr std::uint16_t close_protocol_error = 1002;
inline constexpr std::uint16_t close_policy = 1008;
inline constexpr std::uint16_t close_internal = 1011;

/// A text that may come from anywhere, as one that may be sent and shown: short and UTF-8.
std::string shown(std::string text);

/// What a Session does; cut into files by what happens: an event, a frame, the end of an event.
class Session::Impl {
 public:
  Impl(SessionConfig config, const Source& source)
      : config_(std::move(config)), source_(source), out_(config_.limits) {}

  template <class Event>
  std::vector<Action> run(Time now, Event&& event) {
    if (closed_) return {};
    now_ = now;
    out_.begin_event();
    try {
      if (report_.peer && has_rights_changed() && !planted(Bug::rights_not_reviewed)) review_rights();
      if (!closed_) event();
      if (!closed_) settle();
    } catch (const UnknownFrame& error) {
      close(close_protocol_error, "incompatible", error.what());
    } catch (const Error& error) {
      const bool theirs = error.code() == ErrorCode::invalid || error.code() == ErrorCode::limit;
      theirs ? close(close_protocol_error, "invalid", error.what()) : fail(error.what());
    }
    report_.octets_sent = out_.octets_sent();
    report_.octets_opening = out_.octets_opening() + opening_received_;
    return out_.take();
  }

  void connected();
  void received(BytesView message);
  void changed();
  void applied(const ApplyOutcome& outcome);
  void admitted(const std::optional<std::string>& refusal);
  void ask(const VoteFrame& question);
  void woke();
  void leave(const std::string& reason);
  const SessionReport& report();
  const SessionReport& last_report() const { return report_; }

 private:
  // session_frames.cpp
  void on(const Hello& hello);
  void open_segments();
  void open(const std::vector<std::string>& segments);
  std::vector<std::string> readable_segments() const;
  bool has_rights_changed() const { return config_.gate != nullptr && config_.gate->state() != rights_; }

  // session_opening.cpp: until the segments are open.
  void greet();
  void on(const Proof& proof);
  void on(const JoinFrame& frame);
  bool is_let_in(const Hello& hello);
  Introduction introduction() const;
  void prove();
  void establish();
  void review_rights();
  void refuse(const std::string& why);
  void on(const Bye& bye);
  void on(const Ping&) {
    if (!stranger_) require_hello();
  }

  void on(const StateFrame& frame);
  void on(const DeltaFrame& frame);

  // Parts of a comparison count against the sender's window like chunks, until they have been read.
  template <class Part>
  void compare(const Part& part) {
    Exchange& exchange = named(part.index);
    awaiting_answer_ = true;  // it may make us ask, or answer
    exchange.comparison().received(part, message_octets_, out_);
    exchange.pump(out_);
  }

  void on(const CompareFrame& frame) { compare(frame); }
  void on(const ContextFrame& frame) { compare(frame); }
  void on(const LiveFrame& frame) { compare(frame); }

  void on(const DeadFrame& frame);
  void on(const AskFrame& frame);
  void on(const AckFrame& frame);

  // session_votes.cpp
  void on(const VoteFrame& frame);
  void on(const VotedFrame& frame);
  void answer(const VoteFrame& question, Vote vote);
  void answer_again();
  bool is_coming(const std::string& segment) const;
  bool may_read(const VoteFrame& question) const;
  std::optional<VoteMoment> moment_of(const VoteFrame& question) const;

  void require_hello() const;
  void acknowledge(const Exchange& exchange);
  Exchange& named(std::uint64_t peer_index);

  template <class Holds>
  bool all_shared(Holds&& holds) const {
    return std::all_of(exchanges_.begin(), exchanges_.end(), [&](const Exchange& exchange) {
      return !exchange.is_shared() || holds(exchange);
    });
  }

  void send_request(const Frame& frame);

  // session_settle.cpp: after every event.
  void say_alive();
  void settle();
  void arm(Time when);
  void settle_round();
  void ask_states();
  void judge_round();
  bool any_holding() const;

  // session.cpp
  void refresh_report();
  void close(std::uint16_t code, const std::string& bye, const std::string& reason);
  void fail(const std::string& problem);
  void finish(std::uint16_t code, const std::string& reason);

  SessionConfig config_;
  const Source& source_;
  std::optional<Hello> stranger_;  ///< the peer as it says, from its hello on
  Bytes own_hello_;
  Bytes peer_hello_;
  std::map<std::string, StateFrame> early_states_;  ///< of segments that are not open here yet
  Fingerprint rights_;       ///< state of the gate when it was asked last
  bool is_open_ = false;     ///< all segments that the peer may read are open
  bool is_proven_ = false;   ///< the peer's proof was good
  bool is_joining_ = false;  ///< one of the two waits to be admitted
  bool is_asked_ = false;    ///< the driver has been asked to admit the peer
  Outbound out_;
  SessionReport report_;
  std::deque<Exchange> exchanges_;  // which never move
  std::map<std::uint64_t, std::size_t> peer_index_;
  std::map<std::string, std::uint64_t> refused_;
  std::set<std::size_t> awaited_states_;
  std::map<std::uint64_t, VoteAnswers> asked_;  ///< by call of the peer, until it is withdrawn
  Time now_{};
  Time connected_{};
  Time last_sent_{};
  Time last_received_{};
  Time states_said_{};
  std::optional<Time> armed_;
  std::optional<Time> compare_at_;
  std::uint64_t octets_seen_ = 0;
  std::uint64_t opening_received_ = 0;
  std::uint64_t done_octets_ = 0;  ///< of chunks that are durable, and of parts that were read
  std::size_t message_octets_ = 0;
  int compare_rounds_ = 0;
  bool awaiting_answer_ = false;
  bool comparing_states_ = false;
  bool peer_final_ = false;
  bool peer_done_ = false;
  bool pump_later_ = false;
  bool closed_ = false;

  friend class Session;
};

}  // namespace loam
