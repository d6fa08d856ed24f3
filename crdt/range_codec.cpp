#include "crdt/range_codec.hpp"

#include "crdt/delta.hpp"
#include "crdt/error.hpp"

namespace loam {
namespace {

[[noreturn]] void reject_ranges(const char* why) {
  throw Error(ErrorCode::invalid, std::string("ranges: ") + why);
}

}  // namespace

void append_varint(Bytes& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<std::byte>((value & 0x7f) | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<std::byte>(value));
}

std::uint64_t take_varint(BytesView& octets) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (octets.empty()) reject_ranges("cut short");
    const auto octet = std::to_integer<std::uint64_t>(octets.front());
    octets = octets.subspan(1);
    if (shift == 63 && octet > 1) reject_ranges("a number beyond 64 bits");
    value |= (octet & 0x7f) << shift;
    if (octet < 0x80) {
      if (octet == 0 && shift > 0) reject_ranges("a longer form than needed");
      return value;
    }
  }
  reject_ranges("a number beyond 64 bits");
}

void append_ranges(Bytes& out, const RangeSet& ranges) {
  std::uint64_t before = 0;
  for (const Range& range : ranges) {
    append_varint(out, range.first - before - 1);
    append_varint(out, range.last - range.first);
    before = range.last;
  }
}

Bytes encode_ranges(const RangeSet& ranges) {
  Bytes out;
  append_ranges(out, ranges);
  return out;
}

RangeSet decode_ranges(BytesView octets) {
  RangeSet ranges;
  std::uint64_t before = 0;
  while (!octets.empty()) {
    const std::uint64_t distance = take_varint(octets);
    const std::uint64_t length = take_varint(octets);
    if (distance == 0 && before != 0) reject_ranges("two ranges that touch");
    if (distance > counter_max || length > counter_max) reject_ranges("a counter out of range");
    const std::uint64_t first = before + distance + 1;
    const std::uint64_t last = first + length;
    if (last > counter_max) reject_ranges("a counter out of range");
    ranges.insert(Range{first, last});
    before = last;
  }
  return ranges;
}

}  // namespace loam
