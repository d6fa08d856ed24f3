#pragma once

#include <algorithm>
#include <array>

#include "tests/transport/net.hpp"

namespace test {

/// Watches the first link of a net: how much of what counts against a window is not acknowledged.
class WindowWatch {
 public:
  WindowWatch(Net& net, std::uint64_t window_octets) : window_octets_(window_octets) {
    net.watch = [this](const Sent& sent) { see(sent); };
  }

  /// The most that one side has had under way beyond the window, in frames of the largest size.
  std::uint64_t frames_beyond() const noexcept { return frames_beyond_; }

  /// How often the window of a side has closed.
  std::uint64_t closed(int side) const { return ends_.at(static_cast<std::size_t>(side)).closed; }

  /// The largest frame that a side has sent.
  std::uint64_t largest(int side) const { return ends_.at(static_cast<std::size_t>(side)).largest; }

 private:
  struct End {
    std::uint64_t counted = 0;
    std::uint64_t acked = 0;
    std::uint64_t largest = 0;
    std::uint64_t closed = 0;
  };

  void see(const Sent& sent) {
    const loam::Frame frame = sent.frame();
    End& from = ends_.at(static_cast<std::size_t>(sent.from));
    from.largest = std::max<std::uint64_t>(from.largest, sent.bytes.size());
    if (const auto* ack = std::get_if<loam::AckFrame>(&frame)) {
      ends_.at(static_cast<std::size_t>(1 - sent.from)).acked = ack->octets;
    }
    const bool is_counted = std::holds_alternative<loam::DeltaFrame>(frame) ||
                            std::holds_alternative<loam::CompareFrame>(frame) ||
                            std::holds_alternative<loam::ContextFrame>(frame) ||
                            std::holds_alternative<loam::LiveFrame>(frame);
    if (!is_counted) return;
    from.counted += sent.bytes.size();
    const std::uint64_t flying = from.counted - from.acked;
    if (flying < window_octets_) return;
    ++from.closed;
    frames_beyond_ = std::max(frames_beyond_, (flying - window_octets_) / from.largest);
  }

  std::uint64_t window_octets_;
  std::array<End, 2> ends_;
  std::uint64_t frames_beyond_ = 0;
};

}  // namespace test
