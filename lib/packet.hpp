#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/id.hpp"
#include "crdt/value.hpp"
#include "lib/segment.hpp"

namespace loam {

inline constexpr std::size_t text_characters_max = 64'000;  ///< Unicode code points of one text
inline constexpr std::size_t tags_max = 64;                 ///< tags of one record
inline constexpr std::size_t tag_characters_max = 64;       ///< Unicode code points of one tag
inline constexpr std::size_t packet_type_octets_max = 64;   ///< of [a-z0-9_]
inline constexpr std::size_t thread_id_octets_max = 400;    ///< of UTF-8
inline constexpr std::size_t payload_depth_max = 8;         ///< containers in each other
inline constexpr std::size_t payload_container_max = 4'096; ///< elements of one container
inline constexpr std::size_t payload_elements_max = 32'768; ///< elements of all containers together
inline constexpr std::size_t packet_json_octets_max = 1 << 20;  ///< of one envelope as JSON
inline constexpr std::size_t packet_json_depth_max = 32;    ///< containers in each other there

/// How sure the writer is.
struct Confidence {
  double score = 0;  ///< 0 to 1
  std::string rationale;
  bool operator==(const Confidence&) const = default;
};

/// Who and what a packet came from. Every field may be empty.
struct PacketProvenance {
  std::string parent_packet;
  std::string source;
  std::string source_agent;
  std::string tool;
  bool operator==(const PacketProvenance&) const = default;
};

/// Which packets a packet was derived from.
struct Lineage {
  std::vector<std::string> parent_ids;
  std::string derivation_type;
  std::int64_t generation = 0;
  bool operator==(const Lineage&) const = default;
};

/// The envelope in which a caller hands something to memory. Absent strings are empty; times are Unix
/// milliseconds UTC, 0 = absent.
struct PacketEnvelope {
  std::optional<PacketId> packet_id;    ///< minted if absent; a repeated id is an idempotent retry
  std::string packet_type;              ///< `lesson`, `pattern`, `failure`, `event`, …; required
  std::string segment;                  ///< empty: decided by the executor's rule
  std::optional<bool> shared;           ///< if given, must agree with the segment
  Map payload;                          ///< kept whole, unknown fields included
  std::int64_t timestamp_ms = 0;        ///< when the host says it happened; 0: now
  Map metadata;                         ///< agent, domain, reasoning_mode, …
  PacketProvenance provenance;
  std::optional<Confidence> confidence;
  std::string thread_id;
  Lineage lineage;
  std::vector<std::string> tags;
  std::int64_t expires_at_ms = 0;       ///< 0: never

  bool operator==(const PacketEnvelope&) const = default;
};

/// The envelope of a JSON object with the field names above; a null field is an absent one. `packet_id`
/// is base32, 32 hexadecimal digits or a UUID. Throws Error(invalid) for broken JSON (with line and
/// column), a field of the wrong type, or an unknown field of the envelope; Error(limit) for one over
/// 1 MiB or nested too deep.
PacketEnvelope packet_from_json(std::string_view json);

/// The executor's rule: which segment a packet belongs to. The packet's own `segment` wins; then
/// lesson, pattern, failure, approval_rule, governance_meta and `memory_<segment>` name one; everything
/// else is private: `task_traces` with a thread id, else `project_history`. Throws
/// Error(unknown_segment), and Error(invalid) when `shared` disagrees with the segment.
const Segment& segment_of(const PacketEnvelope& packet, const SegmentTable& segments);

/// Throws Error(invalid) for a missing or malformed field of the packet, Error(limit) naming the field,
/// its size and the limit. `segment` is what `segment_of` said.
void check_packet(const PacketEnvelope& packet, const Segment& segment);

/// What the payload of a packet for a *map* segment assigns.
struct MapPayload {
  std::string key;
  Value value;
  bool operator==(const MapPayload&) const = default;
};

/// The payload's `key`, and its `value` or, without one, the rest of the payload. Throws Error(invalid)
/// when there is no such key, Error(limit) when it is too long.
MapPayload map_payload(const PacketEnvelope& packet);

}  // namespace loam
