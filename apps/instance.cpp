#include "apps/instance.hpp"

#include <cstdlib>

#include "apps/text.hpp"
#include "apps/time_text.hpp"

namespace loam::cli {
namespace {

std::string_view level_name(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
  }
  return "error";
}

void log_line(LogLevel level, std::string_view text) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  say(print_time(now_ms) + " " + std::string(level_name(level)) + " " + std::string(text));
}

Memory open_with_hints(const Options& options) {
  try {
    return Memory::open(options);
  } catch (const Error& error) {
    throw HintedError(error, opening_hint(error, options.dir));
  }
}

bool holds_instance(const std::filesystem::path& dir) {
  try {
    open_with_hints({.dir = dir});
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return false;
    throw;
  }
}

[[noreturn]] void refuse_second(const std::filesystem::path& dir) {
  throw HintedError(
      Error(ErrorCode::invalid, "init: " + dir.string() + " already holds an instance"),
      "`loam -C DIR id` shows which; name another directory with -C");
}

}  // namespace

std::string opening_hint(const Error& error, const std::filesystem::path& dir) {
  switch (error.code()) {
    case ErrorCode::not_found: return "`loam init NAME` makes an instance there";
    case ErrorCode::denied:
      return "the directory and its files must be yours alone, and no symbolic links: chmod 700 " +
             dir.string();
    default: return {};
  }
}

std::filesystem::path instance_dir(const std::optional<std::string>& given) {
  if (given && given->empty()) throw Error(ErrorCode::invalid, "-C: the directory has no name");
  if (given) return *given;
  const char* from_environment = std::getenv("LOAM_DIR");
  if (from_environment != nullptr && *from_environment != 0) return from_environment;
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home != 0) return std::filesystem::path(home) / ".loam";
  throw HintedError(Error(ErrorCode::invalid, "directory: neither -C, LOAM_DIR nor HOME is set"),
                    "loam -C DIR COMMAND");
}

Memory open_memory(const Shell& shell, LogLevel from) {
  return open_with_hints({.dir = shell.dir, .log = [from](LogLevel level, std::string_view text) {
                            if (level >= from) log_line(level, text);
                          }});
}

Memory make_memory(Options options) {
  if (holds_instance(options.dir)) refuse_second(options.dir);
  Memory memory = open_with_hints(options);
  // Somebody else may have made another one since.
  if (memory.name() != options.name) refuse_second(options.dir);
  return memory;
}

}  // namespace loam::cli
