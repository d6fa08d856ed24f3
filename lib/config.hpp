#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lib/lmdb.hpp"
#include "lib/segment.hpp"
#include "lib/write_quota.hpp"
#include "transport/endpoint.hpp"

namespace loam {

/// What config.toml says; every key has a default.
struct Config {
  std::vector<Segment> segments;        ///< [[segments]] name, scope, kind, governed
  std::vector<std::string> strong_segments;  ///< strong_segments: of strong consistency, unless a call says otherwise
  std::vector<std::string> endpoints;   ///< endpoints: peers to keep links to
  std::uint64_t map_octets_max = lmdb::map_octets_max;  ///< store.map_octets_max, at least 1 MiB
  std::uint64_t journal_entries_max = 100'000;          ///< store.journal_entries_max, per segment; 0: no journal

  /// sync.silent_removals_max and sync.silent_removals_percent_max: what a peer's silence may remove of
  /// a segment during one conversation, by the larger of the two; more waits to be confirmed.
  std::uint64_t silent_removals_max = 1'000;
  std::uint64_t silent_removals_percent_max = 1;

  /// sync.author_batches_per_second and sync.author_batches_burst: what a peer may bring of one author in one segment.
  QuotaLimits quota;

  /// limits and hosts: what a connection may take; lower than the defaults, or as they are.
  ListenLimits limits;

  bool operator==(const Config&) const = default;
};

/// Reads `dir/config.toml`; a missing file is the defaults. Throws Error(invalid) for broken TOML, an
/// unknown key, a wrong type or value: naming file, line and key.
Config load_config(const std::filesystem::path& dir);

/// Writes a commented file with the defaults, 0600, unless there is one.
void write_default_config(const std::filesystem::path& dir);

}  // namespace loam
