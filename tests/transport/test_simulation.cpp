#include <doctest/doctest.h>

#include "tests/support/forall.hpp"
#include "tests/transport/simulation.hpp"

using test::Coverage;
using test::Gen;

namespace {

Coverage coverage;

}  // namespace

TEST_CASE("peers that write, exchange, crash and lose journals at random converge, and lose nothing") {
  test::forall("simulation", 2'000, [&](Gen& gen) {
    REQUIRE(test::simulate(gen, {}, coverage) == "");
  });
  for (const auto& [what, times] : coverage) MESSAGE(what, ": ", times);
}

TEST_CASE("peers that are restored from old backups converge too") {
  test::forall("simulation with restores", 1'000, [&](Gen& gen) {
    REQUIRE(test::simulate(gen, {.restores = true}, coverage) == "");
  });
  for (const auto& [what, times] : coverage) MESSAGE(what, ": ", times);
}
