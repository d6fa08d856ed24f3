#pragma once

#include <filesystem>
#include <string>

#include "lib/config.hpp"
#include "lib/segment.hpp"
#include "lib/store_identity.hpp"

namespace loam {

/// Renames `dir/store`, a damaged environment, to `dir/STORE.damaged-TIME`, durably; a name that is
/// taken gets a number. Returns the new path. Throws Error(failed) when a process has it open,
/// naming it.
std::filesystem::path set_aside(const std::filesystem::path& dir, const std::string& store,
                                std::int64_t now_ms);

/// Writes every record and entry of a damaged data file that can still be read to `into`, in the
/// lines that `import_records` reads, 0600, durable. `author` is the name for records of this
/// instance. Returns how many.
std::uint64_t salvage(const std::filesystem::path& data_file, const std::string& store,
                      const SegmentTable& segments, const std::string& author,
                      const std::filesystem::path& into);

/// The process that has an environment open, as LMDB's lock file says; 0: none. Not to be asked by
/// a process that has it open itself.
int user_of(const std::filesystem::path& store);

}  // namespace loam
