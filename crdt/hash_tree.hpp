#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "crdt/fingerprint.hpp"

namespace loam {

/// A node of a hash tree: 128 bits.
using TreeHash = Id<struct TreeHashTag>;

/// The tree over a list of hashes: the left half of n > 1 leaves is the greatest power of two below n
/// (RFC 6962, 2.1). Leaves and inner nodes are hashed under domains of their own. Pure; any thread.
///
/// Some of the leaves may be *gone*. What stands for them is their *rest*: the hashes of the largest subtrees
/// of which every leaf is gone, from left to right. With those that are there it makes the same root. k
/// leaves of n have a rest of at most k log2(n / k) + k hashes.
TreeHash tree_root(std::span<const ContentHash> leaves);

/// The rest, where `is_there` tells for each leaf whether it is there. As many as there are leaves.
std::vector<TreeHash> tree_rest(std::span<const ContentHash> leaves, const std::vector<bool>& is_there);

/// The root of a tree of which only some leaves are known; `there` has the place of each of them and its hash,
/// in ascending order. Absent when the rest does not fit: too few hashes, or too many.
struct TreeLeaf {
  std::uint32_t place = 0;
  ContentHash hash;
  bool operator==(const TreeLeaf&) const = default;
};
std::optional<TreeHash> tree_root(std::uint32_t leaves, std::span<const TreeLeaf> there,
                                  std::span<const TreeHash> rest);

/// The rest when of the leaves that were there only some still are: `gone` has the places of the others.
/// Absent as above.
std::optional<std::vector<TreeHash>> tree_rest(std::uint32_t leaves, std::span<const TreeLeaf> were_there,
                                               std::span<const TreeHash> rest,
                                               std::span<const std::uint32_t> gone);

/// Some leaves of a tree, ascending, and the rest of all others.
struct TreePart {
  std::vector<TreeLeaf> there;
  std::vector<TreeHash> rest;
  bool operator==(const TreePart&) const = default;
};

/// A tree of which some leaves are there, with each of its nodes hashed once: for the rests of single leaves, of which
/// each is otherwise as much work as the root. A value.
class TreePaths {
 public:
  /// Absent when the part does not fit.
  static std::optional<TreePaths> of(std::uint32_t leaves, const TreePart& part);

  /// The rest when of all leaves only that one is there still; it is one of those that were.
  std::vector<TreeHash> rest_of(std::uint32_t place) const;

 private:
  explicit TreePaths(std::uint32_t leaves) : leaves_(leaves) {}

  std::uint32_t leaves_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, TreeHash> nodes_;  ///< by first leaf and number of leaves
};

/// What two parts of one tree know together: the leaves of both, and the rest of those that neither has. Absent
/// when one of them does not fit, or when they are of two trees as far as that is seen (a leaf of both differs).
std::optional<TreePart> tree_union(std::uint32_t leaves, const TreePart& left, const TreePart& right);

}  // namespace loam
