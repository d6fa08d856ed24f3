#include <doctest/doctest.h>

#include "crdt/lww.hpp"
#include "tests/support/forall.hpp"
#include "tests/support/replica.hpp"

using loam::Assignment;
using loam::Dot;
using loam::Hlc;

namespace {

const loam::ActorId low{{std::byte{1}}};
const loam::ActorId high{{std::byte{2}}};

}  // namespace

TEST_CASE("the later stamp wins, then the greater actor, then the greater counter") {
  const Assignment base{{low, 5}, Hlc{10}, std::nullopt};
  CHECK(loses_to(base, {{low, 1}, Hlc{11}, std::nullopt}));
  CHECK(loses_to(base, {{high, 1}, Hlc{10}, std::nullopt}));
  CHECK(loses_to(base, {{low, 6}, Hlc{10}, std::nullopt}));
  CHECK_FALSE(loses_to(base, {{high, 9}, Hlc{9}, std::nullopt}));
  CHECK_FALSE(loses_to(base, base));
}

TEST_CASE("a register without assignments has no winner") {
  CHECK(loam::fold({}) == loam::Register{});
}

TEST_CASE("siblings are ordered with the last loser first") {
  const Assignment first{{low, 1}, Hlc{3}, std::nullopt};
  const Assignment second{{low, 2}, Hlc{2}, std::nullopt};
  const Assignment third{{low, 3}, Hlc{1}, std::nullopt};
  const loam::Register held = loam::fold({third, first, second});
  CHECK(held.winner == first);
  CHECK(held.siblings == std::vector<Assignment>{second, third});
}

TEST_CASE("the fold does not depend on the order of the assignments") {
  test::forall("fold order", 2'000, [](test::Gen& gen) {
    std::map<Dot, Assignment> distinct;
    for (auto left = gen.below(8); left > 0; --left) {
      const Dot dot{gen.coin() ? low : high, gen.between(1, 5)};
      distinct[dot] = {dot, Hlc{gen.below(3)}, gen.bytes(2)};
    }
    std::vector<Assignment> assignments;
    for (const auto& [dot, assignment] : distinct) assignments.push_back(assignment);
    const loam::Register held = loam::fold(assignments);
    REQUIRE(held == loam::fold(gen.shuffled(assignments)));
    REQUIRE(held.winner.has_value() == !assignments.empty());
    for (const Assignment& assignment : assignments) {
      REQUIRE((assignment == *held.winner || loses_to(assignment, *held.winner)));
    }
  });
}
