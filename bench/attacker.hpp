#pragma once

#include <cstdint>
#include <string>

#include "bench/child.hpp"

namespace bench {

/// Ways to trouble whoever listens on a port of this machine, without a key that it knows.
enum class Attack {
  none,
  silent,    ///< as many connections as it takes, which say nothing
  dripping,  ///< the same, each an octet of an upgrade now and then
  passing,   ///< connections that come and go, as fast as they can
  pings,     ///< opened WebSockets that ping without end
  garbage,   ///< opened WebSockets whose first messages are long and mean nothing
};

const char* name_of(Attack attack) noexcept;

/// Attacks the port until it hears a line; then says how many connections it has opened. From many loopback addresses, so
/// that no limit of one address helps. For a process of its own.
void attack(Attack how, std::uint16_t port, Lines& lines);

}  // namespace bench
