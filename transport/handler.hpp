#pragma once

#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

namespace loam {

using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;

/// What is said of a deadline that has passed: "no hello within 10000 ms".
inline std::string late(const std::string& what, std::chrono::milliseconds limit) {
  return "no " + what + " within " + std::to_string(limit.count()) + " ms";
}

/// The completion of any asynchronous operation: a member function and the object that it keeps
/// alive. One type per class, so that Asio's and Beast's templates are instantiated once.
template <class Owner>
struct Handler {
  using Event = void (Owner::*)(const error_code& error, std::size_t octets);

  std::shared_ptr<Owner> owner;
  Event event;

  void operator()(const error_code& error = {}, std::size_t octets = 0) const {
    ((*owner).*event)(error, octets);
  }
};

/// A timer that can be set again and again. Its event happens at most once per `arm`, never before
/// the time, and not at all after `disarm`: Asio alone may have queued a stale completion.
class Deadline {
 public:
  explicit Deadline(boost::asio::any_io_executor executor) : timer_(std::move(executor)) {}

  template <class Owner>
  void arm(SteadyClock::time_point when, Handler<Owner> handler) {
    timer_.expires_at(when);
    timer_.async_wait(std::move(handler));
  }

  template <class Owner>
  void arm(std::chrono::milliseconds after, Handler<Owner> handler) {
    arm(SteadyClock::now() + after, std::move(handler));
  }

  void disarm() { timer_.expires_at(SteadyClock::time_point::max()); }

  /// Asked first by the event: whether it is meant.
  bool reached(const error_code& error) {
    if (error || timer_.expiry() > SteadyClock::now()) return false;
    disarm();
    return true;
  }

 private:
  boost::asio::steady_timer timer_;
};

}  // namespace loam
