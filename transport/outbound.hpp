#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "planted.hpp"
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
    if (is_of_opening(frame)) octets_opening_ += size;
    actions_.push_back(Send{std::move(bytes)});
    return size;
  }

  /// Sends a frame that counts against the window: a chunk, or a part of a comparison.
  void send_counted(const Frame& frame) { largest_ = std::max(largest_, count(send(frame))); }

  /// The same for the answer to a part that we call read only once it is answered.
  void send_answer(const Frame& frame) { count(send(frame)); }

  void act(Action action) { actions_.push_back(std::move(action)); }

  /// Whether another chunk or part may be made now.
  bool open() const noexcept {
    return (flying() < limits_.window_octets || planted(Bug::window_ignored)) && !has_burst();
  }

  /// Whether an answer may be made now, which `send_answer` sends. It may go beyond the window by one
  /// frame: both windows may be full of parts that the other side calls read only once it has
  /// answered them, and then neither would ever open.
  bool open_to_answer() const noexcept {
    if (planted(Bug::answers_wait_for_window)) return open();
    return flying() < limits_.window_octets + largest_ && !has_burst();
  }

  /// Whether a question may be asked now. Answers to questions count against no window, so whoever
  /// asks sees to it that they are no more than half of one.
  bool open_to_ask() const noexcept {
    return open() && awaited_octets_ <= limits_.window_octets / 2;
  }

  /// The answer to a question that was asked is at most so large; it is no longer awaited.
  void await(std::uint64_t octets) noexcept { awaited_octets_ += octets; }
  void await_no_more(std::uint64_t octets) noexcept { awaited_octets_ -= octets; }

  /// Whether one of these is false only until the next event.
  bool wants_another_event() const noexcept {
    return has_burst() && flying() < limits_.window_octets + largest_;
  }

  /// The peer is done with that many counted octets in total. False: more than were ever sent.
  bool acked(std::uint64_t octets) noexcept {
    if (octets > counted_octets_) return false;
    acked_octets_ = std::max(acked_octets_, octets);
    return true;
  }

  std::uint64_t octets_sent() const noexcept { return octets_sent_; }
  std::uint64_t octets_opening() const noexcept { return octets_opening_; }  ///< of these
  std::uint64_t next_ticket() noexcept { return ++ticket_; }

 private:
  std::uint64_t flying() const noexcept { return counted_octets_ - acked_octets_; }
  bool has_burst() const noexcept { return burst_ >= limits_.burst_octets; }

  std::uint64_t count(std::uint64_t size) noexcept {
    counted_octets_ += size;
    burst_ += size;
    return size;
  }

  SessionLimits limits_;
  std::vector<Action> actions_;
  std::uint64_t octets_sent_ = 0;
  std::uint64_t octets_opening_ = 0;
  std::uint64_t counted_octets_ = 0;
  std::uint64_t acked_octets_ = 0;
  std::uint64_t awaited_octets_ = 0;
  std::uint64_t largest_ = 0;  ///< counted frame that was no answer
  std::uint64_t burst_ = 0;
  std::uint64_t ticket_ = 0;
};

}  // namespace loam
