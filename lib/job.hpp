#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <optional>

#include "lib/private_store.hpp"
#include "lib/shared_batch.hpp"

namespace loam {

/// How much of one peer's is written before it is the next one's turn, in octets. A job is never divided.
inline constexpr std::size_t turn_octets = std::size_t{64} << 10;

/// One thing to do in a write transaction. Exactly one of the bodies is set.
struct Job {
  /// May run more than once, in fresh transactions: assigns its results anew every time. What it
  /// throws is its own failure; the other jobs of the commit go on without it.
  std::function<void(SharedBatch&)> shared;
  std::function<void(PrivateBatch&)> priv;

  /// Called once, on the thread that writes, when the job is durable (null) or has failed. Jobs of one environment that
  /// have the same `peer` end in the order in which they were queued. Does not throw.
  std::function<void(std::exception_ptr)> done;

  std::optional<InstanceId> peer;  ///< that has brought it; absent: it is this instance's own
  std::size_t octets = 0;  ///< about what it writes
  lmdb::Space space = lmdb::Space::normal;
  bool lazy = false;  ///< losing it is harmless: it waits for another commit or an idle moment
};

}  // namespace loam
