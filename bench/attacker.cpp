#include "bench/attacker.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace bench {
namespace {

constexpr std::size_t connections = 64;
constexpr std::uint32_t addresses = 32;
constexpr std::size_t message_octets = 60'000;
using std::chrono_literals::operator""ms;

/// One connection, which never waits.
class Wire {
 public:
  Wire() = default;
  Wire(Wire&& other) noexcept : socket_(other.socket_), sent_(other.sent_) { other.socket_ = -1; }
  Wire& operator=(Wire&&) = delete;
  ~Wire() { close(); }

  bool is_open() const noexcept { return socket_ >= 0; }

  void open(std::uint16_t port, std::uint32_t from) {
    close();
    sent_ = 0;
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(0x7f000002U + from % addresses);
    sockaddr_in target = own;
    target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    target.sin_port = htons(port);
    const bool is_bound = ::bind(socket_, reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0;
    const bool is_there =
        is_bound && ::connect(socket_, reinterpret_cast<const sockaddr*>(&target), sizeof target) == 0;
    if (!is_there) close();
  }

  /// Sends what fits; closes when the other side has.
  void send(std::string_view octets) {
    const auto sent = ::send(socket_, octets.data(), octets.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) sent_ += static_cast<std::size_t>(sent);
    if (sent < 0 && errno != EAGAIN) close();
  }

  /// Takes what has come; closes when the other side has.
  void take() {
    std::array<char, 4'096> octets;
    const auto got = ::recv(socket_, octets.data(), octets.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) close();
  }

  std::size_t sent() const noexcept { return sent_; }

 private:
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

  int socket_ = -1;
  std::size_t sent_ = 0;
};

std::string upgrade(std::uint16_t port) {
  return "GET /loam/1 HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
         "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: loam.v1\r\n\r\n";
}

// Frames of a client are masked; a mask of zeros changes nothing.
std::string ping() { return std::string("\x89\x80\0\0\0\0", 6); }

std::string message() {
  std::string frame("\x82\xfe", 2);
  frame += static_cast<char>(message_octets >> 8);
  frame += static_cast<char>(message_octets & 0xff);
  return frame + std::string(4, '\0') + std::string(message_octets, '\x91');
}

// What one connection says next.
void say_next(Wire& wire, Attack how, std::uint16_t port) {
  static const std::string pings = [] {
    std::string many;
    for (int i = 0; i < 200; ++i) many += ping();
    return many;
  }();
  static const std::string garbage = message();
  const std::string opening = upgrade(port);
  switch (how) {
    case Attack::dripping: return wire.send(opening.substr(wire.sent() % opening.size(), 1));
    case Attack::pings: return wire.send(wire.sent() == 0 ? opening : pings);
    case Attack::garbage: return wire.send(wire.sent() == 0 ? opening : garbage);
    default: return;
  }
}

}  // namespace

const char* name_of(Attack attack) noexcept {
  static constexpr std::array names{"none", "silent", "dripping", "passing", "pings", "garbage"};
  return names.at(static_cast<std::size_t>(attack));
}

void attack(Attack how, std::uint16_t port, Lines& lines) {
  std::atomic<bool> is_over = false;
  std::thread waiting([&] {
    try {
      (void)lines.hear();
    } catch (const Ended&) {
    }
    is_over = true;
  });
  std::vector<Wire> wires(how == Attack::none ? 0 : connections);
  std::uint64_t opened = 0;
  while (!is_over) {
    for (Wire& wire : wires) {
      if (wire.is_open()) wire.take();
      if (!wire.is_open() || how == Attack::passing) {
        wire.open(port, static_cast<std::uint32_t>(++opened));
      }
      if (wire.is_open()) say_next(wire, how, port);
    }
    std::this_thread::sleep_for(how == Attack::dripping || how == Attack::none ? 100ms : 1ms);
  }
  waiting.join();
  lines.say(std::to_string(opened));
}

}  // namespace bench
