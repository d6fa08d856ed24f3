#include "crdt/record.hpp"

#include <algorithm>
#include <cassert>

#include "crdt/big_endian.hpp"
#include "crdt/checked_reader.hpp"
#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "crdt/hash.hpp"

namespace loam {
namespace {

constexpr std::size_t record_parts = 3;

const Array& three_parts(const Value& value) {
  const Array& array = as_array(value, "record");
  if (array.size() != record_parts) {
    throw Error(ErrorCode::invalid, "record: " + std::to_string(array.size()) + " parts, not 3");
  }
  return array;
}

void check_size(BytesView bytes) {
  if (bytes.size() > record_octets_max) {
    throw Error(ErrorCode::limit, "record: " + std::to_string(bytes.size()) + " octets, limit " +
                                      std::to_string(record_octets_max));
  }
}

void check_map(BytesView bytes, const char* what) {
  check_canonical(bytes);
  const auto lead = std::to_integer<unsigned>(bytes.front());
  const bool is_map = (lead & 0xf0U) == 0x80U || lead == 0xdeU || lead == 0xdfU;
  if (!is_map) throw Error(ErrorCode::invalid, std::string(what) + ": not a map");
}

}  // namespace

Bytes encode(const SetRecord& record) {
  Bytes out;
  out.reserve(record.content.size() + record.meta.size() + 20);
  Writer(out).array(record_parts).number(record.stamp.value).octets(record.content).octets(record.meta);
  return out;
}

Bytes encode(const MapRecord& record) {
  Bytes out;
  Writer writer(out);
  writer.array(record_parts).number(record.stamp.value).text(record.key);
  record.value ? writer.octets(*record.value) : writer.nil();
  return out;
}

SetRecord decode_set_record(BytesView bytes) {
  check_size(bytes);
  const Value value = decode(bytes);
  const Array& array = three_parts(value);
  SetRecord record{Hlc{as_number(array[0], "stamp")}, as_octets(array[1], "content"),
                   as_octets(array[2], "meta")};
  check_map(record.content, "content");
  check_map(record.meta, "meta");
  return record;
}

MapRecord decode_map_record(BytesView bytes) {
  check_size(bytes);
  const Value value = decode(bytes);
  const Array& array = three_parts(value);
  MapRecord record{Hlc{as_number(array[0], "stamp")}, as_text(array[1], "key"), std::nullopt};
  check_key(record.key);
  if (!array[2].is_nil()) {
    record.value = as_octets(array[2], "value");
    check_canonical(*record.value);
  }
  return record;
}

void check_record(Kind kind, BytesView bytes) {
  if (kind == Kind::set) {
    (void)decode_set_record(bytes);
  } else {
    (void)decode_map_record(bytes);
  }
}

SetRecordView view_set_record(BytesView checked) {
  CheckedReader reader(checked);
  [[maybe_unused]] const std::size_t size = reader.array();
  assert(size == record_parts);
  const Hlc stamp{reader.number()};
  const BytesView content = reader.octets();
  return {stamp, content, reader.octets()};
}

ElementId element_of(std::string_view segment, BytesView content) {
  std::array<std::byte, 8> length{};
  store_u64(length.data(), segment.size());
  return {hash128("loam element 1", {length, bytes_of(segment), content})};
}

void check_key(std::string_view key) {
  if (key.empty()) throw Error(ErrorCode::invalid, "key: empty");
  if (key.size() > key_octets_max) {
    throw Error(ErrorCode::limit, "key: " + std::to_string(key.size()) + " octets, limit " +
                                      std::to_string(key_octets_max));
  }
  if (!is_utf8(key)) throw Error(ErrorCode::invalid, "key: not UTF-8");
  const bool has_control = std::any_of(key.begin(), key.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (has_control) throw Error(ErrorCode::invalid, "key: has a control character");
}

}  // namespace loam
