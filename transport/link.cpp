#include "transport/link.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cassert>
#include <deque>
#include <functional>
#include <utility>

#include "crdt/error.hpp"
#include "transport/close.hpp"
#include "transport/opening.hpp"

namespace loam {
namespace {

namespace net = boost::asio;
namespace websocket = boost::beast::websocket;
using net::ip::tcp;

/// Octets that one read may bring, so that no link holds the loop, and the buffer that a link keeps
/// between messages. A buffer grows with what has arrived, never by a declared length.
constexpr std::size_t read_octets_min = std::size_t{4} << 10;
constexpr std::size_t read_octets_max = std::size_t{64} << 10;
constexpr std::size_t kept_octets_max = std::size_t{128} << 10;

Time now() { return std::chrono::duration_cast<Time>(SteadyClock::now().time_since_epoch()); }

/// The only Link.
class WebSocketLink final : public Link, public std::enable_shared_from_this<WebSocketLink> {
 public:
  struct Side {
    Role role = Role::listener;
    bool once = false;
    std::string endpoint;
  };

  WebSocketLink(net::any_io_executor executor, Side side, std::shared_ptr<LinkHost> host,
                const LinkLimits& limits)
      : side_(std::move(side)),
        host_(std::move(host)),
        limits_(limits),
        executor_(std::move(executor)) {}

  std::shared_ptr<Opening> open(tcp::socket socket, const LinkDoor& door);

  void changed() override { react(&Session::changed); }
  void ask(const VoteFrame& question) override { react(&Session::ask, question); }
  void leave(const std::string& reason) override;
  const std::optional<Hello>& peer() const noexcept override { return peer_; }
  SessionReport report() const override;
  const std::string& endpoint() const noexcept override { return side_.endpoint; }
  Role role() const noexcept override { return side_.role; }
  bool established() const noexcept override { return peer_ && phase_ == Phase::open; }

 private:
  Handler<WebSocketLink> on(Handler<WebSocketLink>::Event event) {
    return {shared_from_this(), event};
  }

  void opened(std::unique_ptr<Stream> stream, const Opening::Problem& problem);
  void timed_out(const error_code& error, std::size_t);

  // What the peer sends.
  void read();
  void some_read(const error_code& error, std::size_t octets);
  void message_complete();
  void read_failed(const error_code& error);
  void message_timed_out(const error_code& error, std::size_t);

  // What the session says.
  template <class SessionEvent, class... Arguments>
  void react(SessionEvent event, const Arguments&... arguments);
  void greet();
  void perform_actions();
  void perform(Send& action);
  void perform(Apply& action);
  void perform(WakeAt& action);
  void perform(Hold& action) { host_->hold(*peer_, std::move(action)); }
  void perform(Admit& action);
  void perform(Voted& action);
  void perform(Alarm& action) { host_->alarm(action.text); }
  void perform(Close& action) { close(action.code, action.reason); }
  void applied(const ApplyOutcome& outcome, std::size_t octets);
  void woke(const error_code& error, std::size_t);

  // What it sends.
  void write();
  void written(const error_code& error, std::size_t);

  void close(std::uint16_t code, const std::string& reason);
  void begin_close();
  void send_close();
  void answer_close();
  void close_done(const error_code&, std::size_t) { finish(""); }
  void finish(const std::string& problem);
  void tell_closed(const error_code&, std::size_t);

  const Side side_;
  std::shared_ptr<LinkHost> host_;  ///< until it was told of the end
  const LinkLimits limits_;
  const net::any_io_executor executor_;

  enum class Phase { opening, open, closing, ended };
  Phase phase_ = Phase::opening;    ///< goes forward only: in opened, begin_close and finish
  std::weak_ptr<Opening> opening_;  ///< which keeps us, until it is done
  std::unique_ptr<Stream> stream_;
  Deadline deadline_{executor_};  ///< of the hello, then of closing
  Deadline message_deadline_{executor_};
  Deadline wake_{executor_};

