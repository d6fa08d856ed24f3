#include <doctest/doctest.h>

#include <set>

#include "crdt/error.hpp"
#include "crdt/sketch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/forall.hpp"

using loam::DifferenceEstimate;
using loam::ErrorCode;
using loam::Sketch;
using loam::SketchItem;
using test::error_of;
using test::Gen;

namespace {

/// Two sets with so many items in common, and the sketch of what is in only one of them.
struct SketchPair {
  SketchPair(Gen& gen, std::size_t common, std::size_t different, std::size_t cells)
      : difference(cells) {
    Sketch right(cells);
    for (; common > 0; --common) {
      const SketchItem item = gen.bits();
      difference.add(item);
      right.add(item);
    }
    while (only.size() < different) {
      const SketchItem item = gen.bits();
      if (!only.insert(item).second) continue;
      (gen.coin() ? difference : right).add(item);
    }
    difference -= right;
  }

  std::set<SketchItem> only;
  Sketch difference;
};

}  // namespace

TEST_CASE("a sketch tells the items of two sets that differ, whatever they have in common") {
  int told = 0;
  int all = 0;
  test::forall("sketches", 300, [&](Gen& gen) {
    const std::size_t different = gen.index(400);
    const SketchPair pair(gen, gen.index(2'000), different, loam::cells_for(different));
    const auto items = pair.difference.items();
    ++all;
    if (!items) return;
    ++told;
    REQUIRE(std::set<SketchItem>(items->begin(), items->end()) == pair.only);
    REQUIRE(items->size() == pair.only.size());
  });
  CHECK(told * 100 >= all * 97);
}

TEST_CASE("a sketch that is too small says so") {
  test::forall("small sketches", 300, [](Gen& gen) {
    const std::size_t different = 4 + gen.index(200);
    const SketchPair pair(gen, gen.index(100), different, different / 2);
    REQUIRE(!pair.difference.items());
  });
}

TEST_CASE("equal sets have no difference, and one sketch has all there is") {
  Gen gen(1);
  const SketchPair equal(gen, 1'000, 0, 20);
  CHECK(equal.difference.items() == std::vector<SketchItem>{});
  Sketch one(1);
  one.add(77);
  CHECK(one.items() == std::vector<SketchItem>{77});
  CHECK(Sketch(0).items() == std::vector<SketchItem>{});
  CHECK(Sketch(5).items() == std::vector<SketchItem>{});
}

TEST_CASE("the item zero is an item like any other") {
  Sketch sketch(20);
  sketch.add(0);
  CHECK(sketch.items() == std::vector<SketchItem>{0});
}

TEST_CASE("cells that nobody made are told from a sketch, or say nothing of consequence") {
  test::forall("made-up cells", 500, [](Gen& gen) {
    loam::Bytes octets = gen.bytes(600);
    octets.resize(octets.size() / Sketch::cell_octets * Sketch::cell_octets);
    const auto items = Sketch::from(octets).items();
    if (items) REQUIRE(items->size() <= octets.size() / Sketch::cell_octets);
  });
}

TEST_CASE("a longer sketch begins with the shorter one of the same set") {
  Gen gen(2);
  Sketch small(10);
  Sketch large(100);
  for (int i = 0; i < 500; ++i) {
    const SketchItem item = gen.bits();
    small.add(item);
    large.add(item);
  }
  const loam::Bytes octets = large.octets();
  CHECK(small.octets() == loam::Bytes(octets.begin(), octets.begin() + 120));
  CHECK(Sketch::from(octets) == large);
  CHECK(error_of([&] { (void)Sketch::from(loam::BytesView(octets).first(13)); }) ==
        ErrorCode::invalid);
}

TEST_CASE("the cells of an item never change: two machines agree") {
  Sketch sketch(300);
  sketch.add(0x0123456789abcdef);
  std::string in;
  const loam::Bytes octets = sketch.octets();
  for (std::size_t i = 0; i < sketch.cells(); ++i) {
    if (octets[i * Sketch::cell_octets] != std::byte{0}) in += std::to_string(i) + " ";
  }
  CHECK(in == "0 4 5 14 18 278 ");
}

TEST_CASE("an item is in cell i with probability 1 / (1 + i / 2)") {
  Gen gen(3);
  constexpr int items = 20'000;
  std::vector<int> hits(41);
  for (int n = 0; n < items; ++n) {
    Sketch sketch(hits.size());
    sketch.add(gen.bits() | 1);
    const loam::Bytes octets = sketch.octets();
    for (std::size_t i = 0; i < hits.size(); ++i) {
      hits[i] += octets[i * Sketch::cell_octets + 7] != std::byte{};
    }
  }
  CHECK(hits[0] == items);
  for (const std::size_t i : {1U, 2U, 5U, 10U, 40U}) {
    CAPTURE(i);
    const double expected = items / (1 + static_cast<double>(i) / 2);
    CHECK(hits[i] > expected * 0.9);
    CHECK(hits[i] < expected * 1.1);
  }
}

TEST_CASE("an estimate is of the right size, for any difference and sets") {
  test::forall("estimates", 100, [](Gen& gen) {
    DifferenceEstimate left;
    DifferenceEstimate right;
    const std::uint64_t different = std::uint64_t{1} << gen.below(15);
    for (std::uint64_t i = 0; i < different; ++i) (gen.coin() ? left : right).add(gen.bits());
    for (std::size_t common = gen.index(3'000); common > 0; --common) {
      const SketchItem item = gen.bits();
      left.add(item);
      right.add(item);
    }
    const std::uint64_t estimate = left.to(right);
    CAPTURE(different);
    REQUIRE(estimate * 10 >= different * 4);
    REQUIRE(estimate * 10 <= different * 25 + 10);
    REQUIRE(estimate == right.to(left));
  });
}

TEST_CASE("an estimate of equal sets is zero, and of nothing but differences finite") {
  DifferenceEstimate left;
  for (SketchItem item = 1; item < 100; ++item) left.add(item * 0x9e3779b97f4a7c15U);
  CHECK(left.to(left) == 0);
  DifferenceEstimate made(loam::Bytes(DifferenceEstimate::octets_size, std::byte{0x55}));
  CHECK(made.to(DifferenceEstimate()) > 1'000'000);
  CHECK(error_of([] { (void)DifferenceEstimate(loam::Bytes(3)); }) == ErrorCode::invalid);
}

TEST_CASE("items of other dots, states and keys differ") {
  const loam::SketchKey key{std::byte{1}};
  const loam::SketchKey other{std::byte{2}};
  const loam::ActorId actor{{std::byte{3}}};
  const loam::Fingerprint live{1, 2};
  std::set<SketchItem> items;
  for (const loam::SketchKey& with : {key, other}) {
    items.insert(loam::sketch_item(with, loam::Dot{actor, 1}));
    items.insert(loam::sketch_item(with, loam::Dot{actor, 2}));
    items.insert(loam::sketch_item(with, loam::Dot{{}, 1}));
    items.insert(loam::sketch_item(with, actor, loam::RangeSet({1, 4}), live));
    items.insert(loam::sketch_item(with, actor, loam::RangeSet({1, 5}), live));
    items.insert(loam::sketch_item(with, actor, loam::RangeSet({1, 4}), {}));
  }
  CHECK(items.size() == 12);
}
