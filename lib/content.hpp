#pragma once

#include <span>
#include <string>
#include <vector>

#include "crdt/record.hpp"
#include "lib/memory.hpp"

namespace loam {

/// A packet as it is stored: what it says, and who says it how.
struct PacketParts {
  Bytes content;  ///< canonical map {payload, type}: decides the element
  Bytes meta;     ///< canonical map of everything else that is present
};

/// The stored parts of a checked packet for a set segment. `supersedes` are the elements that it revises.
/// Throws Error(limit) when the record would be over `record_octets_max`.
PacketParts parts_of(const PacketEnvelope& packet, const Segment& segment,
                     const std::vector<ElementId>& supersedes);

/// The encoded value of a map segment's packet. Throws Error(limit).
Bytes value_octets(const Value& value);

/// The type that records of a segment have when nothing says otherwise.
std::string_view default_type(std::string_view segment) noexcept;

/// The packet that `remember` stands for: missing required fields of a typed payload are filled from the
/// title, then the text.
PacketEnvelope packet_of(const NewRecord& record, const Segment& segment);

/// The packet that revises a record: the same type, payload, tags and thread, with another text.
PacketEnvelope revised_packet(const Record& record, std::string_view text);

/// One stored version of a record.
struct RecordSource {
  std::string_view author;  ///< name of the instance
  InstanceId author_id;
  BytesView record;         ///< encoded SetRecord, which was checked when it was stored
};

/// All stored versions of one record, merged for readers. `sources` is not empty; their order does not
/// matter.
Record merge_record(const std::string& segment, std::string id, std::span<const RecordSource> sources);

}  // namespace loam
