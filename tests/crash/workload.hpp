#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/crash/disk_watch.hpp"
#include "tests/crash/script.hpp"
#include "tests/crash/stores.hpp"

namespace loam::test {

/// Mistakes on purpose, which the tests must notice.
enum class Plant : std::uint8_t {
  none,
  early_acknowledgement,  ///< a commit is acknowledged before it begins
  split_delta,            ///< what a peer sent is joined in two transactions
  early_position,         ///< a position is stored in a transaction before its records
};

/// What a run did to the disk, and every state that it went through. States of each environment
/// have numbers: 0 is a store that nobody has been promised yet, 1 the new one.
struct Recording {
  std::vector<DiskEvent> events;
  std::vector<SharedState> shared;
  std::vector<PrivateState> priv;
  std::map<std::string, std::string>
      locks;  ///< the lock file of each environment at the end, in use
  std::map<std::string, std::string> data;  ///< its data file then
  std::map<std::string, int> happened;      ///< how often what is worth seeing came about
};

struct RecordingRules {
  std::uint64_t seed = 0;
  int steps = 0;
  Plant plant = Plant::none;
  Fault::Call failing = Fault::Call::none;  ///< now and then; the stores go on then, or are opened again
};

/// Runs a script in an empty directory. Throws std::logic_error when the store and the model
/// disagree.
Recording record(const std::filesystem::path& dir, const RecordingRules& rules);

}  // namespace loam::test
