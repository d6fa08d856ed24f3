#pragma once

#include <optional>

#include "crdt/clock.hpp"
#include "crdt/fingerprint.hpp"
#include "crdt/value.hpp"

namespace loam {

/// How a segment merges: a set of records, or a map from keys to LWW registers.
enum class Kind : std::uint8_t { set = 0, map = 1 };

/// Greatest encoded size of one record, in octets.
inline constexpr std::size_t record_octets_max = 256 * 1024;

/// Greatest size of a key of a map segment, in octets of UTF-8.
inline constexpr std::size_t key_octets_max = 400;

/// A record of a *set* segment, taken apart. The encoded form is the canonical array
/// [stamp, content as octets, meta as octets]; content and meta are canonical maps.
/// What a record says (type, text, typed body) is its content and decides which element it is; who
/// says it, when, with which tags, is its meta and belongs to the dot.
struct SetRecord {
  Hlc stamp;
  Bytes content;
  Bytes meta;

  bool operator==(const SetRecord&) const = default;
};

/// An entry of a *map* segment, taken apart. The encoded form is the canonical array
/// [stamp, key, value as octets | nil]; nil is the explicit "absent" that erasing writes.
struct MapRecord {
  Hlc stamp;
  std::string key;
  std::optional<Bytes> value;

  bool operator==(const MapRecord&) const = default;
};

Bytes encode(const SetRecord& record);
Bytes encode(const MapRecord& record);

/// The record of its encoded bytes, content and meta checked to be canonical maps. Throws
/// Error(invalid), or Error(limit) when it is larger than `record_octets_max`.
SetRecord decode_set_record(BytesView bytes);
MapRecord decode_map_record(BytesView bytes);

/// Throws as the decoder of that kind does.
void check_record(Kind kind, BytesView bytes);

/// The same parts without checking them again; `bytes` must have passed `check_record`. Views into
/// `bytes`.
struct SetRecordView {
  Hlc stamp;
  BytesView content;
  BytesView meta;
};
SetRecordView view_set_record(BytesView checked);

/// The element that a content is, in the segment of that name.
ElementId element_of(std::string_view segment, BytesView content);

/// Throws Error(invalid) unless the key is 1 to 400 octets of UTF-8 without control characters.
void check_key(std::string_view key);

}  // namespace loam
