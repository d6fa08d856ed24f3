#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace loam {

enum class LogLevel { debug, info, warning, error };

/// Longest text of a federation (Options::federation), in octets.
inline constexpr std::size_t federation_text_max = std::size_t{64} << 20;

/// How to open a memory.
struct Options {
  /// The directory of the instance. Made with mode 0700 when it does not exist.
  std::filesystem::path dir;

  /// The name of the instance to make when `dir` holds none; empty: a directory without an instance
  /// is Error(not_found). Ignored for an existing instance.
  std::string name;

  /// The federation that a new instance is to be in: what `Memory::federation` of one of its instances says. Absent:
  /// a new federation of one, with this as its governor.
  std::optional<std::string> federation;

  /// Receives one line per event that an operator would want to know, from any thread; may be empty.
  std::function<void(LogLevel, std::string_view)> log;

  /// Unix milliseconds; empty: the system clock. For tests.
  std::function<std::int64_t()> now_ms;
};

}  // namespace loam
