#pragma once

#include <algorithm>
#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/websocket/teardown.hpp>
#include <memory>
#include <optional>

#include "crdt/key.hpp"
#include "transport/handler.hpp"
#include "transport/link.hpp"

namespace loam {

class Tls;

/// The completion of one read or write of any type, called once, on the executor that it came with.
/// What is below is so compiled once, and not for each operation of Beast's. Copies share it.
class Completion {
 public:
  using executor_type = boost::asio::any_io_executor;

  template <class Handler>
  Completion(Handler handler, const executor_type& otherwise)
      : executor_(boost::asio::get_associated_executor(handler, otherwise)),
        any_(std::make_shared<Of<Handler>>(std::move(handler))) {}

  executor_type get_executor() const noexcept { return executor_; }

  /// The octets are to be subtracted from a number that outlives this.
  void take_from(std::size_t& left) noexcept { left_ = &left; }

  void operator()(const error_code& error, std::size_t octets) {
    if (left_ != nullptr && *left_ != SIZE_MAX) *left_ -= std::min(octets, *left_);
    const auto any = std::move(any_);
    any->call(error, octets);
  }

 private:
  struct Any {
    virtual ~Any() = default;
    virtual void call(const error_code& error, std::size_t octets) = 0;
  };

  template <class Handler>
  struct Of final : Any {
    explicit Of(Handler made) : handler(std::move(made)) {}
    void call(const error_code& error, std::size_t octets) override {
      auto own = std::move(handler);
      own(error, octets);
    }
    Handler handler;
  };

  executor_type executor_;
  std::shared_ptr<Any> any_;
  std::size_t* left_ = nullptr;
};

/// The octets of one connection, over TCP or over TLS 1.3 on it: what a WebSocket runs on. At most
/// one read and one write at a time. Loop thread only; lives until its last operation has ended.
class Channel {
 public:
  using executor_type = boost::asio::any_io_executor;
  using Tcp = boost::asio::ip::tcp;

  explicit Channel(Tcp::socket socket);
  ~Channel();

  executor_type get_executor() { return socket_.get_executor(); }
  Tcp::socket& socket() noexcept { return socket_; }

  /// Goes on over TLS, once, before anything is read or written.
  void secure(const Tls& tls, Role role, Completion done);

  /// The instance that the other side's certificate names. After `secure` has ended well; absent:
  /// none.
  std::optional<PublicKey> certified() const;

  /// What names the connection (`channel_of`); empty without TLS.
  Bytes name() const;

  /// Octets that may still be read, until `lift`. Beast bounds each field of the answer to an
  /// upgrade, not their sum.
  void lift() noexcept { octets_left_ = SIZE_MAX; }

  /// Every outstanding operation ends with an error.
  void close();

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return initiate(std::forward<Token>(token), [this, buffers](Completion done) {
      boost::asio::mutable_buffer first;
      const auto end = boost::asio::buffer_sequence_end(buffers);
      for (auto at = boost::asio::buffer_sequence_begin(buffers); at != end && first.size() == 0;
           ++at)
        first = *at;
      read(first, std::move(done));
    });
  }

  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return initiate(std::forward<Token>(token), [this, buffers](Completion done) {
      Pieces pieces;
      std::size_t count = 0;
      const auto end = boost::asio::buffer_sequence_end(buffers);
      for (auto at = boost::asio::buffer_sequence_begin(buffers);
           at != end && count < pieces.size(); ++at) {
        pieces[count++] = *at;
      }
      write(pieces, std::move(done));
    });
  }

 private:
  /// As many as one write takes together; a frame and its payload are two.
  using Pieces = std::array<boost::asio::const_buffer, 8>;
  struct Secured;

  template <class Token, class Begin>
  auto initiate(Token&& token, Begin begin) {
    return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
        [this, begin](auto handler) { begin(Completion(std::move(handler), get_executor())); },
        token);
  }

  void read(boost::asio::mutable_buffer buffer, Completion done);
  void write(const Pieces& pieces, Completion done);

  Tcp::socket socket_;
  std::unique_ptr<Secured> secured_;
  std::size_t octets_left_ = http_header_octets_max;
};

/// Of Beast, at the end of a WebSocket: ends the TCP connection, and takes what still comes. A
/// WebSocket has said that it ends, so TLS need not say it again.
template <class Token>
void async_teardown(boost::beast::role_type role, Channel& channel, Token&& token) {
  boost::beast::websocket::async_teardown(role, channel.socket(), std::forward<Token>(token));
}
inline void teardown(boost::beast::role_type role, Channel& channel, error_code& error) {
  boost::beast::websocket::teardown(role, channel.socket(), error);
}
inline void beast_close_socket(Channel& channel) { channel.close(); }

}  // namespace loam
