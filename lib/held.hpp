#pragma once

#include <set>

#include "lib/shared_tables.hpp"

namespace loam {

/// What is kept aside at most. Beyond either, the oldest row goes that is no removal: a removal
/// waits for somebody's word, however long that takes.
inline constexpr std::uint64_t held_rows_max = 1'000;
inline constexpr std::uint64_t held_octets_max = std::uint64_t{16} << 20;

/// What a table `held` says of itself. Not inside of its writer: clang 14 does not make an optional of a
/// nested class with default values.
struct HeldCounters {
  std::uint64_t next = 1;    ///< the next sequence
  std::uint64_t octets = 0;  ///< of all rows
  bool operator==(const HeldCounters&) const = default;
};

/// What one transaction keeps aside, and releases. Table `held`; its counters are in table `meta`.
class HeldWriter {
 public:
  /// The transaction outlives it.
  explicit HeldWriter(lmdb::WriteTxn& txn) : txn_(txn) {}

  /// Keeps a row under the next sequence, which was never used before. A second content of a dot
  /// that is kept already is not kept again.
  void hold(const HeldRow& row);

  /// Whether there was such a row.
  bool release(std::uint64_t sequence);

  /// Writes the counters. Once, at the end of the transaction.
  void finish();

 private:
  HeldCounters& counters();
  bool is_known(const HeldRow& row);
  void make_room();

  lmdb::WriteTxn& txn_;
  std::optional<HeldCounters> counters_;
  std::optional<std::set<ContentHash>> known_;  ///< the equivocations in the table, once one is met
};

/// How many octets the rows of table `held` have by its counters.
std::uint64_t held_octets(const lmdb::ReadTxn& txn);

}  // namespace loam
