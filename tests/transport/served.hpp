#pragma once

#include <doctest/doctest.h>

#include "tests/transport/raw_peer.hpp"
#include "transport/endpoint.hpp"

namespace test {

/// An instance that listens on a free port, and raw peers against it.
struct Served {
  explicit Served(const loam::ListenLimits& limits = {})
      : listener(loop.context(), loam::parse_address("127.0.0.1:0"), host, limits) {}

  Loop loop;
  FakeHost host{1};
  loam::Listener listener;

  std::uint16_t port() const { return listener.address().port; }

  /// Waits until so many links have ended, each told of once.
  bool ended(std::size_t count) {
    const bool came = loop.until([&] { return host.ended.size() >= count; });
    loop.settle();
    return came && host.ended.size() == count && host.each_closed_once();
  }

  bool established(std::size_t count) {
    return loop.until([&] { return host.links.size() >= count; }) && host.links.size() == count;
  }

  const std::string& problem() const { return host.reports.back().problem; }
};

/// The hello of another instance as one WebSocket frame.
inline std::string hello_octets(unsigned instance = 2, FrameHead head = {}) {
  return frame_octets(loam::encode_frame(hello_of(instance)), head);
}

/// Sends one octet in every millisecond until something is so; how many were sent.
template <class Predicate>
std::size_t drip(Served& served, RawPeer& peer, std::string_view octets, Predicate&& holds) {
  std::size_t sent = 0;
  auto next = std::chrono::steady_clock::now();
  served.loop.until([&] {
    if (sent < octets.size() && std::chrono::steady_clock::now() >= next) {
      (void)peer.send(octets.substr(sent++, 1));
      next += std::chrono::milliseconds(1);
    }
    return sent == octets.size() || holds();
  });
  return sent;
}

/// A connection whose hello was accepted.
struct Greeted : RawPeer {
  explicit Greeted(Served& served, unsigned instance = 2) : RawPeer(served.loop, served.port()) {
    REQUIRE(upgrade());
    REQUIRE(send(hello_octets(instance)));
    REQUIRE(served.established(1));
  }
};

}  // namespace test
