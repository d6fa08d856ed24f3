#include "crdt/hash_tree.hpp"

#include <cmath>

#include "tests/support/forall.hpp"

using loam::ContentHash;
using loam::TreeHash;
using loam::TreeLeaf;
using test::Gen;

namespace {

std::vector<ContentHash> random_leaves(Gen& gen, std::size_t count) {
  std::vector<ContentHash> leaves(count);
  for (ContentHash& leaf : leaves) {
    for (std::byte& octet : leaf.bytes) octet = static_cast<std::byte>(gen.below(256));
  }
  return leaves;
}

// Each with the same chance, which is drawn: few, many or all.
std::vector<bool> random_part(Gen& gen, std::size_t count) {
  const std::uint64_t one_in = 1 + gen.below(10);
  std::vector<bool> part(count);
  for (std::size_t i = 0; i < count; ++i) part[i] = gen.below(one_in) == 0;
  return part;
}

std::vector<TreeLeaf> leaves_of(const std::vector<ContentHash>& leaves, const std::vector<bool>& part) {
  std::vector<TreeLeaf> there;
  for (std::uint32_t i = 0; i < leaves.size(); ++i) {
    if (part[i]) there.push_back({i, leaves[i]});
  }
  return there;
}

}  // namespace

TEST_CASE("what is there and the rest of what is gone make the root of the whole tree") {
  test::forall("tree", 3'000, [](Gen& gen) {
    const auto leaves = random_leaves(gen, 1 + gen.index(256));
    const auto part = random_part(gen, leaves.size());
    const auto rest = loam::tree_rest(leaves, part);
    const auto there = leaves_of(leaves, part);
    REQUIRE(loam::tree_root(static_cast<std::uint32_t>(leaves.size()), there, rest) == loam::tree_root(leaves));
  });
}

TEST_CASE("leaves that go one after the other leave the rest of those that go at once") {
  test::forall("going", 1'000, [](Gen& gen) {
    const auto leaves = random_leaves(gen, 1 + gen.index(200));
    const auto size = static_cast<std::uint32_t>(leaves.size());
    std::vector<bool> part(leaves.size(), true);
    std::vector<TreeHash> rest;
    for (int round = 0; round < 6; ++round) {
      const auto there = leaves_of(leaves, part);
      std::vector<std::uint32_t> gone;
      for (std::uint32_t i = 0; i < size; ++i) {
        if (part[i] && gen.one_in(3)) gone.push_back(i);
      }
      for (const std::uint32_t place : gone) part[place] = false;
      rest = loam::tree_rest(size, there, rest, gone).value();
      REQUIRE(rest == loam::tree_rest(leaves, part));
    }
  });
}

TEST_CASE("a rest stays small where few of many leaves are there") {
  test::forall("rest", 300, [](Gen& gen) {
    const std::size_t size = 256;
    const auto leaves = random_leaves(gen, size);
    std::vector<bool> part(size);
    const std::size_t kept = 1 + gen.index(20);
    std::size_t count = 0;
    for (std::size_t i = 0; i < kept; ++i) {
      const std::size_t place = gen.index(size);
      count += part[place] ? 0 : 1;
      part[place] = true;
    }
    const double bound = static_cast<double>(count) * (std::log2(static_cast<double>(size) / static_cast<double>(count)) + 1);
    REQUIRE(static_cast<double>(loam::tree_rest(leaves, part).size()) <= bound);
  });
  Gen gen(1);
  const auto leaves = random_leaves(gen, 256);
  CHECK(loam::tree_rest(leaves, std::vector<bool>(256, true)).empty());
  CHECK(loam::tree_rest(leaves, std::vector<bool>(256, false)) == std::vector{loam::tree_root(leaves)});
}

TEST_CASE("another leaf, another place, another number of leaves or another rest is another root, or none") {
  test::forall("altered", 2'000, [](Gen& gen) {
    const auto leaves = random_leaves(gen, 2 + gen.index(60));
    const auto size = static_cast<std::uint32_t>(leaves.size());
    const auto part = random_part(gen, leaves.size());
    auto rest = loam::tree_rest(leaves, part);
    auto there = leaves_of(leaves, part);
    const auto root = loam::tree_root(leaves);
    const auto differs = [&](std::uint32_t count) { return loam::tree_root(count, there, rest) != root; };
    if (!there.empty() && gen.coin()) {
      auto& leaf = there[gen.index(there.size())];
      leaf.hash.bytes[gen.index(16)] ^= std::byte{1};
      REQUIRE(differs(size));
    } else if (!rest.empty()) {
      switch (gen.below(3)) {
        case 0: rest[gen.index(rest.size())].bytes[gen.index(16)] ^= std::byte{1}; break;
        case 1: rest.pop_back(); break;
        default: rest.push_back(rest.front());
      }
      REQUIRE(differs(size));
    } else {
      REQUIRE(differs(size + 1));
      REQUIRE(differs(size - 1));
      std::swap(there.front().hash, there.back().hash);
      REQUIRE(differs(size));
    }
  });
}

