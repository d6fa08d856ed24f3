#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "apps/time_text.hpp"
#include "lib/strong.hpp"

/// The options of calls that may be strong. Included by command_line.cpp and what it includes only, as verb.hpp is.
namespace loam::cli {

inline std::chrono::milliseconds positive_duration(std::string_view option, const std::string& text) {
  const auto duration = parse_duration(text);
  if (duration.count() > 0) return duration;
  throw Error(ErrorCode::invalid, std::string(option) + ": must be longer than 0");
}

inline void add_timeout(CLI::App& app, std::chrono::milliseconds& timeout, const char* help) {
  app.add_option_function<std::string>(
         "--timeout", [&timeout](const std::string& text) { timeout = positive_duration("--timeout", text); }, help)
      ->type_name("DURATION");
}

inline void add_consistency(CLI::App& app, CallOptions& options) {
  app.add_flag_function(
      "--strong,!--eventual",
      [&options](auto count) { options.consistency = count > 0 ? Consistency::strong : Consistency::eventual; },
      "Ask a majority of the voters, exit 6 when there is none in time; or this replica alone (as the segment says)");
  add_timeout(app, options.timeout, "With --strong, give up after (10s)");
}

}  // namespace loam::cli
