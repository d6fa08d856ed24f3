#pragma once

#include <cstdint>
#include <filesystem>

#include "lib/descriptor.hpp"

namespace loam::lmdb {

/// Opens a directory, never through a symlink. With `make`, a missing one is made with mode 0700
/// (its parent must exist). Throws Error(denied), Error(failed).
Descriptor open_directory(const std::filesystem::path& dir, bool make);

/// Makes an empty, whole and durable `dir/data.mdb` unless there is one. It is made aside and
/// linked into place, so a crash never leaves half a file under that name. `directory` is `dir`,
/// open. Throws Error(denied), Error(failed), Error(out_of_space); Error(damaged) when there is
/// only a lock file.
void make_data_file(const std::filesystem::path& dir, const Descriptor& directory,
                    std::uint64_t map_octets);

/// What the meta pages of a data file say.
struct DataFile {
  std::uint64_t map_octets = 0;   ///< the map that its last writer used
  std::uint64_t transaction = 0;  ///< the newest
};

/// Octets of LMDB's lock file with that many readers (its table starts and goes on in cache lines).
inline constexpr unsigned readers_max = 1'022;
inline constexpr std::uint64_t lock_file_octets = std::uint64_t{64} * (readers_max + 2);

/// Makes the lock file where it is missing, and keeps room for all of it. Throws
/// Error(out_of_space) when the disk is full.
void make_lock_file(const std::filesystem::path& dir);

/// Makes a file that long, unless it is longer. Never takes anything away, also not what others write
/// meanwhile. Where the file system cannot, it stays as it is.
void make_longer(int file, std::uint64_t octets) noexcept;

/// Checks `dir/data.mdb` against its meta pages, so that LMDB never maps a file that is shorter
/// than it believes (that is a SIGBUS in the host). A file that lacks nothing but free
/// pages at its end is sound, and made longer: LMDB does not write pages that were new and free again in
/// one transaction. Throws Error(damaged), Error(denied), Error(failed).
DataFile check_data_file(const std::filesystem::path& dir);

/// Lets the kernel forget what it has read of a file, as far as nobody has it mapped and it is
/// written: the next read comes from the disk.
void forget_cached(const std::filesystem::path& file) noexcept;

/// Writes both meta pages of an open data file anew, as they are, and syncs it. False, and nothing is
/// written: the page of the transaction `newest` is not there, which is the last that LMDB knows of.
/// Nobody else writes meanwhile; `path` is the file's name. Throws Error(failed), Error(damaged).
bool rewrite_meta_pages(int file, const std::filesystem::path& path, std::uint64_t page_octets,
                        std::uint64_t newest);

}  // namespace loam::lmdb
