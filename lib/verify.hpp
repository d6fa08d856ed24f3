#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace loam {

struct VerifyOptions {
  /// Also recompute everything that is derived: indexes, counts, fingerprints, roots.
  bool deep = false;

  /// Told how many of how many pages of a store were looked at, now and then. May be empty.
  std::function<void(std::string_view store, std::uint64_t done, std::uint64_t pages)> progress =
      {};
};

/// Something that is wrong.
struct VerifyFinding {
  std::string store;       ///< "shared", "private", or "directory"
  std::string table;       ///< may be empty
  std::uint64_t page = 0;  ///< 0: of no page
  std::string text;        ///< in words; names no key and no content
};

/// How large a store is that was looked at.
struct VerifiedStore {
  std::uint64_t octets = 0;
  std::uint64_t pages = 0;
  std::uint64_t pages_free = 0;
  std::uint64_t entries = 0;  ///< of all tables
};

struct VerifyReport {
  bool deep = false;
  std::vector<VerifyFinding> findings;  ///< the first hundred of each store and kind
  std::uint64_t faults = 0;             ///< all of them
  std::map<std::string, VerifiedStore> stores;

  bool is_sound() const noexcept { return faults == 0; }
};

/// Looks whether the instance in a directory is sound: its directory, key and configuration; the
/// structure of both stores and the checksum of every value; with `deep` also whether all tables
/// agree. Works when the instance cannot be opened, and beside processes that have it open. Changes
/// nothing. Throws Error(not_found) when there is no instance. What is wrong is in the report.
VerifyReport verify_instance(const std::filesystem::path& dir, const VerifyOptions& options = {});

/// Where octets of a record are still found in the files of an instance.
struct Traces {
  bool live = false;             ///< it is a record, or an entry says its key
  std::uint64_t used_pages = 0;  ///< pages in use that name it
  std::uint64_t free_pages = 0;  ///< pages that are free, and not written over yet

  bool is_absent() const noexcept { return !live && used_pages == 0 && free_pages == 0; }
};

/// Looks for a record by its whole id (26 characters) in both stores: as the octets that stand in
/// keys and rows, and as text. With another text: for that text, as it is. Throws Error(not_found).
Traces find_traces(const std::filesystem::path& dir, const std::string& id_or_text);

}  // namespace loam
