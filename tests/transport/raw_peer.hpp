#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/bytes.hpp"
#include "tests/transport/loopback.hpp"

namespace test {

// Opcodes of RFC 6455, 5.2.
enum class Opcode : unsigned { cont = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

struct FrameHead {
  Opcode opcode = Opcode::binary;
  bool fin = true;
  bool masked = true;
  bool compressed = false;
};

/// The octets of one WebSocket frame.
std::string frame_octets(std::string_view payload, FrameHead head = {});
std::string frame_octets(const loam::Bytes& payload, FrameHead head = {});

/// An upgrade request; `more` are header lines with their line ends.
struct Upgrade {
  std::string method = "GET";
  std::string path = "/loam/1";
  std::string version = "HTTP/1.1";
  std::string host = "Host: 127.0.0.1:7700\r\n";
  std::string upgrade = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n";
  std::string protocol = "Sec-WebSocket-Protocol: other, loam.v1\r\n";
  std::string socket =
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
  std::string more;

  std::string octets() const;
};

/// A bare TCP socket that says whatever a test wants. Does not block: the loop runs in this thread.
class RawPeer {
 public:
  struct Frame {
    Opcode opcode;
    std::string payload;
  };

  /// Connects from a loopback address.
  RawPeer(Loop& loop, std::uint16_t port, const std::string& from = "127.0.0.1");

  /// Takes over an accepted socket.
  RawPeer(Loop& loop, int descriptor) : loop_(loop), descriptor_(descriptor) {}

  ~RawPeer();
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  /// False: the other side has closed, or takes nothing for ten seconds.
  bool send(std::string_view octets);

  /// What has arrived so far.
  const std::string& received();

  /// Takes away what has arrived so far.
  std::string take();

  /// The other side has ended the connection; whether by a reset.
  bool ended();
  bool was_reset() const { return reset_; }

  /// Waits for the end of an HTTP header, and takes it away.
  std::string http_header();

  /// Sends a well-formed request; whether it was answered with a WebSocket.
  bool upgrade() { return send(Upgrade{}.octets()) && http_header().starts_with("HTTP/1.1 101 "); }

  /// Waits for one frame; absent when the connection has ended before.
  std::optional<Frame> next_frame();

  /// Waits for the close frame, leaving out all others; its code, 0 when there was none.
  unsigned close_code();
  const std::string& close_reason() const { return close_reason_; }

  void shut_down();

  /// Vanishes: in an orderly way, or with a reset.
  void vanish(bool by_reset = false);

 private:
  void pull();

  Loop& loop_;
  int descriptor_ = -1;
  std::string received_;
  std::string close_reason_;
  bool ended_ = false;
  bool reset_ = false;
};

/// A listening socket that nobody answers unless the test does.
class RawListener {
 public:
  explicit RawListener(int backlog = 16);
  ~RawListener();
  RawListener(const RawListener&) = delete;
  RawListener& operator=(const RawListener&) = delete;

  std::uint16_t port() const { return port_; }

  /// The next connection's descriptor; waits for it.
  int accept(Loop& loop);

 private:
  int descriptor_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace test
