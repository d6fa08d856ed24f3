#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace loam::cli {

/// The longest duration that the command line takes.
inline constexpr std::chrono::hours duration_max{24 * 36'500};

/// `500ms`, `10s`, `5m`, `1h`, `7d`: a whole number and a unit, up to `duration_max`. Throws
/// Error(invalid) for anything else.
std::chrono::milliseconds parse_duration(std::string_view text);

/// Unix milliseconds of an RFC 3339 time (in UTC or with an offset), of a date (its first instant
/// in UTC), or of a number that already is one. Throws Error(invalid) for anything else.
std::int64_t parse_time(std::string_view text);

/// When something ends: a time as above, or a duration counted from `now_ms`.
std::int64_t parse_deadline(std::string_view text, std::int64_t now_ms);

/// RFC 3339 in UTC with milliseconds; the bare number where the year has not four digits.
std::string print_time(std::int64_t unix_ms);

}  // namespace loam::cli
