#pragma once

#include <set>

#include "lib/shared_tables.hpp"

namespace loam {

/// Records under quarantine, as doctor and coverage report them.
struct QuarantineCounts {
  std::uint64_t open = 0;      ///< forgotten, and not received again
  std::uint64_t repaired = 0;  ///< received again, or known to be removed
};
QuarantineCounts quarantine_counts(const SharedReader& reader);

/// Those of one segment.
QuarantineCounts quarantined_of(const SharedReader& reader, SegmentNumber segment);

/// The sequences of all records that cannot be read. Looks at every record.
std::set<std::uint64_t> damaged_records(const lmdb::ReadTxn& txn);

/// How often records of this store were put under quarantine. Every session writes under a new
/// actor from then on: what was forgotten may be the highest counter of an actor that another
/// process uses.
std::uint64_t read_quarantines(const lmdb::ReadTxn& txn);
void write_quarantines(lmdb::WriteTxn& txn, std::uint64_t count);

/// A live dot by the sequence of its record, from the tables that do not need the record.
struct PlacedDot {
  SegmentNumber segment = 0;
  ActorIndex actor = 0;
  std::uint64_t counter = 0;
  std::uint64_t sequence = 0;
};

/// The live dots of these records. Looks at every live dot.
std::vector<PlacedDot> placed_dots(const lmdb::ReadTxn& txn,
                                   const std::set<std::uint64_t>& sequences);

/// Erases the index rows of a record that cannot say which they are. Looks at the whole index.
void erase_index_rows(lmdb::WriteTxn& txn, SegmentNumber segment, Kind kind,
                      std::uint64_t sequence);

}  // namespace loam
