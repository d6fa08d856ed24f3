#include <doctest/doctest.h>

#include "tests/support/forall.hpp"
#include "tests/transport/simulation.hpp"

using test::Coverage;
using test::Gen;

namespace {

/// Paths that a few thousand runs must take, or the simulation has become tame.
const std::vector<std::string> rare_paths{"applies lost",
                                          "apply refused",
                                          "compare: items",
                                          "compare: items in answer",
                                          "compare: items with more to come",
                                          "compare: sketch",
                                          "context: a part with more to come",
                                          "context: all",
                                          "context: an entry of the common part",
                                          "context: names",
                                          "dead: dots",
                                          "dead: items",
                                          "dead: undecided",
                                          "delta: position only",
                                          "delta: several actors",
                                          "delta: without a position",
                                          "journal dropped",
                                          "journal truncated",
                                          "link cut",
                                          "link left",
                                          "live: all",
                                          "live: all is wanted",
                                          "live: sets",
                                          "live: sketch",
                                          "live: with more to come",
                                          "ping",
                                          "state: a comparison is asked for",
                                          "state: asked for",
                                          "two links to one peer",
                                          "window closed"};
const std::vector<std::string> rare_paths_with_restores{"alarm: differ", "restored as a new store",
                                                        "restored as the same store"};

void check_coverage(const Coverage& coverage, const std::vector<std::string>& wanted) {
  if (test::environment("SEED") || test::scaled(1'000) < 1'000) return;
  for (const std::string& path : wanted) {
    CAPTURE(path);
    CHECK(coverage.contains(path));
  }
}

}  // namespace

TEST_CASE(
    "peers that write, exchange, crash and lose journals at random converge, and lose nothing") {
  Coverage coverage;
  test::forall("simulation", 2'500,
               [&](Gen& gen) { REQUIRE(test::simulate(gen, {}, coverage) == ""); });
  check_coverage(coverage, rare_paths);
  CHECK(!coverage.contains("alarm: differ"));
}

TEST_CASE(
    "peers that are restored from old backups converge too, and lose nothing that a peer had") {
  Coverage coverage;
  test::forall("simulation with restores", 1'500,
               [&](Gen& gen) { REQUIRE(test::simulate(gen, {.restores = true}, coverage) == ""); });
  check_coverage(coverage, rare_paths_with_restores);
}

TEST_CASE("a broken journal does not keep peers apart: they notice, and compare everything") {
  const std::vector<test::Broken> all{{.removals_not_journalled = true},
                                      {.floor_not_moved = true},
                                      {.relayed_left_out = true},
                                      {.position_before_durable = true},
                                      {.refused_then_later_position = true}};
  Coverage coverage;
  test::forall("simulation with broken journals", 1'000, [&](Gen& gen) {
    const test::Broken& broken = gen.pick(all);
    REQUIRE(test::simulate(gen, {.may_alarm = true, .broken = broken}, coverage) == "");
  });
  check_coverage(coverage, {"alarm: differ"});
}

TEST_CASE("a run is a pure function of its seed") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::array<Coverage, 2> coverage;
    for (Coverage& each : coverage) {
      Gen gen(seed);
      CHECK(test::simulate(gen, {.restores = true}, each) == "");
    }
    CHECK(coverage[0] == coverage[1]);
  }
}
