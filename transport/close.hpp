#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace loam {

// WebSocket close codes (RFC 6455, 7.4.1, and the registry at IANA).
inline constexpr std::uint16_t close_normal = 1000;
inline constexpr std::uint16_t close_going_away = 1001;
inline constexpr std::uint16_t close_unsupported = 1003;
inline constexpr std::uint16_t close_policy = 1008;
inline constexpr std::uint16_t close_internal = 1011;
inline constexpr std::uint16_t close_try_later = 1013;

/// Greatest reason of a close frame, in octets (RFC 6455, 5.5.1).
inline constexpr std::size_t close_reason_octets_max = 123;

/// A text as the reason of a close frame: UTF-8, cut between characters to at most 123 octets.
/// Octets of a text that is not UTF-8 become `?` where they are not ASCII.
std::string close_reason_of(std::string text);

/// What is said of a connection that the peer closed. Its reason stays on one line.
std::string peer_close_text(std::uint16_t code, std::string_view reason);

}  // namespace loam
