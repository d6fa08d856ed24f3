#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "lib/private_store.hpp"
#include "lib/shared_store.hpp"
#include "tests/lib/site.hpp"

namespace loam::test {

/// Small, so that maps grow.
inline constexpr std::uint64_t small_map_octets = 128 * 1024;

inline const std::string shared_name = "shared";
inline const std::string private_name = "private";

/// Where files live in memory, when the system has such a place: syncing them takes no time.
std::filesystem::path memory_directory();

/// The instance that writes, and the key with which it signs.
InstanceId own_instance();
SigningKey own_key();

/// The configuration of every store here: a short journal, so that it is trimmed.
Config crash_config();

/// Both environments of one instance, open.
struct Stores {
  /// Opens them, or makes them. `octets_start` is the size of new maps: small, so that they grow.
  Stores(const std::filesystem::path& dir, std::uint64_t octets_start);

  /// The small maps are made by whoever opens the environment first in a process.
  std::shared_ptr<lmdb::Env> shared_env;
  std::shared_ptr<lmdb::Env> private_env;
  SegmentTable segments;
  SharedStore shared;
  PrivateStore priv;
};

}  // namespace loam::test
