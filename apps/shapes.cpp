#include "apps/shapes.hpp"

#include <boost/json/value.hpp>

#include "apps/text.hpp"
#include "lib/json_value.hpp"

namespace loam::cli {
namespace {

namespace json = boost::json;

json::string_view view(std::string_view text) { return {text.data(), text.size()}; }

json::value shape_or_null(const std::optional<Confidence>& confidence) {
  if (!confidence) return nullptr;
  return json::object{{"score", confidence->score}, {"rationale", confidence->rationale}};
}

json::object shape(const Provenance& provenance) {
  return {{"author", provenance.author},
          {"at_ms", provenance.at_ms},
          {"agent", provenance.agent},
          {"source", provenance.source}};
}

json::object shape(const Coverage& coverage) {
  return {{"partial", coverage.partial},
          {"unreachable", to_json(coverage.unreachable)},
          {"peers_total", coverage.peers_total},
          {"peers_current", coverage.peers_current},
          {"oldest_peer_age_ms", coverage.oldest_peer_age_ms},
          {"unindexed", coverage.unindexed},
          {"damaged", coverage.damaged}};
}

json::object shape(const SegmentStatus& segment) {
  return {{"scope", view(scope_name(segment.scope))},
          {"kind", view(kind_name(segment.kind))},
          {"records", segment.records},
          {"bytes", segment.bytes}};
}

json::object shape(const SegmentTraffic& traffic) {
  return {{"sent", traffic.sent},
          {"received", traffic.received},
          {"removed", traffic.removed},
          {"refused", traffic.refused},
          {"parked", traffic.parked},
          {"held", traffic.held}};
}

json::object shape(const PeerReport& peer) {
  json::object segments;
  for (const auto& [segment, traffic] : peer.segments) segments[segment] = shape(traffic);
  json::object out{{"endpoint", peer.endpoint},
                   {"name", peer.name},
                   {"ok", peer.ok},
                   {"error", peer.error},
                   {"converged", peer.converged}};
  if (!peer.ok) out["code"] = view(code_name(peer.code));
  out["round_trips"] = peer.round_trips;
  out["bytes_sent"] = peer.bytes_sent;
  out["bytes_received"] = peer.bytes_received;
  out["segments"] = std::move(segments);
  return out;
}

}  // namespace

json::object shape(const PeerStatus& peer) {
  json::object lag;
  for (const auto& [segment, changes] : peer.lag) lag[segment] = changes;
  json::object refused;
  for (const auto& [segment, records] : peer.refused) refused[segment] = records;
  return {{"name", peer.name},
          {"id", peer.id},
          {"endpoint", peer.endpoint},
          {"linked", peer.linked},
          {"last_seen_ms", peer.last_seen_ms},
          {"lag", std::move(lag)},
          {"refused", std::move(refused)}};
}

json::object shape(const HeldRemoval& removal) {
  return {{"peer", removal.peer},
          {"segment", removal.segment},
          {"records", removal.records},
          {"at_ms", removal.at_ms}};
}

json::array to_json(const std::vector<std::string>& texts) {
  json::array out;
  for (const auto& text : texts) out.emplace_back(text);
  return out;
}

json::value cursor_shape(const std::optional<std::string>& cursor) {
  if (!cursor) return nullptr;
  return json::string(*cursor);
}

std::string fingerprint_of(const Identity& identity) {
  const std::string hex = to_hex(identity.id.view());
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 4) {
    if (i > 0) out += ' ';
    out += hex.substr(i, 4);
  }
  return out;
}

json::object shape(const Identity& identity) {
  return {{"name", identity.name},
          {"id", identity.id.text()},
          {"federation", identity.federation.text()},
          {"public_key", identity.public_key},
          {"fingerprint", fingerprint_of(identity)}};
}

json::object shape(const Member& member) {
  json::object permissions;
  for (const auto& [segment, letters] : member.permissions) permissions[segment] = letters;
  json::array endpoints;
  for (const auto& endpoint : member.endpoints) endpoints.push_back(json::string(endpoint));
  return {{"name", member.name},   {"id", member.id},
          {"public_key", member.public_key}, {"role", member.role},
          {"status", member.status}, {"voter", member.voter},
          {"permissions", std::move(permissions)}, {"endpoints", std::move(endpoints)}};
}

