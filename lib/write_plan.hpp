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
  std::optional<PacketId> given_id;  ///< by the caller: a retry finds it
  PacketId id;                       ///< given, or minted for a private record
  PacketParts parts;                 ///< of a record
  std::string key;                   ///< of an entry
  Bytes value;                       ///< of an entry
};

/// What planning and carrying out writes needs of an open instance. All of it outlives what is made
/// here.
struct WriteStores {
  const SegmentTable& segments;
  const SharedStore& shared;
  const PrivateStore& priv;
  std::function<std::int64_t()> now_ms;
};

WriteStores stores_of(const Core& core);

/// Throws what segment_of, check_packet and parts_of throw.
PlannedWrite plan_write(const WriteStores& stores, PacketEnvelope packet);

/// Called once: with the receipts in the order of the writes when all are durable, or with the
/// failure.
using WritesDone = std::function<void(std::vector<Receipt>, std::exception_ptr)>;

/// The jobs that carry the writes out, one per environment. Without writes there is none, and
/// `done` is called at once.
std::vector<Job> write_jobs(const WriteStores& stores, std::vector<PlannedWrite> writes,
                            WritesDone done);

/// What the calling thread does until `done` is called.
enum class Caller { goes_on, waits };

/// Queues them; for one who waits anyway they may be done before this returns.
void submit_writes(Core& core, std::vector<PlannedWrite> writes, WritesDone done, Caller caller);

/// Queues one job and returns when it is durable. Throws what it threw.
void run_job(Core& core, Job job);

/// A time-ordered id: 48 bits of milliseconds, 80 random bits.
PacketId mint_packet_id(std::int64_t now_ms);

}  // namespace loam