TEST_CASE("leaves out of order or twice, and no leaves at all, make no root") {
  Gen gen(5);
  const auto leaves = random_leaves(gen, 8);
  auto there = leaves_of(leaves, std::vector<bool>(8, true));
  CHECK(loam::tree_root(8, there, {}));
  std::swap(there[2], there[3]);
  CHECK_FALSE(loam::tree_root(8, there, {}));
  there[2] = there[3];
  CHECK_FALSE(loam::tree_root(8, there, {}));
  there = {{8, leaves[0]}};
  CHECK_FALSE(loam::tree_root(8, there, std::vector<TreeHash>(8)));
  CHECK_FALSE(loam::tree_root(0, {}, {}));
  CHECK_FALSE(loam::tree_rest(8, leaves_of(leaves, std::vector<bool>(8, true)), {}, std::vector<std::uint32_t>{9}));
}

TEST_CASE("the rest of one leaf, of a tree hashed once, is that of all others gone") {
  test::forall("paths", 300, [](Gen& gen) {
    const auto leaves = random_leaves(gen, 1 + gen.index(256));
    const auto size = static_cast<std::uint32_t>(leaves.size());
    const auto part = random_part(gen, leaves.size());
    const loam::TreePart known{leaves_of(leaves, part), loam::tree_rest(leaves, part)};
    const auto paths = loam::TreePaths::of(size, known);
    REQUIRE(paths);
    for (const TreeLeaf& leaf : known.there) {
      std::vector<bool> alone(leaves.size());
      alone[leaf.place] = true;
      REQUIRE(paths->rest_of(leaf.place) == loam::tree_rest(leaves, alone));
    }
    loam::TreePart wrong = known;
    wrong.rest.push_back({});
    REQUIRE(!loam::TreePaths::of(size, wrong));
    REQUIRE(!loam::TreePaths::of(0, known));
  });
}

TEST_CASE("two parts of a tree know together what both have, and its rest") {
  test::forall("union", 2'000, [](Gen& gen) {
    const auto leaves = random_leaves(gen, 1 + gen.index(200));
    const auto size = static_cast<std::uint32_t>(leaves.size());
    const auto part_of = [&](const std::vector<bool>& is_there) {
      return loam::TreePart{leaves_of(leaves, is_there), loam::tree_rest(leaves, is_there)};
    };
    const auto left = random_part(gen, size);
    const auto right = random_part(gen, size);
    std::vector<bool> both(size);
    for (std::size_t i = 0; i < size; ++i) both[i] = left[i] || right[i];
    REQUIRE(loam::tree_union(size, part_of(left), part_of(right)) == part_of(both));
  });
}

TEST_CASE("parts that do not fit, or are of two trees, have no union") {
  test::forall("no union", 1'000, [](Gen& gen) {
    const auto leaves = random_leaves(gen, 2 + gen.index(60));
    const auto size = static_cast<std::uint32_t>(leaves.size());
    const std::vector<bool> all(size, true);
    const loam::TreePart whole{leaves_of(leaves, all), {}};
    auto is_there = random_part(gen, size);
    is_there[gen.index(size)] = true;
    loam::TreePart part{leaves_of(leaves, is_there), loam::tree_rest(leaves, is_there)};
    switch (gen.below(4)) {
      case 0: part.there[gen.index(part.there.size())].hash.bytes[0] ^= std::byte{1}; break;
      case 1: part.rest.push_back({}); break;
      case 2: part.there.push_back(part.there.back()); break;
      default: part.there.back().place = size;
    }
    REQUIRE_FALSE(loam::tree_union(size, whole, part));
    REQUIRE_FALSE(loam::tree_union(size, part, whole));
  });
}

// Computed by another implementation.
TEST_CASE("the root of a tree is pinned") {
  std::vector<ContentHash> leaves(5);
  for (std::size_t i = 0; i < leaves.size(); ++i) leaves[i].bytes.fill(static_cast<std::byte>(i));
  CHECK(loam::to_hex(loam::tree_root(leaves).view()) == "e0a7ca32f51ada4fcc1a1fe84b6e1347");
}
