#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/id.hpp"

namespace loam {

/// How much a state matters.
enum class Urgency {
  notice,   ///< good to know
  warning,  ///< will be trouble
  damage,   ///< data is damaged
};

/// A state that an operator should know, and what to do about it.
struct Ailment {
  std::string state;  ///< a fixed word for programs, as "damaged_records"
  Urgency urgency = Urgency::notice;
  std::string text;    ///< what is so, in words, with the numbers
  std::string advice;  ///< what to do
  bool fixed = false;  ///< it was, just now
};

struct DoctorOptions {
  /// Repair what can be repaired here: modes, leftover directories, records that cannot be read; a
  /// store whose structure is damaged is set aside whole, and a fresh one made under the same
  /// identity.
  bool fix = false;

  /// Who the instance is, should neither store know it any more.
  std::string name = {};
  std::optional<std::string> federation = {};

  /// Told how many of how many pages of a store were looked at, now and then. May be empty.
  std::function<void(std::string_view store, std::uint64_t done, std::uint64_t pages)> progress =
      {};

  /// Unix milliseconds; empty: the system clock. For tests.
  std::function<std::int64_t()> now_ms = {};
};

struct DoctorReport {
  std::vector<Ailment> ailments;
  bool failed = false;  ///< something that was to be repaired was not

  /// Whether data is damaged still.
  bool is_damaged() const noexcept;
};

/// Looks at the instance in a directory: what an operator should know, also when it cannot be
/// opened. This process must not have it open. Reads both files. Without `fix` it changes nothing
/// that opening does not. Throws Error(not_found) when there is no instance, Error(invalid) when it
/// is open here.
DoctorReport examine(const std::filesystem::path& dir, const DoctorOptions& options = {});

}  // namespace loam
