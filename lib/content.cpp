#include "lib/content.hpp"

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <set>

#include "crdt/checked_reader.hpp"
#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "crdt/map_writer.hpp"

namespace loam {
namespace {

void put_text(Map& map, const char* key, const std::string& text) {
  if (!text.empty()) map[key] = text;
}

void put_text(MapWriter& map, std::string_view key, const std::string& text) {
  if (!text.empty()) map.text(key, text);
}

void put_texts(MapWriter& map, std::string_view key, const std::vector<std::string>& texts) {
  if (texts.empty()) return;
  Writer& list = map.entry(key).array(texts.size());
  for (const std::string& text : texts) list.text(text);
}

void put_map(MapWriter& map, std::string_view key, const MapWriter& inner) {
  if (!inner.empty()) map.encoded(key, inner.octets());
}

void put_confidence(MapWriter& map, std::string_view key, const Confidence& confidence) {
  MapWriter inner;
  put_text(inner, "rationale", confidence.rationale);
  inner.entry("score").real(confidence.score);
  put_map(map, key, inner);
}

void put_lineage(MapWriter& map, std::string_view key, const Lineage& from) {
  MapWriter inner;
  put_text(inner, "derivation_type", from.derivation_type);
  if (from.generation != 0) inner.entry("generation").integer(from.generation);
  put_texts(inner, "parent_ids", from.parent_ids);
  put_map(map, key, inner);
}

void put_provenance(MapWriter& map, std::string_view key, const PacketProvenance& from) {
  MapWriter inner;
  put_text(inner, "parent_packet", from.parent_packet);
  put_text(inner, "source", from.source);
  put_text(inner, "source_agent", from.source_agent);
  put_text(inner, "tool", from.tool);
  put_map(map, key, inner);
}

// What is absent has no entry.
Bytes meta_octets(const PacketEnvelope& packet, const std::vector<ElementId>& supersedes) {
  MapWriter meta;
  if (packet.timestamp_ms != 0) meta.entry("at").integer(packet.timestamp_ms);
  if (packet.confidence) put_confidence(meta, "confidence", *packet.confidence);
  if (packet.expires_at_ms != 0) meta.entry("expires").integer(packet.expires_at_ms);
  put_lineage(meta, "lineage", packet.lineage);
  if (!packet.metadata.empty()) meta.encoded("metadata", encode(packet.metadata));
  if (packet.packet_id) meta.entry("packet").octets(packet.packet_id->view());
  put_provenance(meta, "provenance", packet.provenance);
  if (!supersedes.empty()) {
    Writer& list = meta.entry("supersedes").array(supersedes.size());
    for (const ElementId& id : supersedes) list.octets(id.view());
  }
  put_texts(meta, "tags", packet.tags);
  put_text(meta, "thread", packet.thread_id);
  return meta.octets();
}

// What other instances wrote may be of any type: what is of another than expected counts as absent.

std::int64_t take_integer(CheckedReader& reader) {
  const Value value = reader.value();
  const auto* number = value.get<std::int64_t>();
  return number ? *number : 0;
}

std::string_view take_text(CheckedReader& reader) {
  if (reader.is_text()) return reader.text();
  reader.skip();
  return {};
}

template <class Each>
void take_entries(CheckedReader& reader, Each&& each) {
  reader.is_map() ? each_entry(reader, each) : reader.skip();
}

template <class Each>
void take_items(CheckedReader& reader, Each&& each) {
  if (!reader.is_array()) return reader.skip();
  for (std::size_t left = reader.array(); left > 0; --left) each(reader);
}

// What stands for the text of a record that has none.
std::string readable_text(const Map& payload) {
  for (const char* key : {"text", "description", "error_signature", "name", "title"}) {
    if (const auto text = text_at(payload, key); !text.empty()) return std::string(text);
  }
  return {};
}

// Of the versions merged so far.
struct Merged {
  std::set<std::string> supersedes;
  std::vector<InstanceId> author_ids;
  bool expires = true;
};

void merge_meta(Record& record, Merged& merged, BytesView meta, const RecordSource& source,
                Hlc stamp) {
  const bool is_first = record.provenance.empty();
  std::int64_t said = 0;
  std::int64_t until = 0;
  Provenance& from = record.provenance.emplace_back();
  from.author = source.author;
  std::string_view source_agent;
  CheckedReader reader(meta);
  each_entry(reader, [&](std::string_view key, CheckedReader& at) {
    if (key == "at") {
      said = take_integer(at);
    } else if (key == "expires") {
      until = take_integer(at);
    } else if (key == "thread") {
      if (const auto thread = take_text(at); !thread.empty()) record.thread_id = thread;
    } else if (key == "tags") {
      take_items(at, [&](CheckedReader& item) {
        if (item.is_text()) return void(record.tags.emplace_back(item.text()));
        item.skip();
      });
    } else if (key == "supersedes") {
      take_items(at, [&](CheckedReader& item) {
        if (!item.is_octets()) return item.skip();
        if (const auto element = ElementId::from(item.octets())) merged.supersedes.insert(element->text());
      });
    } else if (key == "metadata" && at.is_map()) {
      CheckedReader inner = at;
      each_entry(inner, [&](std::string_view name, CheckedReader& value) {
        name == "agent" ? void(from.agent = take_text(value)) : value.skip();
      });
      is_first ? void(record.metadata = std::get<Map>(at.value().data)) : at.skip();
    } else if (key == "provenance") {
      take_entries(at, [&](std::string_view name, CheckedReader& value) {
        if (name == "source") {
          from.source = take_text(value);
        } else if (name == "source_agent") {
          source_agent = take_text(value);
        } else {
          value.skip();
        }
      });
    } else if (key == "confidence" && at.is_map()) {
      const Value confidence = at.value();
      const Value* score = confidence.find("score");
      const double* number = score ? score->get<double>() : nullptr;
      if (number) record.confidence = {*number, std::string(confidence.text("rationale"))};
    } else {
      at.skip();
    }
  });
  if (from.source.empty()) from.source = source_agent;
  from.at_ms = said != 0 ? said : stamp.ms();
  record.created_ms = is_first ? from.at_ms : std::min(record.created_ms, from.at_ms);
  record.updated_ms = std::max(record.updated_ms, stamp.ms());
  record.expires_at_ms = std::max(record.expires_at_ms, until);
  merged.expires = merged.expires && until != 0;  // one author without an end keeps it
}

template <class T>
void sort_unique(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
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
  MapWriter content;
  content.encoded("payload", encode(packet.payload));
  content.text("type", names_segment ? default_type(segment.name) : std::string_view(packet.packet_type));
  PacketParts parts{content.octets(), meta_octets(packet, supersedes)};
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

Record merge_record(const std::string& segment, std::string id,
                    std::span<const RecordSource> sources) {
  using Version = std::pair<SetRecordView, const RecordSource*>;
  boost::container::small_vector<Version, 1> versions;
  for (const RecordSource& source : sources) {
    versions.emplace_back(view_set_record(source.record), &source);
  }
  std::sort(versions.begin(), versions.end(), [](const Version& left, const Version& right) {
    if (left.first.stamp != right.first.stamp) return left.first.stamp < right.first.stamp;
    return std::lexicographical_compare(
        left.second->record.begin(), left.second->record.end(), right.second->record.begin(),
        right.second->record.end());
  });
  Record record;
  record.segment = segment;
  record.id = std::move(id);
  CheckedReader content(versions.front().first.content);
  each_entry(content, [&](std::string_view key, CheckedReader& at) {
    if (key == "type") {
      record.type = take_text(at);
    } else if (key == "payload" && at.is_map()) {
      record.payload = std::get<Map>(at.value().data);
    } else {
      at.skip();
    }
  });
  record.text = readable_text(record.payload);
  record.title = text_at(record.payload, "title");
  Merged merged;
  for (const auto& [version, source] : versions) {
    merge_meta(record, merged, version.meta, *source, version.stamp);
    record.authors.emplace_back(source->author);
    merged.author_ids.push_back(source->author_id);
  }
  if (!merged.expires) record.expires_at_ms = 0;
  sort_unique(record.tags);
  sort_unique(record.authors);
  sort_unique(merged.author_ids);
  record.supersedes.assign(merged.supersedes.begin(), merged.supersedes.end());
  record.support = merged.author_ids.size();
  return record;
}

}  // namespace loam
