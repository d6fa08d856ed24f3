#pragma once

#include <optional>
#include <vector>

#include "crdt/dot.hpp"
#include "crdt/fingerprint.hpp"

namespace loam {

/// Sixty-four bits that stand for a member of a set in a sketch: a keyed hash, so that nobody who
/// does not know the key can make members that coincide.
using SketchItem = std::uint64_t;

/// The key of the items of one exchange.
using SketchKey = std::array<std::byte, 16>;

/// SipHash-2-4 (Aumasson and Bernstein, 2012, by libsodium) of a dot, and of all that is known of
/// one actor: the counters that were covered and the fingerprint of those that live.
SketchItem sketch_item(const SketchKey& key, const Dot& dot);
SketchItem sketch_item(const SketchKey& key, const ActorId& actor, const RangeSet& covered,
                       const Fingerprint& live);

/// A prefix of the coded symbols of a set, of which two tell how the sets differ, at a cost that
/// depends on the difference and not on the sets (Yang, Gilad and Alizadeh, "Practical rateless set
/// reconciliation", 2024). An item is in cell i with probability 1 / (1 + i / 2), cell 0 has all.
/// About 1.35 cells a difference suffice for many differences, more for few: `cells_for`. Integers
/// only, so that two machines always agree. A value.
class Sketch {
 public:
  struct Cell {
    SketchItem sum = 0;       ///< the items, xor
    std::uint32_t check = 0;  ///< a hash of each, xor

    bool operator==(const Cell&) const = default;
  };
  static constexpr std::size_t cell_octets = 12;

  explicit Sketch(std::size_t cells) : cells_(cells) {}

  /// Cells as `octets()` wrote them. Throws Error(invalid) for a part of a cell.
  static Sketch from(BytesView octets);
  Bytes octets() const;

  void add(SketchItem item) noexcept;

  /// The sketch of what is in exactly one of the two sets. Both have the same number of cells.
  Sketch& operator-=(const Sketch& other) noexcept;

  /// The items, in ascending order; absent: there are more of them than the cells can tell.
  std::optional<std::vector<SketchItem>> items() const;

  std::size_t cells() const noexcept { return cells_.size(); }
  bool operator==(const Sketch&) const = default;

 private:
  std::vector<Cell> cells_;
};

/// How many cells tell that many differences in 99 of 100 cases.
std::size_t cells_for(std::uint64_t differences) noexcept;

/// Estimates how many items two sets differ by, within a third or so, whatever the sets' sizes: items
/// are sampled in halving shares, each share thrown into buckets, and the buckets that differ are
/// counted (Whang et al., "A linear-time probabilistic counting algorithm", 1990; Eppstein et al.,
/// "What's the difference?", 2011). A value.
class DifferenceEstimate {
 public:
  static constexpr std::size_t shares = 16;
  static constexpr std::size_t buckets = 16;
  static constexpr std::size_t octets_size = shares * buckets;

  DifferenceEstimate() : octets_(octets_size) {}

  /// Throws Error(invalid) for any other number of octets.
  explicit DifferenceEstimate(Bytes octets);
  const Bytes& octets() const noexcept { return octets_; }

  void add(SketchItem item) noexcept;
  std::uint64_t to(const DifferenceEstimate& other) const noexcept;

 private:
  Bytes octets_;
};

}  // namespace loam