  std::optional<Session> session_;
  std::optional<Hello> peer_;
  std::deque<Action> actions_;
  bool performing_ = false;

  Bytes message_;                   ///< the message being read, and room for more of it
  std::size_t message_octets_ = 0;  ///< how much of it is there
  bool reading_ = false;
  std::size_t charge_ = 0;  ///< octets that the next Apply stands for
  std::size_t unapplied_octets_ = 0;

  std::deque<Bytes> outbox_;  ///< the first one is being written
  std::size_t outbox_octets_ = 0;
  bool writing_ = false;

  websocket::close_reason close_reason_;
  bool close_sent_ = false;      ///< ours; close_done follows
  bool close_answered_ = false;  ///< the peer's
  SessionReport report_;         ///< the final one
  std::string problem_;          ///< why it ended, unless the session knows better
};

std::shared_ptr<Opening> WebSocketLink::open(tcp::socket socket, const LinkDoor& door) {
  Security security;
  if (door.tls) {
    security.tls = host_->tls();
    if (!security.tls) throw Error(ErrorCode::denied, "address " + side_.endpoint + ": there is no key for TLS");
    security.is_expected = [host = host_](const PublicKey& key) { return host->is_expected(key); };
    security.hosts = door.hosts;
  }
  auto done = [self = shared_from_this()](auto stream, const auto& problem) {
    self->opened(std::move(stream), problem);
  };
  auto opening = std::make_shared<Opening>(std::move(socket), limits_, std::move(security), std::move(done));
  opening_ = opening;
  return opening;
}

void WebSocketLink::opened(std::unique_ptr<Stream> stream, const Opening::Problem& problem) {
  opening_.reset();
  report_.untrusted = problem.is_stranger;
  if (!stream) return finish(problem.text);
  stream_ = std::move(stream);
  stream_->next_layer().lift();
  stream_->binary(true);
  stream_->auto_fragment(false);
  stream_->write_buffer_bytes(read_octets_max);
  stream_->read_message_max(message_octets_max);
  stream_->control_callback([weak = weak_from_this()](websocket::frame_type kind, auto) {
    const auto link = weak.lock();
    if (link && kind == websocket::frame_type::close) link->answer_close();
  });
  phase_ = Phase::open;
  deadline_.arm(limits_.hello, on(&WebSocketLink::timed_out));
  auto config = host_->session_config(side_.role);
  config.role = side_.role;
  config.once = side_.once;
  config.channel = stream_->next_layer().name();
  // The certificate and the proof are of one instance.
  if (!config.expected && side_.role == Role::dialler) config.expected = stream_->next_layer().certified();
  session_.emplace(std::move(config), host_->source());
  react(&Session::connected);
  read();
}

void WebSocketLink::timed_out(const error_code& error, std::size_t) {
  if (!deadline_.reached(error)) return;
  phase_ == Phase::open ? close(close_policy, late("hello", limits_.hello)) : finish("");
}

// ------------------------------------------------------------ what the peer sends

/// Not before the store has kept up: a peer that sends faster waits in its own TCP window.
void WebSocketLink::read() {
  if (phase_ != Phase::open || reading_ || unapplied_octets_ > limits_.unapplied_octets_max) return;
  if (message_.size() - message_octets_ < read_octets_min) {
    message_.resize(message_.size() +
                    std::clamp(message_octets_, read_octets_min, read_octets_max));
  }
  const auto room = std::min(message_.size() - message_octets_, read_octets_max);
  reading_ = true;
  stream_->async_read_some(net::buffer(message_.data() + message_octets_, room),
                           on(&WebSocketLink::some_read));
}

void WebSocketLink::some_read(const error_code& error, std::size_t octets) {
  if (phase_ == Phase::ended) return;
  if (error) return read_failed(error);
  if (phase_ == Phase::closing) return;
  if (stream_->got_text()) return close(close_unsupported, "message: text, expected binary");
  const bool is_first = message_octets_ == 0;
  message_octets_ += octets;
  if (stream_->is_message_done()) {
    message_complete();
  } else if (is_first) {
    message_deadline_.arm(limits_.message, on(&WebSocketLink::message_timed_out));
  }
  reading_ = false;  // not before: the host may have answered an Apply while the message was in use
  read();
}

void WebSocketLink::message_complete() {
  message_deadline_.disarm();
  charge_ = std::exchange(message_octets_, 0);
  react(&Session::received, BytesView(message_.data(), charge_));
  charge_ = 0;
  if (message_.size() > kept_octets_max) Bytes().swap(message_);
}

void WebSocketLink::message_timed_out(const error_code& error, std::size_t) {
  if (!message_deadline_.reached(error)) return;
  close(close_policy, late("complete message", limits_.message));
}

void WebSocketLink::read_failed(const error_code& error) {
  if (close_sent_) return;  // close_done comes
  if (error == websocket::error::closed) {
    const auto& [code, reason] = stream_->reason();
    const bool is_normal = code == close_normal || code == close_going_away || code == 0;
    if (is_normal && !(side_.once && close_answered_)) return finish("");
    return finish(peer_close_text(code, {reason.data(), reason.size()}));
  }
  if (error == websocket::error::message_too_big) {
    return finish("message: more than " + std::to_string(message_octets_max) + " octets");
  }
  finish("connection lost: " + error.message());
}

// ------------------------------------------------------------ what the session says

/// Tells the session of an event and does what it answers. Events that a host raises while actions
/// are performed only add to them: no recursion.
template <class SessionEvent, class... Arguments>
void WebSocketLink::react(SessionEvent event, const Arguments&... arguments) {
  if (phase_ != Phase::open) return;
  try {
    for (Action& action : std::invoke(event, *session_, arguments..., now())) {
      actions_.push_back(std::move(action));
    }
    perform_actions();
  } catch (const std::exception& error) {  // ours or the store's: the Session answers for the peer
    performing_ = false;
    host_->alarm("link " + side_.endpoint + ": " + error.what());
    close(close_internal, error.what());
  }
}

void WebSocketLink::perform_actions() {
  if (performing_) return;
  performing_ = true;
  const auto self = shared_from_this();
  if (!peer_) greet();
  while (phase_ == Phase::open && !actions_.empty()) {
    Action action = std::move(actions_.front());
    actions_.pop_front();
    std::visit([&self](auto& item) { self->perform(item); }, action);
  }
  performing_ = false;
}

void WebSocketLink::greet() {
  peer_ = session_->report().peer;
  if (!peer_) return;
  deadline_.disarm();
  host_->established(shared_from_this());
}

void WebSocketLink::perform(Send& action) {
  outbox_octets_ += action.frame.size();
  if (outbox_octets_ > limits_.outbox_octets_max) {
    outbox_.resize(writing_ ? 1 : 0);
    return close(close_try_later, "outbox: " + std::to_string(outbox_octets_) + " octets, limit " +
                                      std::to_string(limits_.outbox_octets_max));
  }
  outbox_.push_back(std::move(action.frame));
  write();
}

void WebSocketLink::perform(Apply& action) {
  assert(peer_);
  const auto octets = std::exchange(charge_, 0);
  unapplied_octets_ += octets;
  host_->apply(*peer_, std::move(action),
               [weak = weak_from_this(), octets](const ApplyOutcome& outcome) {
                 if (const auto link = weak.lock()) link->applied(outcome, octets);
               });
}

void WebSocketLink::applied(const ApplyOutcome& outcome, std::size_t octets) {
  unapplied_octets_ -= octets;
  react(&Session::applied, outcome);
  read();
}

void WebSocketLink::perform(Admit& action) {
  host_->admit(action, [weak = weak_from_this()](const std::optional<std::string>& refusal) {
    if (const auto link = weak.lock()) link->react(&Session::admitted, refusal);
  });
}

void WebSocketLink::perform(Voted& action) { host_->voted(*peer_, action.vote); }

void WebSocketLink::perform(WakeAt& action) {
  wake_.arm(SteadyClock::time_point(action.when), on(&WebSocketLink::woke));
}

void WebSocketLink::woke(const error_code& error, std::size_t) {
  if (wake_.reached(error)) react(&Session::woke);
}

void WebSocketLink::write() {
  if (writing_ || outbox_.empty()) return;
  writing_ = true;
  stream_->async_write(net::buffer(outbox_.front()), on(&WebSocketLink::written));
}

void WebSocketLink::written(const error_code& error, std::size_t) {
  writing_ = false;
  if (phase_ == Phase::ended) return;
  if (error) return finish("connection lost: " + error.message());
  outbox_octets_ -= outbox_.front().size();
  outbox_.pop_front();
  write();
  if (phase_ == Phase::closing) send_close();
}

// ------------------------------------------------------------ the end

void WebSocketLink::leave(const std::string& reason) {
  if (const auto opening = opening_.lock()) return opening->cancel();
  if (phase_ != Phase::open) return;
  react(&Session::leave, reason);
  actions_.push_back(Close{close_going_away, reason});
  perform_actions();
}

/// What is in the outbox goes first; one deadline for both.
void WebSocketLink::close(std::uint16_t code, const std::string& reason) {
  if (phase_ != Phase::open) return;
  begin_close();
  if (code != close_normal && code != close_going_away) problem_ = reason;
  close_reason_ = {static_cast<websocket::close_code>(code), close_reason_of(reason)};
  send_close();
}

void WebSocketLink::begin_close() {
  phase_ = Phase::closing;
  message_deadline_.disarm();
  wake_.disarm();
  deadline_.arm(limits_.close, on(&WebSocketLink::timed_out));
}

void WebSocketLink::send_close() {
  if (writing_ || close_sent_ || close_answered_) return;
  close_sent_ = true;
  stream_->async_close(close_reason_, on(&WebSocketLink::close_done));
}

/// Beast answers a peer that closes, then waits without end for it to end the connection.
void WebSocketLink::answer_close() {
  if (phase_ != Phase::open) return;
  begin_close();
  close_answered_ = true;
}

void WebSocketLink::finish(const std::string& problem) {
  if (phase_ == Phase::ended) return;
  phase_ = Phase::ended;
  if (problem_.empty()) problem_ = problem;
  for (Deadline* deadline : {&deadline_, &message_deadline_, &wake_}) deadline->disarm();
  if (stream_) stream_->next_layer().close();
  net::post(executor_, on(&WebSocketLink::tell_closed));
}

/// Nothing of the host is used after this: neither itself nor its Source.
void WebSocketLink::tell_closed(const error_code&, std::size_t) {
  report_ = report();
  session_.reset();
  std::exchange(host_, nullptr)->closed(shared_from_this(), report_);
}

SessionReport WebSocketLink::report() const {
  auto report = session_ ? session_->report() : report_;
  if (report.problem.empty()) report.problem = problem_;
  return report;
}

}  // namespace

std::shared_ptr<Link> Link::accept(TcpSocket socket, std::shared_ptr<LinkHost> host,
                                   const LinkLimits& limits, const LinkDoor& door) {
  error_code ignored;
  const auto peer = socket.remote_endpoint(ignored);
  WebSocketLink::Side side{Role::listener, false,
                           Address{peer.address().to_string(), peer.port()}.text()};
  auto link = std::make_shared<WebSocketLink>(socket.get_executor(), std::move(side),
                                              std::move(host), limits);
  link->open(std::move(socket), door)->accept();
  return link;
}

std::shared_ptr<Link> Link::dial(net::io_context& loop, const Target& target,
                                 std::shared_ptr<LinkHost> host, const LinkLimits& limits) {
  require_private(target.address);
  WebSocketLink::Side side{Role::dialler, target.once, target.address.text()};
  auto link = std::make_shared<WebSocketLink>(loop.get_executor(), std::move(side), std::move(host),
                                              limits);
  link->open(tcp::socket(loop), {target.address.tls, {}})->dial(target.address);
  return link;
}

}  // namespace loam
