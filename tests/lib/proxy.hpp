#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace loam::test {

/// A TCP proxy on a loopback port of its own. Records what both sides send, and can stop letting
/// octets through or cut everything. One thread; any thread may call.
class Proxy {
 public:
  /// `endpoint` is "ws://127.0.0.1:PORT" of the real server.
  explicit Proxy(const std::string& endpoint);
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;
  ~Proxy();

  std::string endpoint() const { return "ws://127.0.0.1:" + std::to_string(port_); }

  /// After so many octets from the server on a connection, that connection is cut. 0: never.
  void cut_after(std::size_t octets) { cut_after_ = octets; }

  /// After so many octets from the server on a connection, nothing more is let through; it stays
  /// open.
  void hold_after(std::size_t octets) { hold_after_ = octets; }

  /// Cuts every connection.
  void cut() { cut_now_ = true; }

  std::size_t connections() const { return connections_; }
  std::size_t octets() const { return octets_; }

  /// What was sent so far, as the two sides meant it: WebSocket frames without headers and masks,
  /// the HTTP headers as they were.
  std::string said() const;

 private:
  struct Pair {
    int client = -1;
    int server = -1;
    std::string from_client;
    std::string from_server;
  };

  void run();
  void accept();
  bool pump(int from, int to, std::string& record);
  static void close(Pair& pair);

  std::uint16_t target_ = 0;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::atomic<bool> ending_{false};
  std::atomic<bool> cut_now_{false};
  std::atomic<std::size_t> cut_after_{0};
  std::atomic<std::size_t> hold_after_{0};
  std::atomic<std::size_t> connections_{0};
  std::atomic<std::size_t> octets_{0};
  mutable std::mutex mutex_;
  std::vector<Pair> pairs_;
  std::thread thread_;
};

}  // namespace loam::test
