// Strong reads and writes are linearizable: random histories of the protocol's own parts, judged by a checker that is
// judged first.
#include <doctest/doctest.h>

#include <cstdlib>

#include "tests/strong/model.hpp"
#include "tests/support/forall.hpp"

namespace test {
namespace {

using Kind = Operation::Kind;

std::uint64_t number_from(const char* name, std::uint64_t fallback) {
  const char* given = std::getenv(name);
  return given == nullptr ? fallback : std::strtoull(given, nullptr, 10);
}

std::vector<Operation> without_first_segment(std::vector<Operation> history) {
  for (Operation& each : history) ++each.segment;
  return history;
}

}  // namespace

TEST_CASE("the checker finds an order where there is one") {
  CHECK_FALSE(what_is_wrong({}));
  // A read beside a write may come before or after it.
  for (const std::uint64_t seen : {0U, 1U}) {
    CHECK_FALSE(what_is_wrong({{Kind::write, 0, 1, 5, 1}, {Kind::read, 0, 2, 4, seen}}));
  }
  // What has an unknown outcome happens late, or never.
  CHECK_FALSE(what_is_wrong({{Kind::write, 0, 1, {}, 1}, {Kind::read, 0, 2, 3, 0}, {Kind::read, 0, 4, 5, 1}}));
  CHECK_FALSE(what_is_wrong({{Kind::write, 0, 1, {}, 1}, {Kind::read, 0, 2, 3, 0}}));
  CHECK_FALSE(what_is_wrong({{Kind::read, 0, 1, {}, 7}}));
  // Segments have nothing to do with each other.
  CHECK_FALSE(what_is_wrong({{Kind::write, 0, 1, 2, 1}, {Kind::read, 1, 3, 4, 0}}));
}

TEST_CASE("the checker notices a stale read, and reads of which neither holds the other") {
  const std::vector<std::vector<Operation>> wrong{
      {{Kind::write, 0, 1, 2, 1}, {Kind::read, 0, 3, 4, 0}},                                // stale
      {{Kind::write, 0, 1, {}, 1}, {Kind::read, 0, 2, 3, 1}, {Kind::read, 0, 4, 5, 0}},     // it was there, and is gone
      {{Kind::read, 0, 1, 2, 1}, {Kind::write, 0, 3, 4, 1}},                                // before it was written
      {{Kind::write, 0, 1, 9, 1}, {Kind::write, 0, 1, 9, 2}, {Kind::read, 0, 2, 3, 1}, {Kind::read, 0, 2, 3, 2}},
      {{Kind::write, 0, 1, {}, 1}, {Kind::write, 0, 1, {}, 2}, {Kind::read, 0, 2, 5, 1}, {Kind::read, 0, 3, 6, 2}},
      {{Kind::write, 0, 1, 2, 1}, {Kind::write, 0, 3, 4, 2}, {Kind::read, 0, 3, 5, 2}},     // the later one alone
  };
  for (const auto& history : wrong) {
    CHECK(what_is_wrong(history));
    CHECK(what_is_wrong(without_first_segment(history)));
  }
  CHECK(what_is_wrong({{Kind::write, 0, 1, 2, 1}, {Kind::read, 0, 3, 4, 1}}, 1) == "segment 0: not decided in time");
}

// SEED=n replays one; SEEDS=n runs that many, from FIRST.
TEST_CASE("random strong histories are linearizable, through loss, crashes, lost stores and changes of voters") {
  const std::uint64_t first = number_from("SEED", number_from("FIRST", 1));
  const std::uint64_t count = std::getenv("SEED") != nullptr ? 1 : number_from("SEEDS", static_cast<std::uint64_t>(scaled(3'000)));
  std::uint64_t decided = 0;
  std::uint64_t changes = 0;
  std::uint64_t losses = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const StrongRun run = run_strong(seed);
    decided += run.decided;
    changes += run.changes;
    losses += run.losses;
    const auto wrong = what_is_wrong(run.history);
    if (!wrong) continue;
    for (const Operation& each : run.history) {
      MESSAGE((each.kind == Kind::write ? "write " : "read  "), each.segment, " ", each.begun, "-",
              each.ended ? std::to_string(*each.ended) : "?", "  ", each.writes);
    }
    FAIL("seed ", seed, ": ", *wrong, "; SEED=", seed, " replays it");
  }
  // What is never decided shows nothing.
  MESSAGE(count, " histories: ", decided, " operations acknowledged, ", changes, " changes of voters, ", losses, " lost stores");
  if (count >= 1'000) {
    CHECK(decided > 2 * count);
    CHECK(changes > count / 20);
    CHECK(losses > count / 4);
  }
}

}  // namespace test
