#include "tests/lib/proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

namespace loam::test {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(std::string("proxy: ") + what);
}

bool send_all(int to, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(to, data, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

// The payloads of the WebSocket frames after an HTTP header (RFC 6455, section 5.2).
std::string payloads(const std::string& stream) {
  const std::size_t header = stream.find("\r\n\r\n");
  if (header == std::string::npos) return stream;
  std::string said = stream.substr(0, header);
  std::size_t at = header + 4;
  const auto octet = [&](std::size_t i) {
    return i < stream.size() ? static_cast<unsigned char>(stream[i]) : 0U;
  };
  while (at + 2 <= stream.size()) {
    const bool masked = (octet(at + 1) & 0x80U) != 0;
    std::uint64_t size = octet(at + 1) & 0x7fU;
    const std::size_t wide = size == 126 ? 2 : size == 127 ? 8 : 0;
    at += 2;
    if (wide > 0) size = 0;
    for (std::size_t i = 0; i < wide; ++i) size = (size << 8) | octet(at + i);
    at += wide;
    const std::size_t mask = at;
    if (masked) at += 4;
    for (std::uint64_t i = 0; i < size && at + i < stream.size(); ++i) {
      const unsigned key = masked ? octet(mask + i % 4) : 0;
      said.push_back(static_cast<char>(octet(at + i) ^ key));
    }
    at += size;
  }
  return said;
}

}  // namespace

Proxy::Proxy(const std::string& endpoint) {
  target_ = static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1)));
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  auto* const plain = reinterpret_cast<sockaddr*>(&address);
  require(::bind(listener_, plain, size) == 0, "cannot bind");
  require(::listen(listener_, 16) == 0, "cannot listen");
  require(::getsockname(listener_, plain, &size) == 0, "has no address");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

Proxy::~Proxy() {
  ending_ = true;
  thread_.join();
  ::close(listener_);
  for (Pair& pair : pairs_) close(pair);
}

std::string Proxy::said() const {
  const std::lock_guard lock(mutex_);
  std::string said;
  for (const Pair& pair : pairs_) said += payloads(pair.from_client) + payloads(pair.from_server);
  return said;
}

void Proxy::run() {
  while (!ending_) {
    std::vector<pollfd> watched{{listener_, POLLIN, 0}};
    for (const Pair& pair : pairs_) {
      const std::size_t limit = hold_after_;
      const bool is_held = limit != 0 && pair.from_server.size() >= limit;
      watched.push_back({is_held ? -1 : pair.client, POLLIN, 0});  // negative: passed over
      watched.push_back({is_held ? -1 : pair.server, POLLIN, 0});
    }
    constexpr int poll_ms = 5;
    ::poll(watched.data(), watched.size(), poll_ms);
    const std::lock_guard lock(mutex_);
    const bool cuts = cut_now_.exchange(false);
    for (std::size_t i = 0; 2 * i + 2 < watched.size(); ++i) {
      Pair& pair = pairs_[i];
      if (pair.client < 0) continue;
      bool goes_on = !cuts;
      if (watched[2 * i + 1].revents != 0) {
        goes_on = goes_on && pump(pair.client, pair.server, pair.from_client);
      }
      if (watched[2 * i + 2].revents != 0) {
        goes_on = goes_on && pump(pair.server, pair.client, pair.from_server);
      }
      const std::size_t limit = cut_after_;
      if (!goes_on || (limit != 0 && pair.from_server.size() >= limit)) close(pair);
    }
    if (watched[0].revents != 0) accept();
  }
}

void Proxy::accept() {
  Pair pair;
  pair.client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (pair.client < 0) return;
  pair.server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(target_);
  if (::connect(pair.server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(pair);
    return;
  }
  ++connections_;
  pairs_.push_back(std::move(pair));
}

bool Proxy::pump(int from, int to, std::string& record) {
  char octets[16 << 10];
  const ssize_t size = ::recv(from, octets, sizeof octets, 0);
  if (size <= 0) return false;
  record.append(octets, static_cast<std::size_t>(size));
  octets_ += static_cast<std::size_t>(size);
  return send_all(to, octets, static_cast<std::size_t>(size));
}

void Proxy::close(Pair& pair) {
  if (pair.client >= 0) ::close(pair.client);
  if (pair.server >= 0) ::close(pair.server);
  pair.client = pair.server = -1;
}

}  // namespace loam::test
