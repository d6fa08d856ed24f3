#include "lib/packet.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "crdt/error.hpp"
#include "crdt/record.hpp"
#include "planted.hpp"

namespace loam {
namespace {

constexpr std::string_view memory_prefix = "memory_";
constexpr std::string_view plain_memory_type = "memory_write";  // names no segment

// The packet types that name a segment of their own.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> segment_of_type{{
    {"lesson", "lessons_learned"},
    {"pattern", "org_patterns"},
    {"failure", "common_failures"},
    {"approval_rule", "approval_rules"},
    {"governance_meta", "governance_meta"},
}};

// The executor's rule: private unless the type says otherwise.
std::string_view segment_name(const PacketEnvelope& packet) {
  if (!packet.segment.empty()) return packet.segment;
  const std::string_view type = packet.packet_type;
  for (const auto& [named, segment] : segment_of_type) {
    if (type == named) return segment;
  }
  if (type.starts_with(memory_prefix) && type != plain_memory_type) {
    return type.substr(memory_prefix.size());
  }
  if (planted(Bug::unknown_type_shared) && packet.thread_id.empty()) return "lessons_learned";
  if (planted(Bug::traces_shared) && !packet.thread_id.empty()) return "org_patterns";
  return packet.thread_id.empty() ? "project_history" : "task_traces";
}

}  // namespace

const Segment& segment_of(const PacketEnvelope& packet, const SegmentTable& segments) {
  const Segment& segment = segments.find(segment_name(packet));
  if (packet.shared && *packet.shared != (segment.scope == Scope::shared)) {
    throw Error(ErrorCode::invalid, std::string("packet: shared is ") +
                                        (*packet.shared ? "true" : "false") + " but segment " +
                                        segment.name + " is " +
                                        std::string(scope_name(segment.scope)));
  }
  return segment;
}

MapPayload map_payload(const PacketEnvelope& packet) {
  const Value* key = find(packet.payload, "key");
  const std::string* text = key ? key->get<std::string>() : nullptr;
  if (!text) {
    throw Error(ErrorCode::invalid, std::string("field payload.key: ") +
                                        (key ? "not a text" : "missing") +
                                        ", an entry of a map segment needs one");
  }
  check_key(*text);
  if (const Value* value = find(packet.payload, "value")) return {*text, *value};
  Map rest = packet.payload;
  rest.erase("key");
  return {*text, std::move(rest)};
}

}  // namespace loam
