#pragma once

#include <map>
#include <span>
#include <vector>

#include "crdt/dot.hpp"

namespace loam {

/// Counters from `first` to `last`, both included; 1 ≤ first ≤ last.
struct Range {
  std::uint64_t first = 0;
  std::uint64_t last = 0;

  auto operator<=>(const Range&) const = default;
};

/// A set of counters of one actor as sorted ranges that neither overlap nor touch. Two equal sets
/// have equal representations. A value; not shared between threads.
class RangeSet {
 public:
  RangeSet() = default;
  explicit RangeSet(Range range) : one_(range) {}

  void insert(Range range);
  void insert(std::uint64_t counter) { insert(Range{counter, counter}); }
  void insert(const RangeSet& other);

  bool contains(std::uint64_t counter) const noexcept;
  bool contains(const RangeSet& other) const noexcept;
  bool empty() const noexcept { return one_.first == 0 && many_.empty(); }

  /// How many counters the set holds.
  std::uint64_t count() const noexcept;

  /// The highest counter; 0 when the set is empty.
  std::uint64_t highest() const noexcept { return empty() ? 0 : ranges().back().last; }

  RangeSet minus(const RangeSet& other) const;
  RangeSet intersect(const RangeSet& other) const;

  /// A view that dies with the next change.
  std::span<const Range> ranges() const noexcept {
    if (many_.empty()) return {&one_, empty() ? std::size_t{0} : std::size_t{1}};
    return many_;
  }
  const Range* begin() const noexcept { return ranges().data(); }
  const Range* end() const noexcept { return ranges().data() + ranges().size(); }

  bool operator==(const RangeSet& other) const noexcept;

 private:
  void append(Range range);

  // Nearly every actor has one range, which then takes no allocation.
  Range one_;                ///< the only one; zeros: there is none, or there are many
  std::vector<Range> many_;  ///< all, when there are two or more; else empty
};

/// The set of dots that a replica, or a message, has accounted for: per actor a non-empty RangeSet.
/// Its size depends on the number of actors and gaps, not on the number of dots. A value.
class Context {
 public:
  void insert(const Dot& dot) { actors_[dot.actor].insert(dot.counter); }
  void insert(const ActorId& actor, Range range) { actors_[actor].insert(range); }
  void insert(const ActorId& actor, const RangeSet& ranges);
  void insert(const Context& other);

  bool contains(const Dot& dot) const noexcept;
  bool empty() const noexcept { return actors_.empty(); }
  std::uint64_t count() const noexcept;

  /// The counters of one actor; empty when none is held.
  const RangeSet& of(const ActorId& actor) const noexcept;

  const std::map<ActorId, RangeSet>& actors() const noexcept { return actors_; }
  auto begin() const noexcept { return actors_.begin(); }
  auto end() const noexcept { return actors_.end(); }

  bool operator==(const Context&) const = default;

 private:
  std::map<ActorId, RangeSet> actors_;
};

}  // namespace loam
