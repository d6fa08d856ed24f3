#include "transport/session.hpp"

#include <cassert>

#include "transport/session_impl.hpp"

namespace loam {
namespace {

constexpr std::size_t text_octets_max = 200;

}  // namespace

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

// ---------------------------------------------------------------- events

void Session::Impl::connected() {
  connected_ = last_received_ = last_sent_ = now_;
  if (config_.role == Role::dialler) greet();
}

void Session::Impl::received(BytesView message) {
  last_received_ = now_;
  report_.octets_received += message.size();
  const Frame frame = decode_frame(message);
  if (is_of_opening(frame)) opening_received_ += message.size();
  const bool is_answer =
      !std::holds_alternative<AckFrame>(frame) && !std::holds_alternative<Ping>(frame);
  if (awaiting_answer_ && is_answer) {
    ++report_.round_trips;
    awaiting_answer_ = false;
  }
  message_octets_ = message.size();
  if (std::holds_alternative<Hello>(frame) && !stranger_) peer_hello_ = copy_of(message);
  // Who asked to be admitted has been, when it hears how things stand.
  const bool is_welcome = is_joining_ && is_proven_ && config_.role == Role::dialler;
  if (!report_.peer && is_welcome && std::holds_alternative<StateFrame>(frame)) establish();
  std::visit([this](const auto& item) { on(item); }, frame);
}

void Session::Impl::changed() {
  for (Exchange& exchange : exchanges_) exchange.pump(out_);
  answer_again();
}

void Session::Impl::applied(const ApplyOutcome& outcome) {
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
  if (outcome.equivocated > 0) {
    out_.act(Alarm{"segment " + at->segment() + ": " + std::to_string(outcome.equivocated) +
                   " dots with two contents: the smaller hash was kept"});
  }
}

void Session::Impl::woke() {
  armed_.reset();
  if (std::exchange(pump_later_, false)) changed();
  if (!report_.peer && now_ - connected_ >= hello_within) {
    close(close_going_away, "leaving", stranger_ ? "no proof within 10 s" : "no hello within 10 s");
  } else if (now_ - last_received_ >= dead_after) {
    close(close_going_away, "leaving", "silent for 45 s");
  } else if (report_.peer) {
    say_alive();
  }
  if (compare_at_ && *compare_at_ <= now_) compare_at_.reset();
}

void Session::Impl::leave(const std::string& reason) {
  if (config_.once) report_.problem = reason;  // a round that is left has not been done
  close(close_normal, "leaving", reason);
}

const SessionReport& Session::Impl::report() {
  if (!closed_) refresh_report();
  return report_;
}

// ---------------------------------------------------------------- the end

void Session::Impl::refresh_report() {
  for (Exchange& exchange : exchanges_) {
    SegmentTally tally = exchange.follower().tally();
    tally.sent = exchange.feed().records_sent();
    tally.refused += refused_[exchange.segment()];
    tally.held = exchange.comparison().held();
    report_.segments[exchange.segment()] = tally;
    report_.lag[exchange.segment()] = exchange.lag();
  }
  report_.holding = any_holding();
  report_.last_received = last_received_;
  if (!config_.once && !peer_done_ && is_open_ && !exchanges_.empty()) {
    report_.converged = all_shared([](const Exchange& exchange) { return exchange.is_equal(); });
  }
}

void Session::Impl::close(std::uint16_t code, const std::string& bye, const std::string& reason) {
  if (code != close_normal) report_.problem = reason;
  out_.send(Bye{bye, shown(reason)});
  finish(code, bye + ": " + shown(reason));
}

// Our own trouble: the peer need not hear of paths and files.
void Session::Impl::fail(const std::string& problem) {
  close(close_internal, "damaged", "the store has failed");
  report_.problem = problem;
}

void Session::Impl::finish(std::uint16_t code, const std::string& reason) {
  try {
    refresh_report();
  } catch (const Error&) {  // the store failed: the report keeps its last figures
  }
  closed_ = true;
  out_.act(Close{code, reason});
}

// ---------------------------------------------------------------- the session

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

std::vector<Action> Session::admitted(const std::optional<std::string>& refusal, Time now) {
  return impl_->run(now, [&] { impl_->admitted(refusal); });
}

std::vector<Action> Session::ask(const VoteFrame& question, Time now) {
  return impl_->run(now, [&] { impl_->ask(question); });
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
