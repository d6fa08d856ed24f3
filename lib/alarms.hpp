#pragma once

#include <string>
#include <vector>

#include "lib/memory.hpp"
#include "lib/shared_batch.hpp"

namespace loam {

/// What is kept of alarms: that many, each so long after it was last raised, with so much of its
/// text.
inline constexpr std::size_t alarms_max = 32;
inline constexpr std::int64_t alarm_kept_ms = std::int64_t{7} * 24 * 3'600 * 1'000;
inline constexpr std::size_t alarm_octets_max = 512;

/// Notes an alarm in row `alarms` of table `meta`, so that every process and every later look at
/// the instance tells it. The same text again counts; of too many, what was raised longest ago
/// goes. `now_ms` is Unix milliseconds.
void note_alarm(lmdb::WriteTxn& txn, std::string text, std::int64_t now_ms);

/// The alarms that are kept at that time, the one raised last at the end. Throws Error(damaged).
std::vector<AlarmStatus> read_alarms(const lmdb::ReadTxn& txn, std::int64_t now_ms);

}  // namespace loam
