#pragma once

#include <optional>
#include <string>

#include "crdt/id.hpp"
#include "lib/lmdb.hpp"

namespace loam {

/// Caller-given packet ids that an environment remembers for idempotent retries; the oldest are
/// forgotten.
inline constexpr std::uint64_t packets_max = 100'000;

/// The two tables of an environment that remember packets: packet id → receipt, number → packet id.
struct PacketLog {
  lmdb::Table packets;
  lmdb::Table order;

  /// The receipt that a packet id led to before; absent: it is new.
  std::optional<std::string> receipt_of(const lmdb::ReadTxn& txn, const PacketId& packet) const;

  void remember(lmdb::WriteTxn& txn, const PacketId& packet, const std::string& receipt_id) const;
};

}  // namespace loam
