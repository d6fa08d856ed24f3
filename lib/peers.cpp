#include "lib/peers.hpp"

#include <algorithm>

#include "lib/lookup.hpp"

namespace loam {

std::vector<std::string> known_endpoints(const Core& core) {
  std::vector<std::string> found = core.config.endpoints;
  const auto registry = core.shared.registry();
  if (!registry) return found;
  for (const auto& [id, entry] : registry->instances()) {
    if (id == core.identity.id || entry.status != InstanceStatus::active) continue;
    for (const std::string& endpoint : entry.endpoints) {
      if (std::find(found.begin(), found.end(), endpoint) == found.end()) found.push_back(endpoint);
    }
  }
  return found;
}

std::vector<KnownPeer> known_peers(const SharedReader& reader) {
  std::vector<KnownPeer> peers;
  lmdb::Cursor cursor = reader.txn().cursor(table::peers);
  for (bool on = cursor.first(); on; on = cursor.next()) {
    const auto store = StoreId::from(cursor.key());
    if (!store) throw Error(ErrorCode::damaged, "table peers: a key does not decode");
    peers.push_back({*store, decode_peer_row(cursor.value())});
  }
  return peers;
}

PeerReport report_of(const std::string& endpoint, const SessionReport& report) {
  PeerReport out;
  out.endpoint = endpoint;
  if (report.peer) out.name = report.peer->name;
  out.ok = report.peer && report.problem.empty() && !report.untrusted;
  out.converged = out.ok && report.converged;
  if (!out.ok) out.error = report.problem.empty() ? "no answer" : report.problem;
  out.code = report.untrusted ? ErrorCode::untrusted
             : report.holding ? ErrorCode::failed
                              : ErrorCode::unavailable;
  out.round_trips = report.round_trips;
  out.bytes_sent = report.octets_sent;
  out.bytes_received = report.octets_received;
  out.bytes_opening = report.octets_opening;
  for (const auto& [name, tally] : report.segments) {
    out.segments[name] = {tally.sent, tally.received, tally.removed, tally.refused, tally.parked, tally.held};
  }
  return out;
}

std::map<SegmentNumber, std::uint64_t> refused_since(const Core& core, const Tallies& earlier, const Tallies& now) {
  std::map<SegmentNumber, std::uint64_t> refused;
  for (const auto& [segment, tally] : now) {
    const auto before = earlier.find(segment);
    const std::uint64_t known = before == earlier.end() ? 0 : before->second.refused;
    if (tally.refused > known) refused[core.shared.number(segment)] = tally.refused - known;
  }
  return refused;
}

PeerRow peer_row(const Core& core, const Hello& peer, const std::string& endpoint,
                 const SessionReport& report) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();  // as links tell sessions the time
  const auto silence = std::chrono::duration_cast<Time>(now) - report.last_received;
  PeerRow row{peer.name, peer.instance, endpoint, core.now_ms() - std::max<std::int64_t>(0, silence.count()), {}, {}};
  for (const auto& [segment, lag] : report.lag) {
    const SegmentNumber number = core.shared.number(segment);
    const std::uint64_t head = core.shared.read(
        [&](const SharedReader& reader) { return reader.segment(number).state.head; });
    row.confirmed.emplace_back(number, head - std::min(head, lag));
  }
  return row;
}

}  // namespace loam
