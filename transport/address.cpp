#include "transport/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "crdt/error.hpp"

namespace loam {
namespace {

/// Longest part of an unreadable address that is repeated in a message.
constexpr std::size_t quoted_octets_max = 80;

/// Longest DNS name (RFC 1035).
constexpr std::size_t name_octets_max = 253;

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_name_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

/// What a message may repeat of an address.
std::string quoted(std::string_view text) {
  std::string result(text.substr(0, quoted_octets_max));
  std::replace_if(
      result.begin(), result.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return result;
}

/// The literal in its shortest form; absent when the text is none.
std::optional<std::string> ip_literal(int family, const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> octets{};
  if (text.find('\0') != std::string::npos) return std::nullopt;
  if (inet_pton(family, text.c_str(), octets.data()) != 1) return std::nullopt;
  std::array<char, INET6_ADDRSTRLEN> printed{};
  inet_ntop(family, octets.data(), printed.data(), static_cast<socklen_t>(printed.size()));
  return std::string(printed.data());
}

bool is_literal(const std::string& host) {
  return ip_literal(AF_INET, host) || ip_literal(AF_INET6, host);
}

std::optional<std::string> parse_name(std::string_view text) {
  if (text.empty() || text.size() > name_octets_max) return std::nullopt;
  std::string name(text);
  std::transform(name.begin(), name.end(), name.begin(), lower);
  if (!std::all_of(name.begin(), name.end(), is_name_character)) return std::nullopt;
  // A name of digits and dots alone is a misspelt IPv4 literal (127.1, 1.2.3.4.5).
  const bool numeric = name.find_first_not_of("0123456789.") == std::string::npos;
  return numeric ? ip_literal(AF_INET, name) : name;
}

std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
  std::uint16_t port = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return port;
}

/// Splits `HOST[:PORT]`; absent when it is malformed.
std::optional<Address> split(std::string_view text) {
  const bool bracketed = text.starts_with('[');
  const auto host_end = bracketed ? text.find(']') : std::min(text.find(':'), text.size());
  if (host_end == std::string_view::npos) return std::nullopt;
  const auto host = bracketed ? ip_literal(AF_INET6, std::string(text.substr(1, host_end - 1)))
                              : parse_name(text.substr(0, host_end));
  if (!host) return std::nullopt;
  const auto rest = text.substr(bracketed ? host_end + 1 : host_end);
  if (rest.empty()) return Address{*host, port_default};
  const auto port = rest.starts_with(':') ? parse_port(rest.substr(1)) : std::nullopt;
  if (!port) return std::nullopt;
  return Address{*host, *port};
}

}  // namespace

std::string Address::text() const { return tls ? endpoint() : authority(); }

std::string Address::endpoint() const { return (tls ? "wss://" : "ws://") + authority(); }

std::string Address::authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool Address::is_loopback() const noexcept {
  if (host == "localhost" || host == "::1") return true;
  in_addr v4{};
  return inet_pton(AF_INET, host.c_str(), &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
}

Address parse_address(std::string_view text) {
  if (text.find('@') != std::string_view::npos) {
    throw Error(ErrorCode::invalid, "address: a user or password does not belong in an address");
  }
  auto rest = text;
  bool tls = false;
  if (const auto scheme = text.find("://"); scheme != std::string_view::npos) {
    tls = text.substr(0, scheme) == "wss";
    if (!tls && text.substr(0, scheme) != "ws") {
      throw Error(ErrorCode::invalid, "address " + quoted(text) + ": the scheme must be ws:// or wss://");
    }
    rest.remove_prefix(scheme + 3);
    if (rest.ends_with('/')) rest.remove_suffix(1);
  }
  auto address = split(rest);
  if (!address) {
    throw Error(ErrorCode::invalid,
                "address " + quoted(text) +
                    ": expected HOST:PORT or ws://HOST:PORT, an IPv6 host in brackets, a port "
                    "from 0 to 65535");
  }
  address->tls = tls;
  return *address;
}

void require_private(const Address& address) {
  if (address.tls || address.is_loopback()) return;
  throw Error(ErrorCode::denied, "address " + address.text() +
                                     ": TLS is required off loopback, wss://; ws:// is for 127.0.0.0/8, "
                                     "[::1] and localhost");
}

bool is_loopback_host(std::string_view header) {
  const auto address = split(header);
  return address && address->is_loopback();
}

bool is_own_host(std::string_view header, const std::vector<std::string>& names) {
  const auto address = split(header);
  if (!address) return false;
  return is_literal(address->host) || std::find(names.begin(), names.end(), address->host) != names.end();
}

}  // namespace loam
