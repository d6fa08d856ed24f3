#pragma once

#include <optional>
#include <string>
#include <variant>

#include "apps/commands.hpp"

namespace loam::cli {

/// What the arguments of the program say.
struct CommandLine {
  std::optional<std::string> dir;
  bool json = false;
  Command command;
};

/// A text that was asked for instead of a command: help or the version.
struct Answer {
  std::string text;
};

/// Parses the arguments. Throws Error(invalid), with a hint, for a usage error, a value out of
/// range or arguments that are not UTF-8.
std::variant<CommandLine, Answer> parse_command_line(int count, const char* const* arguments);

/// Whether `--json` stands among the arguments: also known when parsing fails.
bool wants_json(int count, const char* const* arguments);

}  // namespace loam::cli
