#include "transport/opening.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <optional>
#include <utility>
#include <vector>

namespace loam {

namespace net = boost::asio;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using net::ip::tcp;

/// Why a request is answered with an HTTP status instead of a WebSocket; empty: it is not.
struct Opening::Refusal {
  std::string status;
  std::string why;
};

/// What is needed only here.
struct Opening::Scratch {
  std::array<char, http_header_octets_max> header;  ///< what the other side asks
  std::size_t received = 0;                         ///< octets of it that are there
  std::size_t parsed = 0;
  http::request_parser<http::empty_body> parser;
  websocket::response_type response;
  std::string endpoint;                   ///< what is dialled
  std::string host;                       ///< and what the request names
  std::optional<tcp::resolver> resolver;
  std::vector<tcp::endpoint> candidates;  ///< still to be tried, the next one last
  std::string refusal;
};

namespace {

constexpr const char* path = "/loam/1";
constexpr const char* subprotocol = "loam.v1";
constexpr const char* product = "loam";

/// A child process of an agent must not inherit the connection; small frames must not wait.
void prepare(tcp::socket& socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
}

std::string http_text(const std::string& status, const std::string& why) {
  return "HTTP/1.1 " + status + "\r\nServer: " + product +
         "\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
         "\r\nContent-Type: text/plain\r\nContent-Length: " +
         std::to_string(why.size() + 1) + "\r\n\r\n" + why + "\n";
}

}  // namespace

Opening::Opening(tcp::socket socket, const LinkLimits& limits, Security security, Done done)
    : stream_(std::make_unique<Stream>(std::move(socket))),
      limits_(limits),
      security_(std::move(security)),
      done_(std::move(done)),
      deadline_(stream_->get_executor()),
      scratch_(std::make_unique<Scratch>()) {}

Opening::~Opening() = default;

void Opening::enter(Phase phase, std::chrono::milliseconds limit) {
  phase_ = phase;
  deadline_.arm(limit, on(&Opening::timed_out));
}

void Opening::timed_out(const error_code& error, std::size_t) {
  if (!deadline_.reached(error)) return;
  if (phase_ == Phase::connecting) {
    return finish("connect " + scratch_->endpoint + ": " + late("connection", limits_.connect));
  }
  if (phase_ == Phase::securing) return finish("TLS: " + late("complete handshake", limits_.tls));
  finish("upgrade: " + late("complete exchange", limits_.upgrade));
}

void Opening::dial(const Address& address) {
  role_ = Role::dialler;
  scratch_->endpoint = address.text();
  scratch_->host = address.authority();
  enter(Phase::connecting, limits_.connect);
  resolve(address);
}

void Opening::resolve(const Address& address) {
  auto& candidates = scratch_->candidates;
  error_code error;
  const auto literal = net::ip::make_address(address.host, error);
  if (!error) candidates.emplace_back(literal, address.port);
  if (address.host == "localhost") {
    for (const char* loopback : {"::1", "127.0.0.1"}) candidates.emplace_back(net::ip::make_address(loopback), address.port);
  }
  if (!candidates.empty()) return connect();
  auto& resolver = scratch_->resolver.emplace(stream_->get_executor());
  resolver.async_resolve(address.host, std::to_string(address.port), tcp::resolver::numeric_service,
                         [self = shared_from_this()](const error_code& failure, const auto& found) {
                           if (self->phase_ != Phase::connecting) return;
                           auto& scratch = *self->scratch_;
                           for (const auto& each : found) scratch.candidates.push_back(each.endpoint());
                           std::reverse(scratch.candidates.begin(), scratch.candidates.end());
                           if (!scratch.candidates.empty()) return self->connect();
                           self->finish("connect " + scratch.endpoint + ": " +
                                        (failure ? failure.message() : "the name has no address"));
                         });
}

void Opening::connect() {
  const auto next = scratch_->candidates.back();
  scratch_->candidates.pop_back();
  error_code error;
  socket().close(error);
  socket().open(next.protocol(), error);
  if (error) return finish("connect " + scratch_->endpoint + ": " + error.message());
  prepare(socket());
  socket().async_connect(next, on(&Opening::connected));
}

void Opening::connected(const error_code& error, std::size_t) {
  if (phase_ != Phase::connecting) return;
  error_code ignored;
  // An ephemeral port on which nobody listens can be given to our own end (RFC 793, simultaneous
  // open): the connection is then one with ourselves.
  const bool own = !error && socket().local_endpoint(ignored) == socket().remote_endpoint(ignored);
  if (error || own) {
    if (!scratch_->candidates.empty()) return connect();
    return finish("connect " + scratch_->endpoint + ": " +
                  (own ? "nobody listens there" : error.message()));
  }
  security_.tls ? secure(Role::dialler) : request_upgrade();
}

void Opening::secure(Role role) {
  enter(Phase::securing, limits_.tls);
  channel().secure(*security_.tls, role, Completion(on(&Opening::secured), stream_->get_executor()));
}

/// A side that was dialled shows first who it is, and hears nothing of us otherwise. Who dials shows it to the session.
void Opening::secured(const error_code& error, std::size_t) {
  if (phase_ != Phase::securing) return;
  if (error) return finish("TLS: " + error.message());
  if (role_ == Role::listener) {
    enter(Phase::upgrading, limits_.upgrade);
    return read_request();
  }
  const auto key = channel().certified();
  problem_.is_stranger = !key || !security_.is_expected(*key);
  if (!problem_.is_stranger) return request_upgrade();
  finish(key ? "TLS: instance " + instance_of(*key).text() + " is not a member that may be there"
             : "TLS: the other side has no certificate of an instance");
}

void Opening::request_upgrade() {
  enter(Phase::upgrading, limits_.upgrade);
  stream_->set_option(websocket::stream_base::decorator([](websocket::request_type& request) {
    request.set(http::field::user_agent, product);
    request.set(http::field::sec_websocket_protocol, subprotocol);
  }));
  stream_->async_handshake(scratch_->response, scratch_->host, path, on(&Opening::answered));
}

void Opening::answered(const error_code& error, std::size_t) {
  if (phase_ != Phase::upgrading) return;
  const auto& response = scratch_->response;
  if (error == websocket::error::upgrade_declined) {
    return finish("upgrade: refused with HTTP " + std::to_string(response.result_int()));
  }
  if (error) return finish("upgrade: " + error.message());
  if (response[http::field::sec_websocket_protocol] != subprotocol) {
    return finish("upgrade: the other side does not speak loam.v1");
  }
  phase_ = Phase::open;
  tell_done({}, 0);
}

void Opening::accept() {
  prepare(socket());
  if (security_.tls) return secure(Role::listener);
  enter(Phase::upgrading, limits_.upgrade);
  read_request();
}

void Opening::read_request() {
  auto& header = scratch_->header;
  const auto room = header.size() - scratch_->received;
  if (room == 0) {
    return finish("upgrade: header: more than " + std::to_string(header.size()) + " octets");
  }
  channel().async_read_some(net::buffer(header.data() + scratch_->received, room),
                            on(&Opening::request_read));
}

void Opening::request_read(const error_code& error, std::size_t octets) {
  if (phase_ != Phase::upgrading) return;
  if (error) return finish("upgrade: " + error.message());
  auto& scratch = *scratch_;
  scratch.received += octets;
  error_code syntax;
  scratch.parsed += scratch.parser.put(
      net::buffer(scratch.header.data() + scratch.parsed, scratch.received - scratch.parsed),
      syntax);
  if (scratch.parser.is_header_done()) return judge_request();
  if (syntax != http::error::need_more) return finish("upgrade: " + syntax.message());
  read_request();
}

/// Peers are never browsers. A web page that reaches loopback shows itself by its Origin, and one
/// that got there by DNS rebinding by its Host.
bool Opening::is_allowed_host(std::string_view header) const {
  return is_loopback_host(header) || (security_.tls && is_own_host(header, security_.hosts));
}

Opening::Refusal Opening::refusal_of(const Scratch& scratch) const {
  const auto& request = scratch.parser.get();
  const auto host = request[http::field::host];
  if (request.count(http::field::host) != 1 || !is_allowed_host({host.data(), host.size()})) {
    return {"403 Forbidden", "this Host is not allowed"};
  }
  if (request.count(http::field::origin) != 0) {
    return {"403 Forbidden", "a request with an Origin is not allowed"};
  }
  if (!websocket::is_upgrade(request) || request[http::field::sec_websocket_version] != "13") {
    return {"426 Upgrade Required", "this is a loam endpoint: it speaks WebSocket only"};
  }
  if (request.target() != path) return {"404 Not Found", "the path is /loam/1"};
  if (!http::token_list{request[http::field::sec_websocket_protocol]}.exists(subprotocol)) {
    return {"400 Bad Request", "the subprotocol is loam.v1"};
  }
  if (scratch.parsed != scratch.received) return {"400 Bad Request", "data before the answer"};
  return {};
}

void Opening::judge_request() {
  const auto refusal = refusal_of(*scratch_);
  if (!refusal.status.empty()) return refuse(refusal);
  stream_->set_option(websocket::stream_base::decorator([](websocket::response_type& response) {
    response.set(http::field::server, product);
    response.set(http::field::sec_websocket_protocol, subprotocol);
  }));
  stream_->async_accept(scratch_->parser.get(), on(&Opening::accepted));
}

void Opening::accepted(const error_code& error, std::size_t) {
  if (phase_ != Phase::upgrading) return;
  if (error) return finish("upgrade: " + error.message());
  phase_ = Phase::open;
  tell_done({}, 0);
}

void Opening::refuse(const Refusal& refusal) {
  channel().lift();
  problem_.text = "upgrade: refused with HTTP " + refusal.status + ": " + refusal.why;
  scratch_->refusal = http_text(refusal.status, refusal.why);
  enter(Phase::refusing, limits_.close);
  net::async_write(channel(), net::buffer(scratch_->refusal), on(&Opening::drain));
}

/// Reads on until the other side has closed: closing a socket with octets unread resets the
/// connection, and the answer is lost.
void Opening::drain(const error_code& error, std::size_t) {
  if (phase_ != Phase::refusing) return;
  if (error) return finish(problem_.text);
  error_code ignored;
  socket().shutdown(tcp::socket::shutdown_send, ignored);
  channel().async_read_some(net::buffer(scratch_->header), on(&Opening::drain));
}

void Opening::finish(const std::string& problem) {
  if (phase_ == Phase::open || phase_ == Phase::ended) return;
  phase_ = Phase::ended;
  deadline_.disarm();
  if (problem_.text.empty()) problem_.text = problem;
  if (scratch_->resolver) scratch_->resolver->cancel();
  channel().close();
  net::post(stream_->get_executor(), on(&Opening::tell_done));
}

void Opening::tell_done(const error_code&, std::size_t) {
  deadline_.disarm();
  const auto done = std::exchange(done_, nullptr);
  done(phase_ == Phase::open ? std::move(stream_) : nullptr, problem_);
}

}  // namespace loam
