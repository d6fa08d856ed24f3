#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "crdt/id.hpp"

namespace loam {

/// Something that a peer brings and that costs time, in slices which several threads may do at once.
class SlicedWork {
 public:
  virtual ~SlicedWork() = default;
  virtual std::size_t slices() const = 0;      ///< at least one; always the same
  virtual void slice(std::size_t index) = 0;   ///< once for each. Any thread. Throws nothing
  virtual void end() = 0;                      ///< when all are done. Short. Throws nothing
};

/// Hands out slices: a peer after the other, one slice each, so that who brings much is in nobody's way; the works of
/// one peer in their order. A pure state machine. One thread at a time.
class Turns {
 public:
  struct Slice {
    InstanceId peer;
    std::shared_ptr<SlicedWork> work;
    std::size_t index = 0;
  };

  void add(const InstanceId& peer, std::shared_ptr<SlicedWork> work);

  /// Absent: all are handed out.
  std::optional<Slice> next();

  /// A slice is done. Returns works of its peer that are done now with all that came before them, in their order.
  std::vector<std::shared_ptr<SlicedWork>> done(const Slice& slice);

  /// Nothing waits and nothing is under way.
  bool empty() const noexcept { return lines_.empty(); }

 private:
  struct Item {
    std::shared_ptr<SlicedWork> work;
    std::size_t given = 0;
    std::size_t left = 0;  ///< slices that are not done
  };
  struct Line {
    std::deque<Item> items;
    std::size_t given = 0;  ///< items of which every slice is handed out: the first ones
  };

  std::map<InstanceId, Line> lines_;  ///< none is empty
  std::set<InstanceId> waiting_;      ///< of whom there are slices to hand out
  InstanceId last_;                   ///< whose turn it was last
};

}  // namespace loam
