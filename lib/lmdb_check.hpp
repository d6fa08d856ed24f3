#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "crdt/bytes.hpp"

namespace loam::lmdb {

/// How bad it is: LMDB must not be let loose on a file whose structure is damaged; a value whose
/// checksum does not match harms nothing but itself.
enum class Severity { structure, value };

struct Finding {
  Severity severity = Severity::structure;
  std::string table;       ///< empty: of no table
  std::uint64_t page = 0;  ///< where it was found
  Bytes key;               ///< of the entry, when it is about one
  std::string text;        ///< what is wrong, in words; names no key

  bool operator==(const Finding&) const = default;
};

struct CheckOptions {
  /// Check the state of this transaction, which a reader holds; absent: the newest.
  std::optional<std::uint64_t> transaction = {};

  /// Also verify the checksum of every value.
  bool values = true;

  /// Findings that are described; beyond it they are only counted.
  std::size_t findings_max = 100;

  /// Handed every entry of every table whose value verifies, in order of the keys of each table,
  /// while damage is passed over. Views that die with the call. May be empty.
  std::function<void(const std::string& table, BytesView key, BytesView value)> each = {};

  /// Told how many of how many pages were looked at, now and then. May be empty.
  std::function<void(std::uint64_t done, std::uint64_t pages)> progress = {};
};

struct CheckReport {
  std::vector<Finding> findings;
  std::uint64_t structure_faults = 0;
  std::uint64_t value_faults = 0;

  std::uint64_t transaction = 0;  ///< whose state was checked
  std::uint64_t page_octets = 0;
  std::uint64_t pages = 0;  ///< that the state spans, those beyond the end of the file too
  std::uint64_t pages_in_file = 0;
  std::uint64_t pages_used = 0;
  std::uint64_t pages_free = 0;                  ///< listed as free
  std::uint64_t pages_free_beyond = 0;           ///< of those, beyond the end of the file
  std::map<std::string, std::uint64_t> entries;  ///< of each table that was walked to its end
  std::vector<bool> used;  ///< by page, those in the file: whether a tree uses it

  bool is_sound() const noexcept { return structure_faults == 0; }

  /// Neither used nor free: lost to the file, harmless to its data.
  std::uint64_t pages_lost() const noexcept {
    const std::uint64_t known = 2 + pages_used + pages_free;
    return pages > known ? pages - known : 0;
  }
};

/// Checks a data file of LMDB 0.9 by reading it, without a map and without LMDB: both meta pages;
/// of the newer one's trees every page (number, flags, bounds, nodes, order of keys, the ranges
/// that the separators promise, depth, counts), that none is used twice or free as well, the free
/// lists, and the checksum of every value of every table. When the structure is sound, LMDB can be
/// let loose on it.
///
/// Needs memory for two bits per page and for one path of pages. Nobody may write the file
/// meanwhile, unless a reader holds the transaction that is asked for: then its pages stay as they
/// are. Absent: that transaction is no longer one of the two that the meta pages name; ask for a
/// newer one. Throws Error(denied) or Error(failed) when the file cannot be opened; damage is in
/// the report.
std::optional<CheckReport> check_file(const std::filesystem::path& file,
                                      const CheckOptions& options);

/// The newest state of a file that nobody writes.
CheckReport check_still_file(const std::filesystem::path& file, CheckOptions options = {});

}  // namespace loam::lmdb
