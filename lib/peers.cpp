#include "lib/peers.hpp"

#include <algorithm>

#include "lib/lookup.hpp"

namespace loam {

std::vector<std::string> known_endpoints(const Core& core) {
  std::vector<std::string> found = core.config.endpoints;
  const Segment& registry = core.segments.find(registry_segment);
  for (const std::string& id : list_keys(core, registry, {}, 10'000).items) {
    if (id == core.identity.id.text()) continue;
    const auto entries = read_entries(core, registry, id);
    if (entries.empty() || !entries.front().value) continue;
    const Value* endpoints = entries.front().value->find("endpoints");
    const Array* list = endpoints ? endpoints->get<Array>() : nullptr;
    if (!list) continue;
    for (const Value& endpoint : *list) {
      const auto* text = endpoint.get<std::string>();
      if (text && std::find(found.begin(), found.end(), *text) == found.end()) {
        found.push_back(*text);
      }
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
  for (const auto& [name, tally] : report.segments) {
    out.segments[name] = {tally.sent, tally.received, tally.removed, tally.refused, tally.held};
  }
  return out;
}

PeerRow peer_row(const Core& core, const Hello& peer, const std::string& endpoint,
                 const SessionReport& report) {
  PeerRow row{peer.name, peer.instance, endpoint, core.now_ms(), {}};
  for (const auto& [segment, lag] : report.lag) {
    const SegmentNumber number = core.shared.number(segment);
    const std::uint64_t head = core.shared.read(
        [&](const SharedReader& reader) { return reader.segment(number).state.head; });
    row.confirmed.emplace_back(number, head - std::min(head, lag));
  }
  return row;
}

}  // namespace loam
