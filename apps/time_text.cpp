#include "apps/time_text.hpp"

#include <array>
#include <charconv>
#include <cstdio>
#include <optional>

#include "crdt/error.hpp"

namespace loam::cli {
namespace {

using std::chrono::milliseconds;

[[noreturn]] void refuse(const char* what, std::string_view text, const char* expected) {
  throw Error(ErrorCode::invalid,
              std::string(what) + ": \"" + std::string(text) + "\" is not " + expected);
}

/// The whole text as a number; absent when it is anything else or out of range.
std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Takes fixed-width pieces off the front of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool done() const noexcept { return rest_.empty(); }

  /// Exactly `width` digits; absent when there are others.
  std::optional<int> digits(std::size_t width) {
    if (rest_.size() < width) return std::nullopt;
    int number = 0;
    for (const char digit : rest_.substr(0, width)) {
      if (digit < '0' || digit > '9') return std::nullopt;
      number = number * 10 + (digit - '0');
    }
    rest_.remove_prefix(width);
    return number;
  }

  /// One of the characters; 0 when the next is none of them.
  char one_of(std::string_view characters) {
    if (rest_.empty() || characters.find(rest_.front()) == std::string_view::npos) return 0;
    const char taken = rest_.front();
    rest_.remove_prefix(1);
    return taken;
  }

 private:
  std::string_view rest_;
};

std::optional<std::chrono::sys_days> scan_date(Scanner& scanner) {
  const auto year = scanner.digits(4);
  if (!year || !scanner.one_of("-")) return std::nullopt;
  const auto month = scanner.digits(2);
  if (!month || !scanner.one_of("-")) return std::nullopt;
  const auto day = scanner.digits(2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{*year},
                                         std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days{date};
}

/// A fraction of a second after its point; digits beyond milliseconds are cut off.
std::optional<milliseconds> scan_fraction(Scanner& scanner) {
  milliseconds fraction{0};
  milliseconds place{100};
  auto digit = scanner.digits(1);
  if (!digit) return std::nullopt;
  for (; digit; digit = scanner.digits(1), place /= 10) fraction += place * *digit;
  return fraction;
}

std::optional<milliseconds> scan_clock(Scanner& scanner) {
  const auto hour = scanner.digits(2);
  if (!hour || *hour > 23 || !scanner.one_of(":")) return std::nullopt;
  const auto minute = scanner.digits(2);
  if (!minute || *minute > 59 || !scanner.one_of(":")) return std::nullopt;
  const auto second = scanner.digits(2);
  if (!second || *second > 60) return std::nullopt;  // 60: a leap second, which Unix time skips
  milliseconds clock =
      std::chrono::hours(*hour) + std::chrono::minutes(*minute) + std::chrono::seconds(*second);
  if (scanner.one_of(".")) {
    const auto fraction = scan_fraction(scanner);
    if (!fraction) return std::nullopt;
    clock += *fraction;
  }
  return clock;
}

std::optional<std::chrono::minutes> scan_offset(Scanner& scanner) {
  if (scanner.one_of("Zz")) return std::chrono::minutes(0);
  const char sign = scanner.one_of("+-");
  if (sign == 0) return std::nullopt;
  const auto hour = scanner.digits(2);
  if (!hour || *hour > 23 || !scanner.one_of(":")) return std::nullopt;
  const auto minute = scanner.digits(2);
  if (!minute || *minute > 59) return std::nullopt;
  return (std::chrono::hours(*hour) + std::chrono::minutes(*minute)) * (sign == '-' ? -1 : 1);
}

std::optional<std::int64_t> scan_rfc3339(std::string_view text) {
  Scanner scanner(text);
  const auto date = scan_date(scanner);
  if (!date) return std::nullopt;
  const milliseconds midnight = date->time_since_epoch();
  if (scanner.done()) return midnight.count();
  if (!scanner.one_of("Tt ")) return std::nullopt;
  const auto clock = scan_clock(scanner);
  if (!clock) return std::nullopt;
  const auto offset = scan_offset(scanner);
  if (!offset || !scanner.done()) return std::nullopt;
  return (midnight + *clock - *offset).count();
}

std::optional<milliseconds> scan_duration(std::string_view text) {
  const auto unit_at = text.find_first_not_of("0123456789");
  if (unit_at == 0 || unit_at == std::string_view::npos) return std::nullopt;
  const auto count = whole_number(text.substr(0, unit_at));
  const std::string_view unit = text.substr(unit_at);
  milliseconds one{0};
  if (unit == "ms") one = milliseconds(1);
  if (unit == "s") one = std::chrono::seconds(1);
  if (unit == "m") one = std::chrono::minutes(1);
  if (unit == "h") one = std::chrono::hours(1);
  if (unit == "d") one = std::chrono::hours(24);
  if (!count || one.count() == 0) return std::nullopt;
  if (*count > milliseconds(duration_max) / one) return std::nullopt;
  return one * *count;
}

}  // namespace

milliseconds parse_duration(std::string_view text) {
  const auto duration = scan_duration(text);
  if (!duration) refuse("duration", text, "a number with ms, s, m, h or d, up to 36500d");
  return *duration;
}

std::int64_t parse_time(std::string_view text) {
  if (const auto number = whole_number(text)) return *number;
  const auto time = scan_rfc3339(text);
  if (!time) refuse("time", text, "RFC 3339 (2025-01-31T09:30:00Z) or Unix milliseconds");
  return *time;
}

std::int64_t parse_deadline(std::string_view text, std::int64_t now_ms) {
  if (const auto duration = scan_duration(text)) return now_ms + duration->count();
  if (const auto number = whole_number(text)) return *number;
  const auto time = scan_rfc3339(text);
  if (!time) refuse("time", text, "a duration (7d), RFC 3339 or Unix milliseconds");
  return *time;
}

std::string print_time(std::int64_t unix_ms) {
  constexpr std::int64_t year_0 = -62'167'219'200'000;
  constexpr std::int64_t year_10000 = 253'402'300'800'000;
  if (unix_ms < year_0 || unix_ms >= year_10000) return std::to_string(unix_ms);
  const std::chrono::sys_time<milliseconds> time{milliseconds(unix_ms)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  std::array<char, 40> text{};
  const int size = std::snprintf(
      text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
      static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
      static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
      static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
      static_cast<int>(clock.subseconds().count()));
  return {text.data(), static_cast<std::size_t>(size)};
}

}  // namespace loam::cli
