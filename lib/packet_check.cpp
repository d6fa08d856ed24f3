#include <algorithm>
#include <cmath>
#include <span>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "crdt/record.hpp"
#include "lib/field_name.hpp"
#include "lib/packet.hpp"

namespace loam {
namespace {

[[noreturn]] void reject(const std::string& field, const std::string& why) {
  throw Error(ErrorCode::invalid, "field " + field + ": " + why);
}

[[noreturn]] void over(const std::string& field, std::size_t size, const char* unit,
                       std::size_t limit) {
  throw Error(ErrorCode::limit, "field " + field + ": " + std::to_string(size) + " " + unit +
                                    ", limit " + std::to_string(limit));
}

// Unicode code points of well-formed UTF-8: every octet that continues none.
std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

void check_text(const std::string& field, std::string_view text,
                std::size_t limit = text_characters_max) {
  if (!is_utf8(text)) reject(field, "not UTF-8");
  if (text.size() <= limit) return;
  if (const auto size = characters(text); size > limit) over(field, size, "characters", limit);
}

/// Walks one map of the envelope, checks every text and number, and counts. One thread.
class Walk {
 public:
  /// `name` is what the map is called; its fields are named without it when `is_payload`.
  Walk(std::string name, bool is_payload) : name_(std::move(name)), is_payload_(is_payload) {}

  void check(const Map& map) {
    visit(map, is_payload_ ? "" : name_, 1);
    if (elements_ > payload_elements_max) over(name_, elements_, "elements", payload_elements_max);
    // The encoding is made only when the bound says that it might be too large.
    if (octets_bound_ <= record_octets_max) return;
    if (const auto size = encode(map).size(); size > record_octets_max) {
      over(name_, size, "octets", record_octets_max);
    }
  }

 private:
  static constexpr std::size_t header_octets_max = 9;

  void visit(const Value& value, const std::string& path, std::size_t depth) {
    octets_bound_ += header_octets_max;
    if (const auto* text = value.get<std::string>()) {
      octets_bound_ += text->size();
      check_text(path, *text);
    } else if (const auto* octets = value.get<Bytes>()) {
      octets_bound_ += octets->size();
    } else if (const auto* real = value.get<double>()) {
      if (!std::isfinite(*real)) reject(path, "not a finite number");
    } else if (const auto* array = value.get<Array>()) {
      visit(*array, path, depth + 1);
    } else if (const auto* map = value.get<Map>()) {
      visit(*map, path, depth + 1);
    }
  }

  void visit(const Array& array, const std::string& path, std::size_t depth) {
    enter(path, array.size(), depth);
    for (std::size_t i = 0; i < array.size(); ++i) {
      visit(array[i], path + "[" + std::to_string(i) + "]", depth);
    }
  }

  void visit(const Map& map, const std::string& path, std::size_t depth) {
    enter(path.empty() ? name_ : path, map.size(), depth);
    for (const auto& [key, value] : map) {
      const std::string field = field_name(path, key);
      octets_bound_ += header_octets_max + key.size();
      check_text(field, key);
      visit(value, field, depth);
    }
  }

  void enter(const std::string& path, std::size_t size, std::size_t depth) {
    if (depth > payload_depth_max) {
      throw Error(ErrorCode::limit,
                  "field " + path + ": nested deeper than " + std::to_string(payload_depth_max));
    }
    if (size > payload_container_max) over(path, size, "elements", payload_container_max);
    elements_ += size;
  }

