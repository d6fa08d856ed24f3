#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace loam {

/// The TCP port that an address without one means.
inline constexpr std::uint16_t port_default = 7700;

/// Where an instance listens: `host` is an IPv4 literal, an IPv6 literal without brackets in its
/// shortest form, or a lower-case DNS name. Port 0 means "any free one" to a listener. A value.
struct Address {
  std::string host;
  std::uint16_t port = port_default;
  bool tls = false;  ///< wss://

  bool operator==(const Address&) const = default;

  /// `127.0.0.1:7700`, `[::1]:7700`; with TLS `wss://hub.example.org:7700`.
  std::string text() const;

  /// The same without a scheme: `hub.example.org:7700`.
  std::string authority() const;

  /// The same with one: `ws://127.0.0.1:7700`.
  std::string endpoint() const;

  /// 127.0.0.0/8, ::1 and `localhost`.
  bool is_loopback() const noexcept;
};

/// The address of `ws://HOST[:PORT][/]`, `wss://HOST[:PORT][/]` or `HOST[:PORT]`, IPv6 in brackets. Throws Error(invalid)
/// for anything else; a user or password is refused without being repeated in the message.
Address parse_address(std::string_view text);

/// Throws Error(denied) unless the address is on loopback or with TLS: ws:// goes nowhere else, neither to
/// listen nor to dial.
void require_private(const Address& address);

/// Whether a Host header names this machine's loopback: `localhost`, 127.0.0.0/8 as a literal or
/// `[::1]`, each with an optional port. Web pages that reach loopback by DNS rebinding fail here.
bool is_loopback_host(std::string_view header);

/// Whether a Host header names this machine by an address, which nobody can rebind, or by one of the names (lower case).
bool is_own_host(std::string_view header, const std::vector<std::string>& names);

}  // namespace loam
