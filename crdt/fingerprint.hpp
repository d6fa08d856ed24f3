#pragma once

#include "crdt/context.hpp"

namespace loam {

/// 128 bits of a record's encoded bytes. Two records under one dot differ here.
using ContentHash = Id<struct ContentTag>;

ContentHash content_hash(BytesView record);

/// The fingerprint of a set: the sum modulo 2^128 of one keyed hash per member. A group, so members
/// can be added and taken away in any order (Bellare and Micciancio, "A new paradigm for
/// collision-free hashing", 1997, AdHash).
struct Fingerprint {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  bool operator==(const Fingerprint&) const = default;

  Fingerprint& operator+=(const Fingerprint& other) noexcept;
  Fingerprint& operator-=(const Fingerprint& other) noexcept;

  /// Sixteen octets, most significant first.
  std::array<std::byte, 16> bytes() const noexcept;
  static Fingerprint from(const std::array<std::byte, 16>& bytes) noexcept;
};

/// The term of one live dot.
Fingerprint live_term(const Dot& dot, const ContentHash& content);

/// The term of everything that a context holds of one actor; zero when that is nothing.
Fingerprint context_term(const ActorId& actor, const RangeSet& ranges);

/// Both roots of one segment's state. Equal roots mean equal states.
struct Roots {
  Fingerprint context;
  Fingerprint live;

  bool operator==(const Roots&) const = default;
};

/// The canonical hash of a segment's state, as `loam digest` prints it: 32 hexadecimal digits.
std::string digest_text(const Roots& roots);

}  // namespace loam