  std::string name_;
  bool is_payload_;
  std::size_t elements_ = 0;
  std::size_t octets_bound_ = header_octets_max;
};

enum class Shape { text, texts };

struct TypedField {
  std::string_view name;
  Shape shape = Shape::text;
};

void check_shape(const std::string& path, const Value& value, Shape shape) {
  if (value.is_nil()) return;  // hosts write an absent field as null
  if (shape == Shape::text) {
    if (!value.get<std::string>()) reject(path, "not a text");
    return;
  }
  const Array* list = value.get<Array>();
  const bool is_list_of_texts =
      list && std::all_of(list->begin(), list->end(),
                          [](const Value& entry) { return entry.get<std::string>() != nullptr; });
  if (!is_list_of_texts) reject(path, "not a list of texts");
}

void check_fields(const std::string& path, const Map& map, std::span<const TypedField> fields) {
  for (const TypedField& field : fields) {
    const Value* value = find(map, field.name);
    if (value) check_shape(field_name(path, field.name), *value, field.shape);
  }
}

void check_lesson(const Map& payload) {
  static constexpr TypedField fields[] = {{"title"},
                                          {"text"},
                                          {"problem"},
                                          {"solution"},
                                          {"outcome"},
                                          {"severity"},
                                          {"steps", Shape::texts}};
  static constexpr TypedField trigger_fields[] = {
      {"error_signature"}, {"tools", Shape::texts}, {"keywords", Shape::texts}};
  check_fields("", payload, fields);
  if (const Value* trigger = find(payload, "trigger"); trigger && !trigger->is_nil()) {
    const Map* map = trigger->get<Map>();
    if (!map) reject("trigger", "not a map");
    check_fields("trigger", *map, trigger_fields);
  }
  if (text_at(payload, "title").empty() && text_at(payload, "text").empty()) {
    reject("payload", "a lesson needs a title or a text");
  }
}

void check_pattern(const Map& payload) {
  static constexpr TypedField fields[] = {{"name"},
                                          {"title"},
                                          {"text"},
                                          {"description"},
                                          {"preconditions", Shape::texts},
                                          {"steps", Shape::texts},
                                          {"anti_patterns", Shape::texts}};
  check_fields("", payload, fields);
  if (text_at(payload, "name").empty()) reject("name", "missing, a pattern needs one");
}

void check_failure(const Map& payload) {
  static constexpr TypedField fields[] = {{"error_signature"},  {"title"},          {"text"},
                                          {"incorrect_action"}, {"correct_action"}, {"prevention"},
                                          {"severity"}};
  check_fields("", payload, fields);
  if (text_at(payload, "error_signature").empty()) {
    reject("error_signature", "missing, a failure needs one");
  }
}

void check_type(const std::string& type) {
  if (type.empty()) reject("packet_type", "missing");
  if (type.size() > packet_type_octets_max) {
    over("packet_type", type.size(), "octets", packet_type_octets_max);
  }
  const bool is_plain = std::all_of(type.begin(), type.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (!is_plain) reject("packet_type", "only a-z, 0-9 and _ are allowed");
}

void check_tags(const std::vector<std::string>& tags) {
  if (tags.size() > tags_max) over("tags", tags.size(), "tags", tags_max);
  for (std::size_t i = 0; i < tags.size(); ++i) {
    const std::string field = "tags[" + std::to_string(i) + "]";
    if (tags[i].empty()) reject(field, "empty");
    check_text(field, tags[i], tag_characters_max);
  }
}

void check_confidence(const Confidence& confidence) {
  // Written so that NaN fails.
  if (!(confidence.score >= 0 && confidence.score <= 1)) {
    reject("confidence.score", "not a number from 0 to 1");
  }
  check_text("confidence.rationale", confidence.rationale);
}

void check_origin(const PacketEnvelope& packet) {
  check_text("provenance.parent_packet", packet.provenance.parent_packet);
  check_text("provenance.source", packet.provenance.source);
  check_text("provenance.source_agent", packet.provenance.source_agent);
  check_text("provenance.tool", packet.provenance.tool);
  const Lineage& lineage = packet.lineage;
  if (lineage.parent_ids.size() > payload_container_max) {
    over("lineage.parent_ids", lineage.parent_ids.size(), "elements", payload_container_max);
  }
  for (const std::string& parent : lineage.parent_ids) check_text("lineage.parent_ids", parent);
  check_text("lineage.derivation_type", lineage.derivation_type);
  if (lineage.generation < 0) reject("lineage.generation", "negative");
  if (!is_utf8(packet.thread_id)) reject("thread_id", "not UTF-8");
  if (packet.thread_id.size() > thread_id_octets_max) {
    over("thread_id", packet.thread_id.size(), "octets", thread_id_octets_max);
  }
}

}  // namespace

void check_packet(const PacketEnvelope& packet, const Segment& segment) {
  check_type(packet.packet_type);
  if (packet.expires_at_ms < 0) reject("expires_at_ms", "negative");
  check_tags(packet.tags);
  check_origin(packet);
  if (packet.confidence) check_confidence(*packet.confidence);
  Walk("metadata", false).check(packet.metadata);
  Walk("payload", true).check(packet.payload);
  if (packet.packet_type == "lesson") check_lesson(packet.payload);
  if (packet.packet_type == "pattern") check_pattern(packet.payload);
  if (packet.packet_type == "failure") check_failure(packet.payload);
  if (segment.kind == Kind::map) (void)map_payload(packet);
}

}  // namespace loam
