#include <algorithm>

#include "crdt/error.hpp"
#include "lib/field_name.hpp"
#include "lib/json_value.hpp"
#include "lib/packet.hpp"

namespace loam {
namespace {

[[noreturn]] void reject_json(const std::string& field, const std::string& why) {
  throw Error(ErrorCode::invalid, "packet: field " + field + ": " + why);
}

/// Takes the fields of one object by name; what is left at the end was unknown. One thread.
class Fields {
 public:
  Fields(Map map, std::string path) : map_(std::move(map)), path_(std::move(path)) {}

  std::string name(const char* field) const { return field_name(path_, field); }

  /// The value of a field; null when it is absent or JSON null.
  const Value* take(const char* field) {
    const Value* value = find(map_, field);
    if (!value) return nullptr;
    ++taken_;
    return value->is_nil() ? nullptr : value;
  }

  std::string text(const char* field) {
    const Value* value = take(field);
    if (!value) return {};
    const auto* found = value->get<std::string>();
    if (!found) reject_json(name(field), "not a text");
    return *found;
  }

  std::int64_t integer(const char* field) {
    const Value* value = take(field);
    if (!value) return 0;
    const auto* found = value->get<std::int64_t>();
    if (!found) reject_json(name(field), "not an integer of 64 bits");
    return *found;
  }

  Map map(const char* field) {
    const Value* value = take(field);
    if (!value) return {};
    const auto* found = value->get<Map>();
    if (!found) reject_json(name(field), "not an object");
    return *found;
  }

  std::vector<std::string> texts(const char* field) {
    const Value* value = take(field);
    if (!value) return {};
    const auto* list = value->get<Array>();
    if (!list) reject_json(name(field), "not a list");
    std::vector<std::string> found;
    for (std::size_t i = 0; i < list->size(); ++i) {
      const auto* entry = (*list)[i].get<std::string>();
      if (!entry) reject_json(name(field) + "[" + std::to_string(i) + "]", "not a text");
      found.push_back(*entry);
    }
    return found;
  }

  /// Throws unless every field was taken; `known` is what there may be.
  void end(std::initializer_list<const char*> known) const {
    if (taken_ == map_.size()) return;
    for (const auto& [key, value] : map_) {
      const bool is_known = std::find(known.begin(), known.end(), key) != known.end();
      if (!is_known) reject_json(field_name(path_, key), "no such field of the envelope");
    }
  }

 private:
  Map map_;
  std::string path_;
  std::size_t taken_ = 0;
};

// 32 hexadecimal digits, or the same as a UUID: 8-4-4-4-12.
std::optional<PacketId> id_of_hex(std::string text) {
  if (text.size() == 36) {
    for (const std::size_t at : {8U, 13U, 18U, 23U}) {
      if (text[at] != '-') return std::nullopt;
    }
    std::erase(text, '-');
  }
  const auto octets = from_hex(text);
  return octets ? PacketId::from(*octets) : std::nullopt;
}

std::optional<PacketId> packet_id(Fields& fields) {
  const std::string text = fields.text("packet_id");
  if (text.empty()) return std::nullopt;
  auto id = PacketId::parse(text);
  if (!id) id = id_of_hex(text);
  if (!id) reject_json("packet_id", "not 26 characters of base32, 32 hexadecimal digits or a UUID");
  return id;
}

std::optional<bool> shared(Fields& fields) {
  const Value* value = fields.take("shared");
  if (!value) return std::nullopt;
  const bool* found = value->get<bool>();
  if (!found) reject_json("shared", "not true or false");
  return *found;
}

PacketProvenance provenance(Map map) {
  Fields fields(std::move(map), "provenance");
  PacketProvenance found{.parent_packet = fields.text("parent_packet"),
                         .source = fields.text("source"),
                         .source_agent = fields.text("source_agent"),
                         .tool = fields.text("tool")};
  fields.end({"parent_packet", "source", "source_agent", "tool"});
  return found;
}

double score(Fields& fields) {
  const Value* value = fields.take("score");
  if (!value) reject_json("confidence.score", "missing");
  if (const auto* integer = value->get<std::int64_t>()) return static_cast<double>(*integer);
  const auto* real = value->get<double>();
  if (!real) reject_json("confidence.score", "not a number");
  return *real;
}

std::optional<Confidence> confidence(const Value* value) {
  if (!value) return std::nullopt;
  const auto* map = value->get<Map>();
  if (!map) reject_json("confidence", "not an object");
  Fields fields(*map, "confidence");
  Confidence found{.score = score(fields), .rationale = fields.text("rationale")};
  fields.end({"score", "rationale"});
  return found;
}

Lineage lineage(Map map) {
  Fields fields(std::move(map), "lineage");
  Lineage found{.parent_ids = fields.texts("parent_ids"),
                .derivation_type = fields.text("derivation_type"),
                .generation = fields.integer("generation")};
  fields.end({"parent_ids", "derivation_type", "generation"});
  return found;
}

}  // namespace

PacketEnvelope packet_from_map(Map map) {
  Fields fields(std::move(map), "");
  PacketEnvelope packet{.packet_id = packet_id(fields),
                        .packet_type = fields.text("packet_type"),
                        .segment = fields.text("segment"),
                        .shared = shared(fields),
                        .payload = fields.map("payload"),
                        .timestamp_ms = fields.integer("timestamp_ms"),
                        .metadata = fields.map("metadata"),
                        .provenance = provenance(fields.map("provenance")),
                        .confidence = confidence(fields.take("confidence")),
                        .thread_id = fields.text("thread_id"),
                        .lineage = lineage(fields.map("lineage")),
                        .tags = fields.texts("tags"),
                        .expires_at_ms = fields.integer("expires_at_ms")};
  fields.end({"packet_id", "packet_type", "segment", "shared", "payload", "timestamp_ms",
              "metadata", "provenance", "confidence", "thread_id", "lineage", "tags",
              "expires_at_ms"});
  return packet;
}

namespace {

// Names the packet rather than its notation.
[[noreturn]] void rethrow(const Error& error) {
  std::string why(error.message());
  if (why.starts_with("json: ")) why = "packet: " + why.substr(6);
  throw Error(error.code(), why);
}

Value parsed(std::string_view json) {
  try {
    return parse_json(json, {packet_json_octets_max, packet_json_depth_max});
  } catch (const Error& error) {
    rethrow(error);
  }
}

}  // namespace

PacketEnvelope packet_from_json(std::string_view json) {
  Value value = parsed(json);
  auto* map = std::get_if<Map>(&value.data);
  if (!map) throw Error(ErrorCode::invalid, "packet: not an object");
  return packet_from_map(std::move(*map));
}

}  // namespace loam
