#include "lib/alarms.hpp"

#include <algorithm>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "lib/shared_tables.hpp"

namespace loam {
namespace {

// Octets, for what a peer calls itself goes into texts.
Bytes encoded(const std::vector<AlarmStatus>& alarms) {
  Array rows;
  for (const AlarmStatus& alarm : alarms) {
    rows.emplace_back(Array{Value(copy_of(bytes_of(alarm.text))), Value(alarm.first_ms),
                            Value(alarm.last_ms), Value(static_cast<std::int64_t>(alarm.count))});
  }
  return encode(Value(std::move(rows)));
}

AlarmStatus decoded(const Value& row) {
  const auto* const parts = row.get<Array>();
  if (parts == nullptr || parts->size() != 4) throw Error(ErrorCode::invalid, "four parts");
  const auto* const text = (*parts)[0].get<Bytes>();
  const auto* const first = (*parts)[1].get<std::int64_t>();
  const auto* const last = (*parts)[2].get<std::int64_t>();
  const auto* const count = (*parts)[3].get<std::int64_t>();
  if (text == nullptr || first == nullptr || last == nullptr || count == nullptr) {
    throw Error(ErrorCode::invalid, "text, times and a count");
  }
  return {std::string(text_of(*text)), *first, *last, static_cast<std::uint64_t>(*count)};
}

}  // namespace

std::vector<AlarmStatus> read_alarms(const lmdb::ReadTxn& txn, std::int64_t now_ms) {
  const auto row = txn.get(table::meta, bytes_of(meta::alarms));
  if (!row) return {};
  std::vector<AlarmStatus> alarms;
  try {
    const Value stored = decode(*row);
    const auto* const rows = stored.get<Array>();
    if (rows == nullptr) throw Error(ErrorCode::invalid, "a list");
    for (const Value& each : *rows) alarms.push_back(decoded(each));
  } catch (const Error& error) {
    throw Error(ErrorCode::damaged,
                "table meta: alarms does not decode: " + std::string(error.message()));
  }
  std::erase_if(alarms, [&](const auto& alarm) { return now_ms - alarm.last_ms > alarm_kept_ms; });
  return alarms;
}

void note_alarm(lmdb::WriteTxn& txn, std::string text, std::int64_t now_ms) {
  if (text.size() > alarm_octets_max) text.resize(alarm_octets_max);
  std::vector<AlarmStatus> alarms = read_alarms(txn, now_ms);
  AlarmStatus raised{text, now_ms, now_ms, 1};
  const auto known = std::find_if(alarms.begin(), alarms.end(),
                                  [&](const AlarmStatus& alarm) { return alarm.text == text; });
  if (known != alarms.end()) {
    raised.first_ms = known->first_ms;
    raised.count = known->count + 1;
    alarms.erase(known);
  }
  alarms.push_back(std::move(raised));
  if (alarms.size() > alarms_max) alarms.erase(alarms.begin());
  txn.put(table::meta, bytes_of(meta::alarms), encoded(alarms));
}

}  // namespace loam
