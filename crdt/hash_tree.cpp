#include "crdt/hash_tree.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <functional>

#include "crdt/hash.hpp"

namespace loam {
namespace {

TreeHash leaf_hash(const ContentHash& leaf) { return {hash128("loam tree leaf 1", {leaf.view()})}; }

TreeHash node_hash(const TreeHash& left, const TreeHash& right) {
  return {hash128("loam tree node 1", {left.view(), right.view()})};
}

std::uint32_t left_size(std::uint32_t leaves) { return std::bit_ceil(leaves) / 2; }

// Walks a tree of which some leaves are there and the rest stands for the others. When leaves go, writes
// the rest that then is.
class Walk {
 public:
  Walk(std::span<const TreeLeaf> there, std::span<const TreeHash> rest,
       std::span<const std::uint32_t> gone = {}, std::vector<TreeHash>* out = nullptr)
      : there_(there), rest_(rest), gone_(gone), out_(out) {}

  /// Told every node that it makes or reads, with its first leaf and how many it has.
  void listen(std::function<void(std::uint32_t, std::uint32_t, const TreeHash&)> each) { each_ = std::move(each); }

  // A subtree: its hash, and whether every leaf of it is gone now. What of it is gone and larger than it is
  // not known yet has not been written to the rest.
  struct Part {
    TreeHash hash;
    bool is_gone = false;
  };

  std::optional<Part> part(std::uint32_t first, std::uint32_t leaves) {
    if (there_.empty() || there_.front().place >= first + leaves) {
      if (rest_.empty()) return std::nullopt;
      const TreeHash hash = rest_.front();
      rest_ = rest_.subspan(1);
      tell(first, leaves, hash);
      return Part{hash, true};
    }
    if (leaves == 1) {
      if (there_.front().place != first) return std::nullopt;  // not ascending
      const TreeHash hash = leaf_hash(there_.front().hash);
      there_ = there_.subspan(1);
      const bool is_gone = !gone_.empty() && gone_.front() == first;
      if (is_gone) gone_ = gone_.subspan(1);
      tell(first, leaves, hash);
      return Part{hash, is_gone};
    }
    const std::uint32_t left = left_size(leaves);
    const auto before = part(first, left);
    if (!before) return std::nullopt;
    // Written before anything of the right side is; taken back when that is gone, too.
    const std::size_t written = out_ ? out_->size() : 0;
    if (out_ && before->is_gone) out_->push_back(before->hash);
    const auto after = part(first + left, leaves - left);
    if (!after) return std::nullopt;
    const bool is_gone = before->is_gone && after->is_gone;
    if (out_ && is_gone) out_->resize(written);
    if (out_ && after->is_gone && !is_gone) out_->push_back(after->hash);
    const TreeHash hash = node_hash(before->hash, after->hash);
    tell(first, leaves, hash);
    return Part{hash, is_gone};
  }

  bool is_used_up() const { return there_.empty() && rest_.empty() && gone_.empty(); }

 private:
  void tell(std::uint32_t first, std::uint32_t leaves, const TreeHash& hash) const {
    if (each_) each_(first, leaves, hash);
  }

  std::span<const TreeLeaf> there_;
  std::span<const TreeHash> rest_;
  std::span<const std::uint32_t> gone_;
  std::vector<TreeHash>* out_;
  std::function<void(std::uint32_t, std::uint32_t, const TreeHash&)> each_;
};

// Reads one part of a tree along with the walk over both.
class PartReader {
 public:
  explicit PartReader(const TreePart& part) : there_(part.there), rest_(part.rest) {}

  // Whether a leaf of the subtree is there.
  bool has_any(std::uint32_t first, std::uint32_t leaves) const {
    return !there_.empty() && there_.front().place < first + leaves;
  }
  std::optional<TreeHash> take_rest() {
    if (rest_.empty()) return std::nullopt;
    const TreeHash hash = rest_.front();
    rest_ = rest_.subspan(1);
    return hash;
  }
  std::optional<TreeLeaf> take_leaf(std::uint32_t place) {
    if (there_.front().place != place) return std::nullopt;  // not ascending
    const TreeLeaf leaf = there_.front();
    there_ = there_.subspan(1);
    return leaf;
  }
  bool is_used_up() const { return there_.empty() && rest_.empty(); }

