#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "apps/shell.hpp"
#include "lib/memory.hpp"

namespace loam::cli {

/// `-C` if given, else `$LOAM_DIR`, else `~/.loam`. Throws Error(invalid) for an empty `-C`, or
/// when there is none of them.
std::filesystem::path instance_dir(const std::optional<std::string>& given);

/// What the user can do about a directory that does not open; may be empty.
std::string opening_hint(const Error& error, const std::filesystem::path& dir);

/// Opens the instance of the directory; its log goes to standard error from that level on. Throws
/// as Memory::open does, with hints.
Memory open_memory(const Shell& shell, LogLevel from = LogLevel::warning);

/// Makes the instance of `options`. Throws Error(invalid) when the directory holds one already.
Memory make_memory(Options options);

}  // namespace loam::cli
