#pragma once

#include <functional>
#include <future>
#include <memory>
#include <vector>

#include "lib/content.hpp"
#include "lib/core.hpp"

namespace loam {

/// A checked packet, ready for the transaction that stores it.
struct PlannedWrite {
  const Segment* segment = nullptr;
  std::optional<PacketId> given_id;     ///< by the caller: a retry finds it
  PacketId id;                          ///< given, or minted for a private record
  PacketParts parts;                    ///< of a record
  std::string key;                      ///< of an entry
  Bytes value;                          ///< of an entry
};

/// Throws what check_packet and parts_of throw.
PlannedWrite plan_write(const Core& core, PacketEnvelope packet);

/// Queues the writes, one job per environment, and calls `done` once: with the receipts in the same order
/// when all are durable, or with the failure.
using WritesDone = std::function<void(std::vector<Receipt>, std::exception_ptr)>;
void submit_writes(Core& core, std::vector<PlannedWrite> writes, WritesDone done);

/// Queues one job and returns when it is durable. Throws what it threw.
void run_job(Core& core, Job job);

/// A time-ordered id: 48 bits of milliseconds, 80 random bits.
PacketId mint_packet_id(std::int64_t now_ms);

}  // namespace loam
