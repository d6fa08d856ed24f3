#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/sim/canary.hpp"
#include "tests/sim/runner.hpp"
#include "tests/support/forall.hpp"

namespace {

using loam::sim::Markers;
using loam::sim::Result;
using loam::sim::Runner;
using loam::sim::Selection;

constexpr const char* seeds_file = "tests/sim/seeds.txt";
constexpr int seeds_by_default = 300;

std::uint64_t number_of(const char* name, std::uint64_t otherwise) {
  const char* text = test::environment(name);
  return text ? std::strtoull(text, nullptr, 0) : otherwise;
}

std::uint64_t wanted_seeds() {
  return number_of("SEEDS", static_cast<std::uint64_t>(test::scaled(seeds_by_default)));
}

std::string replay(std::uint64_t seed, const Selection& selection) {
  return "SEED=" + std::to_string(seed) + " " + selection.text() +
         doctest::getContextOptions()->binary_name.c_str() + " -tc=\"every promise*\"";
}

// Says what failed, and the smallest run in which it does.
void report(const Runner& runner, std::uint64_t seed, const Selection& selection,
            const Result& result) {
  std::printf("seed %llu: %s\n  %s\n", static_cast<unsigned long long>(seed),
              result.failure.c_str(), replay(seed, selection).c_str());
  std::fflush(stdout);
  const Selection smaller = runner.shrunk(seed, selection);
  const Result small = runner.run(seed, smaller);
  std::printf("smaller, %zu events: %s\n  TRACE=1 %s\n", small.events, small.failure.c_str(),
              replay(seed, smaller).c_str());
  std::fflush(stdout);
}

// Whether a seed holds; reports it when it does not.
bool holds(const Runner& runner, std::uint64_t seed, Markers& markers) {
  const Result result = runner.run(seed);
  for (const auto& [name, count] : result.markers) markers[name] += count;
  if (result.failure.empty()) return true;
  report(runner, seed, {}, result);
  return false;
}

void replay_one(const Runner& runner, std::uint64_t seed) {
  const Selection selection = Selection::from_environment();
  const Result result = runner.run(seed, selection, test::environment("TRACE") != nullptr);
  std::printf("seed %llu, %zu events, trace %016llx: %s\n", static_cast<unsigned long long>(seed),
              result.events, static_cast<unsigned long long>(result.hash),
              result.failure.empty() ? "holds" : result.failure.c_str());
  if (!result.failure.empty() && test::environment("SHRINK") != nullptr) {
    report(runner, seed, selection, result);
  }
  CHECK(result.failure == "");
}

}  // namespace

TEST_CASE("seeds that have failed once hold") {
  std::ifstream file(seeds_file);
  REQUIRE(file);
  const Runner runner;
  Markers markers;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::uint64_t seed = 0;
    if (!(words >> seed)) continue;
    CHECK_MESSAGE(holds(runner, seed, markers), line);
  }
}

TEST_CASE("every promise holds while stores crash, links break and clocks lie") {
  const Runner runner;
  if (test::environment("SEED") != nullptr) return replay_one(runner, number_of("SEED", 0));
  Markers markers;
  const std::uint64_t first = number_of("FIRST", 1);
  const std::uint64_t count = wanted_seeds();
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    if (!holds(runner, seed, markers)) FAIL("seed ", seed);
  }
  std::printf("%llu seeds from %llu on\n", static_cast<unsigned long long>(count),
              static_cast<unsigned long long>(first));
  if (test::environment("VERBOSE") == nullptr) return;
  for (const auto& [name, times] : markers) {
    std::printf("%8llu  %s\n", static_cast<unsigned long long>(times), name.c_str());
  }
}

TEST_CASE("a run is a pure function of its seed") {
  const Runner runner;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const Result once = runner.run(seed);
    const Result again = runner.run(seed);
    CHECK(once.hash == again.hash);
    for (const auto& [name, times] : once.markers) {
      const auto at = again.markers.find(name);
      CHECK_MESSAGE((at != again.markers.end() && at->second == times), seed, " ", name);
    }
  }
  CHECK(runner.run(1).hash != runner.run(2).hash);
}
