#include "transport/session.hpp"

#include <algorithm>
#include <cassert>
#include <deque>
#include <set>
#include <utility>

#include "crdt/hash.hpp"
#include "planted.hpp"
#include "transport/exchange.hpp"

namespace loam {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr Time hello_within = 10s;
constexpr Time ping_after = 15s;
constexpr Time states_after = 15s;
constexpr Time dead_after = 45s;

// One round: how often, and how soon again, the states are compared before the round is given up
// as not converged (somebody keeps writing).
constexpr int compare_rounds_max = 20;
constexpr Time compare_again_after = 50ms;

constexpr std::uint16_t close_normal = 1000;
constexpr std::uint16_t close_going_away = 1001;
constexpr std::uint16_t close_protocol_error = 1002;
constexpr std::uint16_t close_policy = 1008;
constexpr std::uint16_t close_internal = 1011;

constexpr std::size_t text_octets_max = 200;

// A text that may come from anywhere, as one that may be sent and shown: short and UTF-8.
std::string shown(std::string text) {
  if (!is_utf8(text)) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; }, '?');
  }
  if (text.size() <= text_octets_max) return text;
  std::size_t cut = text_octets_max;
  while (cut > 0 && (text[cut] & 0xc0) == 0x80) --cut;  // not inside a character
  text.resize(cut);
  return text;
}

}  // namespace

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
      event();
      if (!closed_) settle();
    } catch (const UnknownFrame& error) {
      close(close_protocol_error, "incompatible", error.what());
    } catch (const Error& error) {
      const bool theirs = error.code() == ErrorCode::invalid || error.code() == ErrorCode::limit;
      theirs ? close(close_protocol_error, "invalid", error.what()) : fail(error.what());
    }
    report_.octets_sent = out_.octets_sent();
    return out_.take();
  }

  void connected() {
    last_received_ = last_sent_ = now_;
    if (config_.role == Role::dialler) send_request(config_.hello);
  }

  void received(BytesView message) {
    last_received_ = now_;
    report_.octets_received += message.size();
    const Frame frame = decode_frame(message);
    const bool is_answer =
        !std::holds_alternative<AckFrame>(frame) && !std::holds_alternative<Ping>(frame);
    if (awaiting_answer_ && is_answer) {
      ++report_.round_trips;
      awaiting_answer_ = false;
    }
    message_octets_ = message.size();
    std::visit([this](const auto& item) { on(item); }, frame);
  }

  void changed() {
    for (Exchange& exchange : exchanges_) exchange.pump(out_);
  }

  void applied(const ApplyOutcome& outcome) {
    const auto at = std::find_if(exchanges_.begin(), exchanges_.end(), [&](const Exchange& item) {
      return item.follower().awaits(outcome.ticket);
    });
    assert(at != exchanges_.end());
    if (outcome.refused) {
      ++refused_[at->segment()];
      // Why is our own matter: it may name our files.
      close(close_internal, "refused", "a part could not be stored");
      report_.problem = *outcome.refused;
      return;
    }
    done_octets_ += at->follower().applied(outcome);
    acknowledge(*at);
    if (outcome.cloned) {
      out_.act(Alarm{"segment " + at->segment() +
                     ": a copy of this running instance writes under the same name: this one goes on "
                     "under a new one"});
    }
    if (outcome.equivocated > 0) {
      out_.act(Alarm{"segment " + at->segment() + ": " + std::to_string(outcome.equivocated) +
                     " dots with two contents: the smaller hash was kept"});
    }
  }

  void woke() {
    armed_.reset();
    if (std::exchange(pump_later_, false)) changed();
    if (!report_.peer && now_ - last_received_ >= hello_within) {
      close(close_going_away, "leaving", "no hello within 10 s");
    } else if (now_ - last_received_ >= dead_after) {
      close(close_going_away, "leaving", "silent for 45 s");
    } else if (report_.peer) {
      say_alive();
    }
    if (compare_at_ && *compare_at_ <= now_) compare_at_.reset();
  }

  void leave(const std::string& reason) {
    if (config_.once) report_.problem = reason;  // a round that is left has not been done
    close(close_normal, "leaving", reason);
  }

  const SessionReport& report() {
    if (!closed_) refresh_report();
    return report_;
  }

  const SessionReport& last_report() const { return report_; }

 private:
  // ------------------------------------------------------------ frames

  void on(const Hello& hello) {
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

  void open_segments(const StoreId& peer) {
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

  void on(const Bye& bye) {
    if (bye.code == "untrusted") report_.untrusted = true;
    if (bye.code == "done") report_.converged = peer_done_ = true;
    if (bye.code != "done" && bye.code != "leaving") {
      report_.problem = "the peer ended: " + bye.code + ": " + shown(bye.reason);
    } else if (bye.code == "leaving" && config_.once && !report_.converged) {
      report_.problem = "the peer left: " + shown(bye.reason);
    }
    finish(close_normal, bye.code);
  }

  void on(const Ping&) { require_hello(); }

  void on(const StateFrame& frame) {
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

  void on(const DeltaFrame& frame) {
    Exchange& exchange = named(frame.index);
    if (planted(Bug::ack_before_durable)) {
      done_octets_ += std::exchange(message_octets_, 0);
      acknowledge(exchange);
    }
    exchange.follower().received(frame, message_octets_, out_);
  }

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

  void on(const DeadFrame& frame) {
    Exchange& exchange = named(frame.index);
    exchange.comparison().received(frame, out_);
    exchange.pump(out_);
  }

  void on(const AskFrame& frame) {
    Exchange& exchange = named(frame.index);
    exchange.feed().want(frame.actor, frame.selected);
    exchange.pump(out_);
  }

  void on(const AckFrame& frame) {
    Exchange& exchange = named(frame.index);
    if (!out_.acked(frame.octets)) throw Error(ErrorCode::invalid, "ack: more than was sent");
    exchange.feed().acked(frame.position);
    for (Exchange& each : exchanges_) each.pump(out_);
  }

  // ------------------------------------------------------------ helpers

  void require_hello() const {
    if (!report_.peer) throw Error(ErrorCode::invalid, "frame before hello");
  }

  void acknowledge(const Exchange& exchange) {
    out_.send(AckFrame{exchange.index(), done_octets_, exchange.follower().position().sequence});
  }

  Exchange& named(std::uint64_t peer_index) {
    require_hello();
    const auto at = peer_index_.find(peer_index);
    if (at == peer_index_.end() || !exchanges_[at->second].is_shared()) {
      throw Error(ErrorCode::invalid, "frame for a segment without a state");
    }
    return exchanges_[at->second];
  }

  template <class Holds>
  bool all_shared(Holds&& holds) const {
    return std::all_of(exchanges_.begin(), exchanges_.end(), [&](const Exchange& exchange) {
      return !exchange.is_shared() || holds(exchange);
    });
  }

  void send_request(const Frame& frame) {
    out_.send(frame);
    awaiting_answer_ = true;
  }

  // The states that have changed, however busy the link is: they are what shows that two sides
  // differ. A ping when nothing else was said.
  void say_alive() {
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

  // ------------------------------------------------------------ after every event

  void settle() {
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
    if (config_.once && report_.peer && peer_final_) settle_round();
    if (closed_) return;
    if (out_.wants_another_event()) {
      arm(now_);
      pump_later_ = true;
      return;
    }
    Time next = std::min(last_received_ + dead_after, last_sent_ + ping_after);
    next =
        report_.peer ? std::min(next, states_said_ + states_after) : last_received_ + hello_within;
    if (compare_at_) next = std::min(next, *compare_at_);
    arm(next);
  }

  void arm(Time when) {
    if (armed_ && *armed_ <= when) return;
    armed_ = when;
    out_.act(WakeAt{when});
  }

  void settle_round() {
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

  void ask_states() {
    comparing_states_ = true;
    for (std::size_t i = 0; i < exchanges_.size(); ++i) {
      if (!exchanges_[i].is_shared()) continue;
      awaited_states_.insert(i);
      exchanges_[i].say_state({.wanted = true}, out_);
      awaiting_answer_ = true;
    }
    octets_seen_ = out_.octets_sent();
    last_sent_ = now_;
    if (awaited_states_.empty()) judge_round();
  }

  void judge_round() {
    comparing_states_ = false;
    report_.converged = all_shared([](const Exchange& exchange) { return exchange.is_equal(); });
    if (report_.converged) {
      out_.send(Bye{"done", ""});
      finish(close_normal, "done");
    } else if (any_holding()) {
      report_.holding = true;
      report_.problem = "records that one side has removed are kept by the other until confirmed";
      close(close_normal, "leaving", report_.problem);
    } else if (++compare_rounds_ >= compare_rounds_max) {
      report_.problem = "the states still differ";
      close(close_normal, "leaving", report_.problem);
    } else {
      compare_at_ = now_ + compare_again_after;
    }
  }

  bool any_holding() const {
    return std::any_of(exchanges_.begin(), exchanges_.end(),
                       [](const Exchange& exchange) { return exchange.is_holding(); });
  }

  void refresh_report() {
    for (Exchange& exchange : exchanges_) {
      SegmentTally tally = exchange.follower().tally();
      tally.sent = exchange.feed().records_sent();
      tally.refused = refused_[exchange.segment()];
      tally.held = exchange.comparison().held();
      report_.segments[exchange.segment()] = tally;
      report_.lag[exchange.segment()] = exchange.lag();
    }
    if (!config_.once && !peer_done_ && !exchanges_.empty()) {
      report_.converged = all_shared([](const Exchange& exchange) { return exchange.is_equal(); });
    }
  }

  void close(std::uint16_t code, const std::string& bye, const std::string& reason) {
    if (code != close_normal) report_.problem = reason;
    out_.send(Bye{bye, shown(reason)});
    finish(code, bye + ": " + shown(reason));
  }

  // Our own trouble: the peer need not hear of paths and files.
  void fail(const std::string& problem) {
    close(close_internal, "damaged", "the store has failed");
    report_.problem = problem;
  }

  void finish(std::uint16_t code, const std::string& reason) {
    try {
      refresh_report();
    } catch (const Error&) {  // the store failed: the report keeps its last figures
    }
    closed_ = true;
    out_.act(Close{code, reason});
  }

  SessionConfig config_;
  const Source& source_;
  Outbound out_;
  SessionReport report_;
  std::deque<Exchange> exchanges_;  // which never move
  std::map<std::uint64_t, std::size_t> peer_index_;
  std::map<std::string, std::uint64_t> refused_;
  std::set<std::size_t> awaited_states_;
  Time now_{};
  Time last_sent_{};
  Time last_received_{};
  Time states_said_{};
  std::optional<Time> armed_;
  std::optional<Time> compare_at_;
  std::uint64_t octets_seen_ = 0;
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

Session::Session(SessionConfig config, const Source& source)
    : impl_(std::make_unique<Impl>(std::move(config), source)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;

std::vector<Action> Session::connected(Time now) {
  return impl_->run(now, [&] { impl_->connected(); });
}

std::vector<Action> Session::received(BytesView frame, Time now) {
  return impl_->run(now, [&] { impl_->received(frame); });
}

std::vector<Action> Session::changed(Time now) {
  return impl_->run(now, [&] { impl_->changed(); });
}

std::vector<Action> Session::applied(const ApplyOutcome& outcome, Time now) {
  return impl_->run(now, [&] { impl_->applied(outcome); });
}

std::vector<Action> Session::woke(Time now) {
  return impl_->run(now, [&] { impl_->woke(); });
}

std::vector<Action> Session::leave(const std::string& reason, Time now) {
  return impl_->run(now, [&] { impl_->leave(reason); });
}

const SessionReport& Session::report() const noexcept {
  try {
    return impl_->report();
  } catch (const Error&) {
    return impl_->last_report();
  }
}

}  // namespace loam