 private:
  std::span<const TreeLeaf> there_;
  std::span<const TreeHash> rest_;
};

// A part from whose place upwards nothing is there: what stands for it was read further up.
constexpr PartReader* absent = nullptr;

// Writes the union of both parts of a subtree; false: one does not fit. Where a part has no leaf in a subtree, one
// hash stands for the whole of it, and nothing for what is below.
bool unite(std::uint32_t first, std::uint32_t leaves, PartReader* left, PartReader* right, TreePart& out) {
  std::optional<TreeHash> hash;
  for (PartReader** side : {&left, &right}) {
    if (*side == absent || (*side)->has_any(first, leaves)) continue;
    const auto rest = (*side)->take_rest();
    if (!rest || (hash && *hash != *rest)) return false;
    hash = rest;
    *side = absent;
  }
  if (left == absent && right == absent) {
    out.rest.push_back(*hash);  // whoever has a leaf above this has its hash: neither came here without one
    return true;
  }
  if (leaves == 1) {
    std::optional<TreeLeaf> leaf;
    for (PartReader* side : {left, right}) {
      if (side == absent) continue;
      const auto own = side->take_leaf(first);
      if (!own || (leaf && *leaf != *own)) return false;
      leaf = own;
    }
    out.there.push_back(*leaf);
    return true;
  }
  const std::uint32_t half = left_size(leaves);
  return unite(first, half, left, right, out) && unite(first + half, leaves - half, left, right, out);
}

}  // namespace

TreeHash tree_root(std::span<const ContentHash> leaves) {
  assert(!leaves.empty());
  if (leaves.size() == 1) return leaf_hash(leaves.front());
  const std::size_t left = left_size(static_cast<std::uint32_t>(leaves.size()));
  return node_hash(tree_root(leaves.first(left)), tree_root(leaves.subspan(left)));
}

std::vector<TreeHash> tree_rest(std::span<const ContentHash> leaves, const std::vector<bool>& is_there) {
  assert(leaves.size() == is_there.size());
  std::vector<TreeLeaf> all;
  std::vector<std::uint32_t> gone;
  for (std::uint32_t place = 0; place < leaves.size(); ++place) {
    all.push_back({place, leaves[place]});
    if (!is_there[place]) gone.push_back(place);
  }
  return *tree_rest(static_cast<std::uint32_t>(leaves.size()), all, {}, gone);
}

std::optional<TreeHash> tree_root(std::uint32_t leaves, std::span<const TreeLeaf> there,
                                  std::span<const TreeHash> rest) {
  if (leaves == 0) return std::nullopt;
  Walk walk(there, rest);
  const auto whole = walk.part(0, leaves);
  if (!whole || !walk.is_used_up()) return std::nullopt;
  return whole->hash;
}

std::optional<std::vector<TreeHash>> tree_rest(std::uint32_t leaves, std::span<const TreeLeaf> were_there,
                                               std::span<const TreeHash> rest,
                                               std::span<const std::uint32_t> gone) {
  if (leaves == 0) return std::nullopt;
  std::vector<TreeHash> out;
  Walk walk(were_there, rest, gone, &out);
  const auto whole = walk.part(0, leaves);
  if (!whole || !walk.is_used_up()) return std::nullopt;
  if (whole->is_gone) out = {whole->hash};
  return out;
}

std::optional<TreePaths> TreePaths::of(std::uint32_t leaves, const TreePart& part) {
  if (leaves == 0) return std::nullopt;
  TreePaths paths(leaves);
  Walk walk(part.there, part.rest);
  walk.listen([&](std::uint32_t first, std::uint32_t count, const TreeHash& hash) {
    paths.nodes_.emplace(std::pair(first, count), hash);
  });
  if (!walk.part(0, leaves) || !walk.is_used_up()) return std::nullopt;
  return paths;
}

// What is left of the leaf stands for itself from the top down, what is right of it from the leaf up.
std::vector<TreeHash> TreePaths::rest_of(std::uint32_t place) const {
  std::vector<TreeHash> before;
  std::vector<TreeHash> after;
  std::uint32_t first = 0;
  for (std::uint32_t leaves = leaves_; leaves > 1;) {
    const std::uint32_t left = left_size(leaves);
    if (place < first + left) {
      after.push_back(nodes_.at({first + left, leaves - left}));
      leaves = left;
    } else {
      before.push_back(nodes_.at({first, left}));
      first += left;
      leaves -= left;
    }
  }
  before.insert(before.end(), after.rbegin(), after.rend());
  return before;
}

std::optional<TreePart> tree_union(std::uint32_t leaves, const TreePart& left, const TreePart& right) {
  if (leaves == 0) return std::nullopt;
  PartReader from_left(left);
  PartReader from_right(right);
  TreePart out;
  if (!unite(0, leaves, &from_left, &from_right, out)) return std::nullopt;
  if (!from_left.is_used_up() || !from_right.is_used_up()) return std::nullopt;
  return out;
}

}  // namespace loam
