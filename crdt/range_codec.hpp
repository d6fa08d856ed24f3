#pragma once

#include "crdt/context.hpp"

namespace loam {

/// The canonical octets of a set of counters: for each range two LEB128 numbers, the distance from
/// the end of the range before (from 0 for the first) minus one, and the length minus one; distances
/// after the first are at least two, because ranges never touch. The empty set has no octets.
Bytes encode_ranges(const RangeSet& ranges);
void append_ranges(Bytes& out, const RangeSet& ranges);

/// Throws Error(invalid) for anything but the canonical octets of a set with counters up to
/// `counter_max`.
RangeSet decode_ranges(BytesView octets);

/// One LEB128 number, low seven bits first.
void append_varint(Bytes& out, std::uint64_t value);

/// Reads one LEB128 number off the front. Throws Error(invalid) when it is cut short, longer than
/// needed, or beyond 64 bits.
std::uint64_t take_varint(BytesView& octets);

}  // namespace loam
