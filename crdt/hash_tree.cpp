#include "crdt/hash_tree.hpp"

#include <algorithm>
#include <bit>
#include <cassert>

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
      return Part{hash, true};
    }
    if (leaves == 1) {
      if (there_.front().place != first) return std::nullopt;  // not ascending
      const TreeHash hash = leaf_hash(there_.front().hash);
      there_ = there_.subspan(1);
      const bool is_gone = !gone_.empty() && gone_.front() == first;
      if (is_gone) gone_ = gone_.subspan(1);
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
    return Part{node_hash(before->hash, after->hash), is_gone};
  }

  bool is_used_up() const { return there_.empty() && rest_.empty() && gone_.empty(); }

 private:
  std::span<const TreeLeaf> there_;
  std::span<const TreeHash> rest_;
  std::span<const std::uint32_t> gone_;
  std::vector<TreeHash>* out_;
};

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

}  // namespace loam
