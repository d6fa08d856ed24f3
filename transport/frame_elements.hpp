#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crdt/big_endian.hpp"
#include "crdt/range_codec.hpp"
#include "transport/frame.hpp"
#include "transport/frame_layout.hpp"

namespace loam::wire {

[[noreturn]] inline void reject(const std::string& why) {
  throw Error(ErrorCode::invalid, "frame: " + why);
}

// Walks the elements of one array in order. What follows the known elements is skipped.
class Elements {
 public:
  Elements(const Array& array, const char* what) : array_(array), what_(what) {}

  const Value& next() {
    if (at_ >= array_.size()) reject(std::string(what_) + ": too few elements");
    return array_[at_++];
  }
  std::uint64_t number() { return as_number(next(), what_); }
  bool boolean() {
    const bool* value = next().get<bool>();
    if (value == nullptr) reject(std::string(what_) + ": not a boolean");
    return *value;
  }
  std::string text(std::size_t octets_max) {
    const std::string& text = as_text(next(), what_);
    if (text.size() > octets_max) reject(std::string(what_) + ": text too long");
    return text;
  }
  const Bytes& octets(std::size_t size) {
    const Bytes& octets = as_octets(next(), what_);
    if (octets.size() != size)
      reject(std::string(what_) + ": not " + std::to_string(size) + " octets");
    return octets;
  }
  template <class IdType>
  IdType id() {
    return as_id<IdType>(next(), what_);
  }
  const Bytes& any_octets() { return as_octets(next(), what_); }
  RangeSet ranges() { return decode_ranges(as_octets(next(), what_)); }
  RangeSet some_ranges() {
    RangeSet found = ranges();
    if (found.empty()) reject(std::string(what_) + ": no counters");
    return found;
  }
  Fingerprint fingerprint() { return Fingerprint::from(id<ContentHash>().bytes); }
  const Array& array() { return as_array(next(), what_); }
  std::optional<std::uint64_t> optional_number() {
    const Value& value = next();
    if (value.is_nil()) return std::nullopt;
    return as_number(value, what_);
  }
  Position position() {
    Elements from(array(), what_);
    const std::uint64_t journal = from.number();
    return {journal, from.number()};
  }
  std::optional<Position> optional_position() {
    if (array_.size() <= at_ || !array_[at_].is_nil()) return position();
    ++at_;
    return std::nullopt;
  }
  std::vector<SketchItem> items() {
    const Bytes& octets = as_octets(next(), what_);
    if (octets.size() % item_octets != 0) reject(std::string(what_) + ": a part of an item");
    std::vector<SketchItem> items;
    for (std::size_t i = 0; i < octets.size(); i += item_octets) {
      items.push_back(load_u64(octets.data() + i));
    }
    return items;
  }

 private:
  const Array& array_;
  const char* what_;
  std::size_t at_ = 0;
};

/// transport/frame_decode_delta.cpp
DeltaFrame read_delta(Elements& from);

}  // namespace loam::wire
