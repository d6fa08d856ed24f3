#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "transport/action.hpp"
#include "transport/frame.hpp"
#include "transport/session.hpp"

namespace loam {

/// Collects the actions of one event and keeps the window. Shared by all segments of a session.
class Outbound {
 public:
  explicit Outbound(const SessionLimits& limits) : limits_(limits) {}

  const SessionLimits& limits() const noexcept { return limits_; }

  void begin_event() { burst_ = 0; }
  std::vector<Action> take() { return std::exchange(actions_, {}); }

  /// Sends a frame; returns its size.
  std::uint64_t send(const Frame& frame) {
    Bytes bytes = encode_frame(frame);
    const std::uint64_t size = bytes.size();
    octets_sent_ += size;
    actions_.push_back(Send{std::move(bytes)});
    return size;
  }

  /// Sends a frame that counts against the window: a chunk, or a part of a long comparison.
  void send_counted(const Frame& frame) {
    const std::uint64_t size = send(frame);
    chunk_octets_ += size;
    burst_ += size;
  }

  void act(Action action) { actions_.push_back(std::move(action)); }

  /// Whether another chunk may be made now.
  bool open() const noexcept {
    return chunk_octets_ - acked_octets_ < limits_.window_octets && burst_ < limits_.burst_octets;
  }

  /// Whether open() is false only until the next event.
  bool wants_another_event() const noexcept {
    return burst_ >= limits_.burst_octets && chunk_octets_ - acked_octets_ < limits_.window_octets;
  }

  /// The peer has made that many chunk octets durable in total. False: more than were ever sent.
  bool acked(std::uint64_t octets) noexcept {
    if (octets > chunk_octets_) return false;
    acked_octets_ = std::max(acked_octets_, octets);
    return true;
  }

  std::uint64_t octets_sent() const noexcept { return octets_sent_; }
  std::uint64_t next_ticket() noexcept { return ++ticket_; }

 private:
  SessionLimits limits_;
  std::vector<Action> actions_;
  std::uint64_t octets_sent_ = 0;
  std::uint64_t chunk_octets_ = 0;
  std::uint64_t acked_octets_ = 0;
  std::uint64_t burst_ = 0;
  std::uint64_t ticket_ = 0;
};

}  // namespace loam
