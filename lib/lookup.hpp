#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/content.hpp"
#include "lib/core.hpp"

namespace loam {

/// Names of instances, as the registry says; asks it once per instance. Lives for one read.
class AuthorNames {
 public:
  explicit AuthorNames(const Core& core);

  /// The name, or the id of an instance that the registry does not know.
  const std::string& of(const SharedReader& reader, const InstanceId& instance);

 private:
  const Core& core_;
  std::shared_ptr<const Registry> registry_;
  std::map<InstanceId, std::string> names_;
};

/// Where a record is.
struct RecordAddress {
  const Segment* segment = nullptr;
  ElementId element;  ///< of a record of a shared segment
  PacketId packet;    ///< of a record of a private segment

  std::string id() const {
    return segment->scope == Scope::shared ? element.text() : packet.text();
  }
};

/// The record of an id or of a unique prefix of at least 6 characters, in any set segment, the shared ones
/// first. Absent: there is none. Throws Error(invalid) for what is no id, or an ambiguous prefix.
std::optional<RecordAddress> find_record(const Core& core, std::string_view id);

/// The same for many, in their order; the whole ids among them in one snapshot.
std::vector<std::optional<RecordAddress>> find_records(const Core& core,
                                                       std::span<const std::string> ids);

/// The record of an id or a prefix, merged: what find_record finds, read. Throws as both do.
std::optional<Record> find_and_read(const Core& core, std::string_view id);

/// The row of table `rec` at a cursor that marks damage; absent when it cannot be read. That is
/// noted, and counted unless the row belongs to another segment, as far as it can say.
std::optional<RecordRow> sound_row(const Core& core, const lmdb::Cursor& at,
                                   const std::function<bool(SegmentNumber)>& is_wanted,
                                   DamageMet& damage);

/// The merged record; absent when it is gone meanwhile. Throws Error(damaged) when one of its dots
/// cannot be read.
std::optional<Record> read_record(const Core& core, const RecordAddress& address);

/// The merged record of the given dots, inside a transaction.
Record record_of(const Core& core, AuthorNames& names, const SharedReader& reader,
                 const Segment& segment, const ElementId& element,
                 const std::vector<StoredDot>& dots);
Record record_of(const Core& core, const Segment& segment, const PrivateRecord& record);

/// The merged record of a row of table `rec`, when that is the newest of its element; absent otherwise, or
/// when one of its rows cannot be read.
std::optional<Record> newest_record_of(const Core& core, AuthorNames& names,
                                       const SharedReader& reader, const RecordRow& row,
                                       std::uint64_t sequence);

RecordPage list_records(const Core& core, const ListQuery& query);

/// The dots of a key that count, the winner last: in a governed segment those that stand, of rules all.
std::vector<StoredDot> current_dots(const Core& core, const SharedReader& reader, SegmentNumber segment,
                                    std::string_view key);

/// Whether a key has a value, by its current dots, none of which is damaged.
bool has_value(const Core& core, const SharedReader& reader, const Segment& segment, std::string_view key,
               const std::vector<StoredDot>& dots);

/// Assignments of a key, the winner first; empty: never written.
std::vector<Entry> read_entries(const Core& core, const Segment& segment, std::string_view key);

KeyPage list_keys(const Core& core, const Segment& segment, std::string_view after,
                  std::size_t limit);

}  // namespace loam
