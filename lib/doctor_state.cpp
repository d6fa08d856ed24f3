#include "lib/doctor_state.hpp"

#include <sys/statvfs.h>

#include <algorithm>

#include "lib/alarms.hpp"

namespace loam {
namespace {

constexpr std::uint64_t disk_octets_low = std::uint64_t{256} << 20;
constexpr std::int64_t peer_unseen_ms = std::int64_t{7} * 24 * 3'600 * 1'000;

void add(DoctorReport& report, std::string state, Urgency urgency, std::string text,
         std::string advice) {
  report.ailments.push_back({std::move(state), urgency, std::move(text), std::move(advice)});
}

void check_held(const Core& core, DoctorReport& report) {
  const auto items = core.shared.read([](const SharedReader& reader) { return reader.held(); });
  std::uint64_t equivocations = 0;
  for (const HeldItem& item : items) {
    if (item.row.reason == HeldReason::equivocation) ++equivocations;
    if (item.row.reason != HeldReason::removal) continue;
    std::uint64_t dots = 0;
    for (const auto& [actor, counters] : item.row.dots) dots += counters.count();
    add(report, "held_removal", Urgency::warning,
        "a removal of " + std::to_string(dots) + " records of " +
            core.shared.name(item.row.segment) + " waits to be confirmed, from store " +
            item.row.peer.text(),
        "look whether it is meant; `loam peers confirm-removal NAME` carries it out");
  }
  if (equivocations > 0) {
    add(report, "equivocations", Urgency::warning,
        std::to_string(equivocations) + " second contents of a dot are kept aside",
        "somebody's store was copied or forged: look which instance wrote them");
  }
}

void check_alarms(const Core& core, DoctorReport& report) {
  const auto alarms = core.shared.env().read(
      [&](const lmdb::ReadTxn& txn) { return read_alarms(txn, core.now_ms()); });
  for (const AlarmStatus& alarm : alarms) {
    const std::int64_t minutes = std::max<std::int64_t>(core.now_ms() - alarm.last_ms, 0) / 60'000;
    add(report, "alarm", Urgency::warning,
        alarm.text + " (" + std::to_string(alarm.count) + " times, the last one " +
            std::to_string(minutes) + " minutes ago)",
        "find out why; it is told for a week after it was last raised");
  }
}

void check_room(const Core& core, DoctorReport& report) {
  for (const auto* env : {&core.shared.env(), &core.priv.env()}) {
    const std::uint64_t used = env->octets_used();
    if (used / 9 * 10 < core.config.map_octets_max) continue;
    add(report, "nearly_full", Urgency::warning,
        env->dir().string() + ": uses " + std::to_string(used) + " octets of " +
            std::to_string(core.config.map_octets_max),
        "forget records, or raise store.map_octets_max in config.toml");
  }
  struct statvfs disk {};
  if (::statvfs(core.shared.env().dir().c_str(), &disk) == 0 &&
      disk.f_bavail * disk.f_frsize < disk_octets_low) {
    add(report, "disk_nearly_full", Urgency::warning,
        "the disk has " + std::to_string(disk.f_bavail * disk.f_frsize) + " octets left",
        "make room: a full disk refuses every write");
  }
  const std::uint64_t pending = core.shared.env().read(
      [](const lmdb::ReadTxn& txn) { return read_pending_state(txn).entries; });
  if (pending > pending_fold_max) {
    add(report, "index_pending", Urgency::notice,
        std::to_string(pending) + " entries of the element index are still in its list",
        "nothing: the next write folds them in");
  }
}

void check_peers(const Core& core, DoctorReport& report) {
  core.shared.read([&](const SharedReader& reader) {
    lmdb::Cursor cursor = reader.txn().cursor(table::peers);
    for (bool on = cursor.first(); on; on = cursor.next()) {
      const PeerRow row = decode_peer_row(cursor.value());
      std::uint64_t lag = 0;
      for (const auto& [segment, confirmed] : row.confirmed) {
        const std::uint64_t head = reader.segment(segment).state.head;
        lag += head - std::min(head, confirmed);
      }
      const bool is_unseen = core.now_ms() - row.last_seen_ms > peer_unseen_ms;
      if (is_unseen) {
        add(report, "peer_unseen", Urgency::notice,
            "peer " + row.name + " was not seen for more than a week, and lacks " +
                std::to_string(lag) + " changes",
            "nothing, if it is gone; else look why it does not sync");
      }
    }
    return 0;
  });
}

}  // namespace

void look_at_state(const Core& core, DoctorReport& report) {
  check_held(core, report);
  check_alarms(core, report);
  check_room(core, report);
  check_peers(core, report);
}

}  // namespace loam
