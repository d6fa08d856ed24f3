#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "crdt/clock.hpp"
#include "crdt/dot.hpp"

namespace test {

/// One write as the reference model keeps it.
struct NaiveWrite {
  std::string name;  ///< the element or the key
  unsigned author = 0;
  loam::Hlc stamp;
  std::optional<std::string> value;  ///< absent: the key was erased

  bool operator==(const NaiveWrite&) const = default;
};

/// The reference model, which shares no code with the join: a set of writes that only grows, and a
/// set of tombstones that only grows. Merging is two unions; what is alive is their difference.
struct Naive {
  std::map<loam::Dot, NaiveWrite> writes;
  std::set<loam::Dot> removed;

  bool operator==(const Naive&) const = default;

  bool is_alive(const loam::Dot& dot) const {
    return writes.contains(dot) && !removed.contains(dot);
  }

  std::set<loam::Dot> alive() const {
    std::set<loam::Dot> result;
    for (const auto& [dot, write] : writes) {
      if (!removed.contains(dot)) result.insert(dot);
    }
    return result;
  }

  std::set<loam::Dot> alive(const std::string& name) const {
    std::set<loam::Dot> result;
    for (const loam::Dot& dot : alive()) {
      if (writes.at(dot).name == name) result.insert(dot);
    }
    return result;
  }

  std::set<loam::Dot> alive_by(unsigned author) const {
    std::set<loam::Dot> result;
    for (const loam::Dot& dot : alive()) {
      if (writes.at(dot).author == author) result.insert(dot);
    }
    return result;
  }

  std::set<loam::Dot> known() const {
    std::set<loam::Dot> result = removed;
    for (const auto& [dot, write] : writes) result.insert(dot);
    return result;
  }

  void merge(const Naive& other) {
    writes.insert(other.writes.begin(), other.writes.end());
    removed.insert(other.removed.begin(), other.removed.end());
  }

  /// What this model knows about the given dots.
  Naive only(const std::set<loam::Dot>& selected) const {
    Naive result;
    for (const loam::Dot& dot : selected) {
      if (const auto at = writes.find(dot); at != writes.end()) result.writes.insert(*at);
      if (removed.contains(dot)) result.removed.insert(dot);
    }
    return result;
  }

  /// The assignments of a key, the winner first.
  std::vector<loam::Dot> ranked(const std::string& key) const {
    const std::set<loam::Dot> dots = alive(key);
    std::vector<loam::Dot> result(dots.begin(), dots.end());
    std::sort(result.begin(), result.end(), [&](const loam::Dot& left, const loam::Dot& right) {
      const loam::Hlc left_stamp = writes.at(left).stamp;
      const loam::Hlc right_stamp = writes.at(right).stamp;
      if (left_stamp != right_stamp) return left_stamp > right_stamp;
      if (left.actor != right.actor) return left.actor > right.actor;
      return left.counter > right.counter;
    });
    return result;
  }
};

}  // namespace test
