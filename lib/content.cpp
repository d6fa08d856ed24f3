#include "lib/content.hpp"

#include <algorithm>
#include <set>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"

namespace loam {
namespace {

Array texts(const std::vector<std::string>& list) { return {list.begin(), list.end()}; }

void put_text(Map& map, const char* key, const std::string& text) {
  if (!text.empty()) map[key] = text;
}

Map provenance_map(const PacketProvenance& from) {
  Map map;
  put_text(map, "parent_packet", from.parent_packet);
  put_text(map, "source", from.source);
  put_text(map, "source_agent", from.source_agent);
  put_text(map, "tool", from.tool);
  return map;
}

Map lineage_map(const Lineage& from) {
  Map map;
  if (!from.parent_ids.empty()) map["parent_ids"] = texts(from.parent_ids);
  put_text(map, "derivation_type", from.derivation_type);
  if (from.generation != 0) map["generation"] = from.generation;
  return map;
}

Map meta_map(const PacketEnvelope& packet, const std::vector<ElementId>& supersedes) {
  Map meta;
  if (packet.timestamp_ms != 0) meta["at"] = packet.timestamp_ms;
  if (packet.confidence) {
    Map confidence{{"score", packet.confidence->score}};
    put_text(confidence, "rationale", packet.confidence->rationale);
    meta["confidence"] = std::move(confidence);
  }
  if (packet.expires_at_ms != 0) meta["expires"] = packet.expires_at_ms;
  if (Map lineage = lineage_map(packet.lineage); !lineage.empty()) {
    meta["lineage"] = std::move(lineage);
  }
  if (!packet.metadata.empty()) meta["metadata"] = packet.metadata;
  if (packet.packet_id) meta["packet"] = copy_of(packet.packet_id->view());
  if (Map provenance = provenance_map(packet.provenance); !provenance.empty()) {
    meta["provenance"] = std::move(provenance);
  }
  if (!supersedes.empty()) {
    Array ids;
    for (const ElementId& id : supersedes) ids.emplace_back(copy_of(id.view()));
    meta["supersedes"] = std::move(ids);
  }
  if (!packet.tags.empty()) meta["tags"] = texts(packet.tags);
  put_text(meta, "thread", packet.thread_id);
  return meta;
}

// Numbers come from other instances too: anything but an integer counts as absent.
std::int64_t integer_at(const Map& map, std::string_view key) {
  const Value* value = find(map, key);
  const auto* number = value ? value->get<std::int64_t>() : nullptr;
  return number ? *number : 0;
}

const Map& map_at(const Map& map, std::string_view key) {
  static const Map none;
  const Value* value = find(map, key);
  const Map* inner = value ? value->get<Map>() : nullptr;
  return inner ? *inner : none;
}

const Array& array_at(const Map& map, std::string_view key) {
  static const Array none;
  const Value* value = find(map, key);
  const Array* inner = value ? value->get<Array>() : nullptr;
  return inner ? *inner : none;
}

// What stands for the text of a record that has none.
std::string readable_text(const Map& payload) {
  for (const char* key : {"text", "description", "error_signature", "name", "title"}) {
    if (const auto text = text_at(payload, key); !text.empty()) return std::string(text);
  }
  return {};
}

void merge_meta(Record& record, std::set<std::string>& tags, std::set<std::string>& supersedes,
                const Map& meta, const RecordSource& source, Hlc stamp) {
  const std::int64_t said = integer_at(meta, "at");
  const std::int64_t at = said != 0 ? said : stamp.ms();
  if (record.provenance.empty()) record.metadata = map_at(meta, "metadata");
  record.created_ms = record.provenance.empty() ? at : std::min(record.created_ms, at);
  record.updated_ms = std::max(record.updated_ms, stamp.ms());
  for (const Value& tag : array_at(meta, "tags")) {
    if (const auto* text = tag.get<std::string>()) tags.insert(*text);
  }
  for (const Value& id : array_at(meta, "supersedes")) {
    const auto* octets = id.get<Bytes>();
    const auto element = octets ? ElementId::from(*octets) : std::nullopt;
    if (element) supersedes.insert(element->text());
  }
  const Map& provenance = map_at(meta, "provenance");
  std::string origin(text_at(provenance, "source"));
  if (origin.empty()) origin = text_at(provenance, "source_agent");
  record.provenance.push_back(
      {source.author, at, std::string(text_at(map_at(meta, "metadata"), "agent")), origin});
  if (const auto thread = text_at(meta, "thread"); !thread.empty()) record.thread_id = thread;
  const Map& confidence = map_at(meta, "confidence");
  if (const Value* score = find(confidence, "score")) {
    const double* number = score->get<double>();
    if (number) record.confidence = {*number, std::string(text_at(confidence, "rationale"))};
  }
}

}  // namespace

std::string_view default_type(std::string_view segment) noexcept {
  if (segment == "lessons_learned") return "lesson";
  if (segment == "org_patterns") return "pattern";
  if (segment == "common_failures") return "failure";
  if (segment == "project_history") return "event";
  if (segment == "task_traces") return "trace";
  return "record";
}

PacketParts parts_of(const PacketEnvelope& packet, const Segment& segment,
                     const std::vector<ElementId>& supersedes) {
  const bool names_segment = packet.packet_type.rfind("memory_", 0) == 0;
  const std::string type =
      names_segment ? std::string(default_type(segment.name)) : packet.packet_type;
  PacketParts parts{encode(Map{{"payload", packet.payload}, {"type", type}}),
                    encode(meta_map(packet, supersedes))};
  const Bytes whole = encode(SetRecord{Hlc{~std::uint64_t{0}}, parts.content, parts.meta});
  if (whole.size() > record_octets_max) {
    throw Error(ErrorCode::limit, "record: " + std::to_string(whole.size()) + " octets, limit " +
                                      std::to_string(record_octets_max));
  }
  return parts;
}

Bytes value_octets(const Value& value) {
  Bytes octets = encode(value);
  check_canonical(octets);
  const std::size_t whole = octets.size() + key_octets_max + 32;
  if (whole > record_octets_max) {
    throw Error(ErrorCode::limit, "value: " + std::to_string(octets.size()) + " octets, limit " +
                                      std::to_string(record_octets_max - key_octets_max - 32));
  }
  return octets;
}

PacketEnvelope packet_of(const NewRecord& record, const Segment& segment) {
  PacketEnvelope packet;
  packet.packet_type = record.type.empty() ? std::string(default_type(segment.name)) : record.type;
  packet.segment = segment.name;
  packet.payload = record.payload;
  put_text(packet.payload, "text", record.text);
  put_text(packet.payload, "title", record.title);
  const char* required = packet.packet_type == "pattern"   ? "name"
                         : packet.packet_type == "failure" ? "error_signature"
                                                           : nullptr;
  if (required != nullptr && find(packet.payload, required) == nullptr) {
    put_text(packet.payload, required, record.title.empty() ? record.text : record.title);
  }
  put_text(packet.metadata, "agent", record.agent);
  packet.provenance.source = record.source;
  packet.thread_id = record.thread_id;
  packet.tags = record.tags;
  packet.confidence = record.confidence;
  packet.expires_at_ms = record.expires_at_ms;
  return packet;
}

PacketEnvelope revised_packet(const Record& record, std::string_view text) {
  PacketEnvelope packet;
  packet.packet_type = record.type;
  packet.segment = record.segment;
  packet.payload = record.payload;
  packet.payload["text"] = text;
  packet.tags = record.tags;
  packet.thread_id = record.thread_id;
  packet.confidence = record.confidence;
  packet.expires_at_ms = record.expires_at_ms;
  return packet;
}

Record merge_record(const std::string& segment, const std::string& id,
                    const std::vector<RecordSource>& sources) {
  std::vector<std::pair<SetRecord, const RecordSource*>> versions;
  for (const RecordSource& source : sources) {
    versions.emplace_back(decode_set_record(source.record), &source);
  }
  std::sort(versions.begin(), versions.end(), [](const auto& left, const auto& right) {
    return std::tie(left.first.stamp, left.second->record) <
           std::tie(right.first.stamp, right.second->record);
  });
  Record record;
  record.segment = segment;
  record.id = id;
  const Value content = decode(versions.front().first.content);
  record.type = content.text("type");
  if (const Value* payload = content.find("payload"); payload && payload->get<Map>()) {
    record.payload = *payload->get<Map>();
  }
  record.text = readable_text(record.payload);
  record.title = text_at(record.payload, "title");
  std::set<std::string> tags;
  std::set<std::string> supersedes;
  std::set<std::string> authors;
  std::set<InstanceId> author_ids;
  bool expires = true;
  for (const auto& [version, source] : versions) {
    const Value meta = decode(version.meta);
    const Map& map = *meta.get<Map>();
    merge_meta(record, tags, supersedes, map, *source, version.stamp);
    const std::int64_t until = integer_at(map, "expires");
    expires = expires && until != 0;  // one author without an end keeps it
    record.expires_at_ms = std::max(record.expires_at_ms, until);
    authors.insert(source->author);
    author_ids.insert(source->author_id);
  }
  if (!expires) record.expires_at_ms = 0;
  record.tags.assign(tags.begin(), tags.end());
  record.supersedes.assign(supersedes.begin(), supersedes.end());
  record.authors.assign(authors.begin(), authors.end());
  record.support = author_ids.size();
  return record;
}

}  // namespace loam
