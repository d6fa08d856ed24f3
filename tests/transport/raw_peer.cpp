#include "tests/transport/raw_peer.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace test {
namespace {

sockaddr_in loopback(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  REQUIRE(inet_pton(AF_INET, host.c_str(), &address.sin_addr) == 1);
  return address;
}

int open_socket() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(descriptor >= 0);
  return descriptor;
}

unsigned octet(char c) { return static_cast<unsigned char>(c); }

}  // namespace

std::string frame_octets(std::string_view payload, FrameHead head) {
  std::string frame;
  frame.push_back(static_cast<char>((head.fin ? 0x80U : 0U) | (head.compressed ? 0x40U : 0U) |
                                    static_cast<unsigned>(head.opcode)));
  const unsigned mask_bit = head.masked ? 0x80U : 0U;
  const std::uint64_t size = payload.size();
  const int length_octets = size < 126 ? 0 : size < 65536 ? 2 : 8;
  const auto length = length_octets == 0 ? size : length_octets == 2 ? 126U : 127U;
  frame.push_back(static_cast<char>(mask_bit | length));
  for (int i = length_octets - 1; i >= 0; --i) {
    frame.push_back(static_cast<char>((size >> (8 * i)) & 255U));
  }
  constexpr std::array<char, 4> mask{0x12, 0x34, 0x56, 0x78};
  if (head.masked) frame.append(mask.data(), mask.size());
  for (std::size_t i = 0; i < payload.size(); ++i) {
    frame.push_back(head.masked ? static_cast<char>(payload[i] ^ mask[i % 4]) : payload[i]);
  }
  return frame;
}

std::string frame_octets(const loam::Bytes& payload, FrameHead head) {
  return frame_octets(loam::text_of(payload), head);
}

std::string Upgrade::octets() const {
  return method + " " + path + " " + version + "\r\n" + host + upgrade + protocol + socket + more +
         "\r\n";
}

RawPeer::RawPeer(Loop& loop, std::uint16_t port, const std::string& from)
    : loop_(loop), descriptor_(open_socket()) {
  const auto source = loopback(from, 0);
  REQUIRE(::bind(descriptor_, reinterpret_cast<const sockaddr*>(&source), sizeof source) == 0);
  const auto target = loopback("127.0.0.1", port);
  REQUIRE(::connect(descriptor_, reinterpret_cast<const sockaddr*>(&target), sizeof target) == 0);
  const int yes = 1;
  ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

RawPeer::~RawPeer() { vanish(); }

bool RawPeer::send(std::string_view octets) {
  bool failed = false;
  loop_.until([&] {
    const auto sent =
        ::send(descriptor_, octets.data(), octets.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) octets.remove_prefix(static_cast<std::size_t>(sent));
    failed = sent < 0 && errno != EAGAIN;
    return failed || octets.empty();
  });
  return !failed && octets.empty();
}

void RawPeer::pull() {
  std::array<char, 65536> buffer;
  while (!ended_) {
    const auto size = ::recv(descriptor_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) return;
    if (size > 0) {
      received_.append(buffer.data(), static_cast<std::size_t>(size));
    } else {
      ended_ = true;
      reset_ = size < 0;
    }
  }
}

const std::string& RawPeer::received() {
  pull();
  return received_;
}

std::string RawPeer::take() {
  pull();
  return std::exchange(received_, {});
}

bool RawPeer::ended() {
  pull();
  return ended_;
}

std::string RawPeer::http_header() {
  const auto size = [this] { return received().find("\r\n\r\n"); };
  loop_.until([&] { return size() != std::string::npos || ended_; });
  if (size() == std::string::npos) return {};
  std::string header = received_.substr(0, size() + 4);
  received_.erase(0, header.size());
  return header;
}

std::optional<RawPeer::Frame> RawPeer::next_frame() {
  std::size_t head = 2;
  std::uint64_t size = 0;
  const auto is_whole = [&] {
    if (received().size() < 2) return false;
    size = octet(received_[1]) & 0x7fU;
    head = size < 126 ? 2 : size == 126 ? 4 : 10;
    if (received_.size() < head) return false;
    if (head > 2) size = 0;
    for (std::size_t i = 2; i < head; ++i) size = (size << 8) | octet(received_[i]);
    return received_.size() >= head + size;
  };
  if (!loop_.until([&] { return is_whole() || ended_; }) || !is_whole()) return std::nullopt;
  Frame frame{static_cast<Opcode>(octet(received_[0]) & 15U), received_.substr(head, size)};
  received_.erase(0, head + size);
  return frame;
}

unsigned RawPeer::close_code() {
  while (const auto frame = next_frame()) {
    if (frame->opcode != Opcode::close) continue;
    if (frame->payload.size() < 2) return 1005;
    close_reason_ = frame->payload.substr(2);
    return (octet(frame->payload[0]) << 8) | octet(frame->payload[1]);
  }
  return 0;
}

void RawPeer::shut_down() { ::shutdown(descriptor_, SHUT_WR); }

void RawPeer::vanish(bool by_reset) {
  if (descriptor_ < 0) return;
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  if (by_reset) ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(descriptor_);
  descriptor_ = -1;
  ended_ = true;
}

RawListener::RawListener(int backlog) : descriptor_(open_socket()) {
  auto address = loopback("127.0.0.1", 0);
  socklen_t size = sizeof address;
  REQUIRE(::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(descriptor_, backlog) == 0);
  REQUIRE(::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
}

RawListener::~RawListener() { ::close(descriptor_); }

int RawListener::accept(Loop& loop) {
  int accepted = -1;
  loop.until([&] {
    pollfd waiting{descriptor_, POLLIN, 0};
    if (::poll(&waiting, 1, 0) == 1) {
      accepted = ::accept4(descriptor_, nullptr, nullptr, SOCK_CLOEXEC);
    }
    return accepted >= 0;
  });
  REQUIRE(accepted >= 0);
  return accepted;
}

}  // namespace test