json::object shape(const Receipt& receipt) {
  return {{"id", receipt.id},
          {"segment", receipt.segment},
          {"scope", view(scope_name(receipt.scope))},
          {"target", view(target_name(receipt.target))},
          {"existing", receipt.existing}};
}

json::object shape(const Record& record) {
  json::array provenance;
  for (const auto& word : record.provenance) provenance.push_back(shape(word));
  return {{"id", record.id},
          {"segment", record.segment},
          {"type", record.type},
          {"text", record.text},
          {"title", record.title},
          {"payload", to_json(record.payload)},
          {"tags", to_json(record.tags)},
          {"authors", to_json(record.authors)},
          {"support", record.support},
          {"created_ms", record.created_ms},
          {"updated_ms", record.updated_ms},
          {"expires_at_ms", record.expires_at_ms},
          {"retracted", record.retracted},
          {"supersedes", to_json(record.supersedes)},
          {"provenance", std::move(provenance)},
          {"thread_id", record.thread_id},
          {"confidence", shape_or_null(record.confidence)}};
}

json::object shape(const RecallResult& result) {
  json::array items;
  for (const auto& hit : result.items) {
    items.push_back(json::object{
        {"score", hit.score}, {"record", shape(hit.record)}, {"why", to_json(hit.why)}});
  }
  return {{"items", std::move(items)},
          {"next", cursor_shape(result.next)},
          {"coverage", shape(result.coverage)}};
}

json::object head_shape(const Entry& entry) {
  return {{"value", entry.value ? to_json(*entry.value) : json::value(nullptr)},
          {"author", entry.author},
          {"at_ms", entry.at_ms}};
}

json::object shape(const Entry& entry) {
  json::object out{{"segment", entry.segment}, {"key", entry.key}};
  for (auto& [name, value] : head_shape(entry)) out[name] = std::move(value);
  return out;
}

json::object shape(const KeyPage& page) {
  return {{"items", to_json(page.items)}, {"next", cursor_shape(page.next)}};
}

json::object shape(const TargetBackend& target) {
  return {{"kind", view(target_name(target.kind))},
          {"segment", target.segment},
          {"instance", target.instance}};
}

json::object shape(const Status& status) {
  json::object segments;
  for (const auto& [name, segment] : status.segments) segments[name] = shape(segment);
  json::array peers;
  for (const auto& peer : status.peers) peers.push_back(shape(peer));
  json::array alarms;
  for (const auto& alarm : status.alarms) {
    alarms.push_back({{"text", as_utf8(alarm.text)},
                      {"first_ms", alarm.first_ms},
                      {"last_ms", alarm.last_ms},
                      {"count", alarm.count}});
  }
  return {{"name", status.identity.name},
          {"id", status.identity.id.text()},
          {"federation", status.identity.federation.text()},
          {"segments", std::move(segments)},
          {"peers", std::move(peers)},
          {"voters", shape(status.voters)},
          {"alarms", std::move(alarms)}};
}

json::object shape(const SyncReport& report) {
  json::array peers;
  for (const auto& peer : report.peers) peers.push_back(shape(peer));
  json::object out{{"peers", std::move(peers)}, {"converged", report.converged}};
  if (!report.strong) return out;
  json::object votes;
  for (const auto& [name, vote] : report.strong->votes) votes[name] = vote;
  out["strong"] = {{"done", report.strong->done},     {"rounds", report.strong->rounds},
                   {"epoch", report.strong->epoch},   {"votes", std::move(votes)},
                   {"sealed", report.strong->sealed}, {"error", report.strong->error}};
  return out;
}

json::object shape(const VoterStatus& voters) {
  return {{"epoch", voters.epoch}, {"sealed", voters.sealed}, {"disputed", voters.disputed},
          {"names", to_json(voters.voters)}, {"lost", to_json(voters.lost)}};
}

json::object shape(const Change& change) {
  return {{"segment", change.segment}, {"ids", to_json(change.ids)}, {"removed", change.removed}};
}

}  // namespace loam::cli
