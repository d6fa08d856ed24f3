#include <limits>
#include <set>

#include "crdt/context.hpp"
#include "tests/support/forall.hpp"
#include "tests/support/ranges.hpp"

using loam::Context;
using loam::Dot;
using loam::Range;
using loam::RangeSet;
using test::Gen;

namespace {

constexpr std::uint64_t greatest_counter = std::numeric_limits<std::uint64_t>::max();

// The same set both ways.
struct Both {
  RangeSet ranges;
  std::set<std::uint64_t> counters;

  void insert(Range range) {
    ranges.insert(range);
    for (std::uint64_t at = range.first; at <= range.last; ++at) counters.insert(at);
  }
};

Both random_set(Gen& gen) {
  Both both;
  for (auto left = gen.below(12); left > 0; --left) {
    const std::uint64_t first = gen.between(1, 40);
    both.insert({first, first + gen.below(5)});
  }
  return both;
}

std::set<std::uint64_t> expanded(const RangeSet& ranges) {
  std::set<std::uint64_t> result;
  for (const Range& range : ranges) {
    for (std::uint64_t at = range.first; at <= range.last; ++at) result.insert(at);
  }
  return result;
}

// Sorted, not empty, neither overlapping nor touching.
bool is_normal(const RangeSet& ranges) {
  std::uint64_t free_from = 1;
  for (const Range& range : ranges) {
    if (range.first < free_from || range.last < range.first) return false;
    free_from = range.last + 2;
  }
  return true;
}

bool same(const RangeSet& ranges, const std::set<std::uint64_t>& counters) {
  return is_normal(ranges) && expanded(ranges) == counters;
}

RangeSet set_of(std::initializer_list<Range> ranges) {
  RangeSet result;
  for (const Range& range : ranges) result.insert(range);
  return result;
}

}  // namespace

TEST_CASE("a range set holds what a set of numbers holds") {
  test::forall("range set", 4'000, [](Gen& gen) {
    const Both both = random_set(gen);
    REQUIRE(same(both.ranges, both.counters));
    REQUIRE(both.ranges.count() == both.counters.size());
    REQUIRE(both.ranges.empty() == both.counters.empty());
    REQUIRE(both.ranges.highest() == (both.counters.empty() ? 0 : *both.counters.rbegin()));
    for (std::uint64_t at = 0; at < 50; ++at) {
      REQUIRE(both.ranges.contains(at) == both.counters.contains(at));
    }
  });
}

TEST_CASE("union, difference, intersection and inclusion of range sets are those of sets") {
  test::forall("range set algebra", 4'000, [](Gen& gen) {
    const Both left = random_set(gen);
    const Both right = random_set(gen);
    std::set<std::uint64_t> either = left.counters, minus, both;
    either.insert(right.counters.begin(), right.counters.end());
    for (const std::uint64_t at : left.counters) {
      (right.counters.contains(at) ? both : minus).insert(at);
    }
    RangeSet joined = left.ranges;
    joined.insert(right.ranges);
    REQUIRE(same(joined, either));
    REQUIRE(same(left.ranges.minus(right.ranges), minus));
    REQUIRE(same(left.ranges.intersect(right.ranges), both));
    REQUIRE(left.ranges.contains(right.ranges) == (both.size() == right.counters.size()));
    REQUIRE(joined.contains(left.ranges));
  });
}

TEST_CASE("equal range sets have one representation, whatever the order of insertion") {
  test::forall("range set order", 2'000, [](Gen& gen) {
    const Both both = random_set(gen);
    std::vector<std::uint64_t> counters(both.counters.begin(), both.counters.end());
    RangeSet singly;
    for (const std::uint64_t counter : gen.shuffled(counters)) singly.insert(counter);
    REQUIRE(singly == both.ranges);
  });
}

TEST_CASE("ranges that touch become one") {
  RangeSet ranges = set_of({{1, 2}, {5, 6}, {3, 4}});
  CHECK(test::ranges_of(ranges) == std::vector<loam::Range>{{1, 6}});
  ranges.insert(8);
  CHECK(test::ranges_of(ranges) == std::vector<loam::Range>{{1, 6}, {8, 8}});
}

TEST_CASE("a range set reaches to the greatest number") {
  RangeSet ranges = set_of({{greatest_counter, greatest_counter}, {1, 1}, {greatest_counter - 1, greatest_counter - 1}});
  CHECK(test::ranges_of(ranges) == std::vector<loam::Range>{{1, 1}, {greatest_counter - 1, greatest_counter}});
  CHECK(ranges.contains(greatest_counter));
  CHECK(test::ranges_of(ranges.minus(set_of({{2, greatest_counter}}))) == std::vector<loam::Range>{{1, 1}});
  ranges.insert({1, greatest_counter});
  CHECK(test::ranges_of(ranges) == std::vector<loam::Range>{{1, greatest_counter}});
  CHECK(ranges.minus(set_of({{greatest_counter, greatest_counter}})).highest() == greatest_counter - 1);
}

TEST_CASE("a context holds the dots of every actor apart") {
  const loam::ActorId a{{std::byte{1}}};
  const loam::ActorId b{{std::byte{2}}};
  Context context;
  CHECK(context.empty());
  context.insert(Dot{a, 1});
  context.insert(b, Range{5, 7});
  CHECK(context.contains(Dot{a, 1}));
  CHECK_FALSE(context.contains(Dot{b, 1}));
  CHECK(context.contains(Dot{b, 7}));
  CHECK(context.count() == 4);
  CHECK(context.of(loam::ActorId{}).empty());
}

TEST_CASE("an actor of whom nothing is known is not in the context") {
  const loam::ActorId a{{std::byte{1}}};
  Context context;
  context.insert(a, RangeSet());
  CHECK(context == Context());
  context.insert(Context());
  CHECK(context.empty());
}

TEST_CASE("the union of contexts is the union of their dots") {
  test::forall("context union", 2'000, [](Gen& gen) {
    Context left, right;
    std::set<Dot> dots;
    for (auto left_over = gen.below(20); left_over > 0; --left_over) {
      const Dot dot{{{static_cast<std::byte>(gen.below(3))}}, gen.between(1, 9)};
      dots.insert(dot);
      (gen.coin() ? left : right).insert(dot);
    }
    Context both = left;
    both.insert(right);
    REQUIRE(both.count() == dots.size());
    for (const Dot& dot : dots) REQUIRE(both.contains(dot));
    right.insert(left);
    REQUIRE(right == both);
  });
}
