#pragma once

#include <boost/beast/websocket/stream.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "transport/channel.hpp"
#include "transport/handler.hpp"
#include "transport/link.hpp"

namespace loam {

/// A WebSocket over one connection. Compression is off at compile time: a compressed frame is an error.
using Stream = boost::beast::websocket::stream<Channel, false>;

/// How a connection is made safe.
struct Security {
  std::shared_ptr<const Tls> tls;                      ///< null: plain TCP, on loopback
  std::function<bool(const PublicKey&)> is_expected;   ///< of a side that is dialled: may it be that instance
  std::vector<std::string> hosts;                      ///< names of this machine that a request may ask for
};

/// A WebSocket that is being opened: TCP connection, TLS, HTTP upgrade, and the reasons to refuse one.
/// Lives until it has called `done`, kept by its outstanding operations. Loop thread only.
class Opening : public std::enable_shared_from_this<Opening> {
 public:
  struct Problem {
    std::string text;
    bool is_stranger = false;  ///< the other side is nobody that was expected
  };

  /// Called once, never from inside a member function: the open stream, or none and the problem.
  using Done = std::function<void(std::unique_ptr<Stream> stream, const Problem& problem)>;

  Opening(boost::asio::ip::tcp::socket socket, const LinkLimits& limits, Security security, Done done);
  ~Opening();

  /// Answers the upgrade request that the other side is to send.
  void accept();

  /// Connects and asks for the upgrade. The address is on loopback, or there is TLS.
  void dial(const Address& address);

  /// Gives up; `done` gets no stream and no problem.
  void cancel() { finish(""); }

 private:
  enum class Phase { connecting, securing, upgrading, refusing, open, ended };
  struct Refusal;
  struct Scratch;
  using Event = Handler<Opening>::Event;

  Handler<Opening> on(Event event) { return {shared_from_this(), event}; }
  void enter(Phase phase, std::chrono::milliseconds limit);
  void timed_out(const error_code& error, std::size_t);

  void resolve(const Address& address);
  void connect();
  void connected(const error_code& error, std::size_t);
  void secure(Role role);
  void secured(const error_code& error, std::size_t);
  void request_upgrade();
  void answered(const error_code& error, std::size_t);

  void read_request();
  void request_read(const error_code& error, std::size_t octets);
  void judge_request();
  void refuse(const Refusal& refusal);
  void drain(const error_code& error, std::size_t);
  void accepted(const error_code& error, std::size_t);

  void finish(const std::string& problem);
  void tell_done(const error_code& error, std::size_t);

  Channel& channel() { return stream_->next_layer(); }
  boost::asio::ip::tcp::socket& socket() { return channel().socket(); }
  bool is_allowed_host(std::string_view header) const;
  Refusal refusal_of(const Scratch& scratch) const;

  std::unique_ptr<Stream> stream_;
  LinkLimits limits_;
  const Security security_;
  Done done_;
  Role role_ = Role::listener;
  Phase phase_ = Phase::connecting;
  Deadline deadline_;
  std::unique_ptr<Scratch> scratch_;
  Problem problem_;
};

}  // namespace loam
