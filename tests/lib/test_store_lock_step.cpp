#include <doctest/doctest.h>

#include "tests/lib/lock_step.hpp"
#include "tests/support/forall.hpp"

namespace loam {
namespace {

using ::test::forall;
using ::test::Gen;
using test::LockStep;

void run_trace(Gen& gen, std::uint64_t journal_entries_max, int steps) {
  LockStep trace(journal_entries_max);
  for (int step = 0; step < steps; ++step) {
    INFO("step ", step);
    REQUIRE(trace.step(gen) == "");
  }
  trace.reopen();
  REQUIRE(trace.compare() == "");
}

TEST_CASE("the store and the memory store stay in lock step over random transactions") {
  forall("store lock step", 12, [](Gen& gen) { run_trace(gen, 100'000, 60); });
}

TEST_CASE("with a short journal the floor follows the head, entry by entry") {
  forall("store lock step, short journal", 4, [](Gen& gen) { run_trace(gen, 3, 60); });
}

TEST_CASE("without a journal the floor is the head after every commit") {
  forall("store lock step, no journal", 4, [](Gen& gen) { run_trace(gen, 0, 40); });
}

}  // namespace
}  // namespace loam
