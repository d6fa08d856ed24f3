#pragma once

#include <cstdint>

namespace loam::sim {

/// What happens to the writes of this process from now on. The functions of the C library that LMDB
/// writes with are replaced in this executable.
struct DiskFault {
  std::uint64_t after = 0;     ///< that many calls succeed first
  int error = 0;               ///< errno of the calls that fail
  std::uint64_t failures = 1;  ///< so many fail
  bool is_torn = false;        ///< half of what a failing call brings is written
};

void break_disk(const DiskFault& fault);

/// Writes succeed again. Says whether one has failed.
bool mend_disk();

}  // namespace loam::sim
