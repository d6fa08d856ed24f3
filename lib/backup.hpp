#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/id.hpp"

namespace loam {

struct BackupOptions {
  /// Private segments and the key, too. Whoever has such a backup is this instance. Without, whoever restores it is a
  /// new one, which a governor has to admit.
  bool with_private = false;
};

struct BackupReport {
  std::uint64_t octets = 0;  ///< of its data files
};

struct RestoreOptions {
  /// Told how many of how many pages of a store were looked at, now and then. May be empty.
  std::function<void(std::string_view store, std::uint64_t done, std::uint64_t pages)> progress = {};
};

/// Who was made of a backup.
struct RestoreReport {
  std::string name;
  InstanceId id;
  std::string public_key;    ///< 64 hexadecimal digits
  bool has_new_key = false;  ///< the backup had none
  bool is_member = false;    ///< its federation knows it, as far as the backup knows: else a governor has to admit it
};

/// Makes the instance of a backup in a directory that is empty or not there yet; a stopped instance's directory is
/// a backup, too. It is an old replica that catches up: what was removed since does not come back. Everything is looked
/// at first, every signature too, and open invitations are forgotten: they may have been used since. All or nothing: a
/// directory appears whole or not at all. Does not change the backup. Throws Error(not_found) when there is no backup,
/// Error(invalid) when `dir` is not empty, Error(damaged) when the backup is, Error(denied), Error(failed).
RestoreReport restore_instance(const std::filesystem::path& backup, const std::filesystem::path& dir,
                               const RestoreOptions& options = {});

/// Which of a backup's shared segments: none: all that are not governed.
using RestoredSegments = std::vector<std::string>;

}  // namespace loam
