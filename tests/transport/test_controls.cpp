#include <doctest/doctest.h>

#include "tests/support/forall.hpp"
#include "tests/transport/simulation.hpp"

using test::Broken;
using test::Coverage;
using test::Gen;

namespace {

struct Caught {
  int seeds = 0;  ///< how many it took
  std::string what;
};

/// What the simulation says when a rule is broken; absent when it needs more seeds than the budget.
/// A "differ" alarm counts: without a restore it says that a rule was broken.
std::optional<Caught> run(const Broken& broken, int budget) {
  Gen seeds(1);
  Coverage coverage;
  for (int run = 1; run <= budget; ++run) {
    Gen gen(seeds.bits());
    const std::string failure = test::simulate(gen, {.broken = broken}, coverage);
    if (!failure.empty()) return Caught{run, failure};
  }
  return std::nullopt;
}

void check_caught(const Broken& broken, int budget) {
  const std::optional<Caught> caught = run(broken, budget);
  REQUIRE(caught);
  MESSAGE("caught by seed ", caught->seeds, " of ", budget, ": ", caught->what);
}

}  // namespace

TEST_CASE("no rule broken: nothing is caught") { CHECK(!run({}, static_cast<int>(test::scaled(200)))); }

TEST_CASE("a removal that is not journalled is caught") {
  check_caught({.removals_not_journalled = true}, 50);
}

TEST_CASE("a journal whose floor stays when entries are dropped is caught") {
  check_caught({.floor_not_moved = true}, 50);
}

TEST_CASE("a slice that accounts for more than it brings is caught") {
  check_caught({.slices_claim_too_much = true}, 20);
}

TEST_CASE("an origin filter that drops what was relayed is caught") {
  check_caught({.relayed_left_out = true}, 50);
}

TEST_CASE("a position that moves before its records are durable is caught") {
  check_caught({.position_before_durable = true}, 100);
}

TEST_CASE("a later position that is stored after a refused chunk is caught") {
  check_caught({.refused_then_later_position = true}, 500);
}
