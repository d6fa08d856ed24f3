#pragma once

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/rate_policy.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "transport/handler.hpp"
#include "transport/link.hpp"

namespace loam {

/// Octets that a stream takes from the network until its limit is lifted. Beast bounds each field
/// of the answer to an upgrade, not their sum; beyond this the rest trickles in until the deadline.
class OpeningBudget {
 public:
  void lift() noexcept { octets_ = unlimited; }

 private:
  friend class boost::beast::rate_policy_access;
  static constexpr std::size_t unlimited = SIZE_MAX;

  std::size_t available_read_bytes() const noexcept { return octets_; }
  std::size_t available_write_bytes() const noexcept { return unlimited; }
  void transfer_read_bytes(std::size_t octets) noexcept {
    if (octets_ != unlimited) octets_ -= std::min(octets, octets_);
  }
  void transfer_write_bytes(std::size_t) const noexcept {}
  void on_timer() const noexcept {}

  std::size_t octets_ = http_header_octets_max;
};

/// A WebSocket over plain TCP. Compression is off at compile time: a compressed frame is an error.
using Stream = boost::beast::websocket::stream<
    boost::beast::basic_stream<boost::asio::ip::tcp, boost::asio::any_io_executor, OpeningBudget>,
    false>;

/// A WebSocket that is being opened: TCP connection, HTTP upgrade, and the reasons to refuse one.
/// Lives until it has called `done`, kept by its outstanding operations. Loop thread only.
class Opening : public std::enable_shared_from_this<Opening> {
 public:
  /// Called once, never from inside a member function: the open stream, or none and the problem.
  using Done = std::function<void(std::unique_ptr<Stream> stream, const std::string& problem)>;

  Opening(boost::asio::ip::tcp::socket socket, const LinkLimits& limits, Done done);
  ~Opening();

  /// Answers the upgrade request that the other side is to send.
  void accept();

  /// Connects and asks for the upgrade. The address is on loopback.
  void dial(const Address& address);

  /// Gives up; `done` gets no stream and no problem.
  void cancel() { finish(""); }

 private:
  enum class Phase { connecting, upgrading, refusing, open, ended };
  struct Refusal;
  struct Scratch;
  using Event = Handler<Opening>::Event;

  Handler<Opening> on(Event event) { return {shared_from_this(), event}; }
  void enter(Phase phase, std::chrono::milliseconds limit);
  void timed_out(const error_code& error, std::size_t);

  void connect();
  void connected(const error_code& error, std::size_t);
  void answered(const error_code& error, std::size_t);

  void read_request();
  void request_read(const error_code& error, std::size_t octets);
  void judge_request();
  void refuse(const Refusal& refusal);
  void drain(const error_code& error, std::size_t);
  void accepted(const error_code& error, std::size_t);

  void finish(const std::string& problem);
  void tell_done(const error_code& error, std::size_t);

  boost::asio::ip::tcp::socket& socket() { return stream_->next_layer().socket(); }
  static Refusal refusal_of(const Scratch& scratch);

  std::unique_ptr<Stream> stream_;
  LinkLimits limits_;
  Done done_;
  Phase phase_ = Phase::connecting;
  Deadline deadline_;
  std::unique_ptr<Scratch> scratch_;
  std::string problem_;
};

}  // namespace loam
