#include "transport/channel.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/http/error.hpp>

#include "transport/tls.hpp"

namespace loam {

namespace net = boost::asio;

struct Channel::Secured {
  Secured(Tcp::socket& socket, const Tls& tls) : stream(socket, tls.context()) {}

  net::ssl::stream<Tcp::socket&> stream;
};

Channel::Channel(Tcp::socket socket) : socket_(std::move(socket)) {}
Channel::~Channel() = default;

void Channel::secure(const Tls& tls, Role role, Completion done) {
  secured_ = std::make_unique<Secured>(socket_, tls);
  // Whose the certificate is, is asked afterwards; that the other side holds its key is part of any
  // handshake.
  auto& stream = secured_->stream;
  const auto executor = done.get_executor();
  stream.async_handshake(
      role == Role::dialler ? net::ssl::stream_base::client : net::ssl::stream_base::server,
      net::bind_executor(
          executor, [done = std::move(done)](const error_code& error) mutable { done(error, 0); }));
}

std::optional<PublicKey> Channel::certified() const {
  return secured_ ? certified_key(secured_->stream.native_handle()) : std::nullopt;
}

Bytes Channel::name() const {
  return secured_ ? channel_of(secured_->stream.native_handle()) : Bytes();
}

void Channel::close() {
  error_code ignored;
  socket_.close(ignored);
}

void Channel::read(net::mutable_buffer buffer, Completion done) {
  if (octets_left_ == 0) {
    const auto executor = done.get_executor();
    return net::post(executor, [done = std::move(done)]() mutable {
      done(boost::beast::http::make_error_code(boost::beast::http::error::header_limit), 0);
    });
  }
  if (octets_left_ != SIZE_MAX) {
    buffer = net::buffer(buffer, octets_left_);
    done.take_from(octets_left_);
  }
  secured_ ? secured_->stream.async_read_some(buffer, std::move(done))
           : socket_.async_read_some(buffer, std::move(done));
}

void Channel::write(const Pieces& pieces, Completion done) {
  secured_ ? secured_->stream.async_write_some(pieces, std::move(done))
           : socket_.async_write_some(pieces, std::move(done));
}

}  // namespace loam
