#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <type_traits>

#include "tests/support/gen.hpp"

namespace test {

/// The value of an environment variable; null when it is not set.
inline const char* environment(const char* name) { return std::getenv(name); }

/// How many times to run what runs `runs` times by default: RUNS_FACTOR=n multiplies, at least 1.
inline long long scaled(int runs) {
  const char* factor = environment("RUNS_FACTOR");
  const double wanted = runs * (factor ? std::strtod(factor, nullptr) : 1.0);
  return std::max(1LL, static_cast<long long>(wanted));
}

/// Where the seeds of a law start: FNV-1a of its name, so that two laws see different scenarios.
inline std::uint64_t base_of(const char* law) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (; *law != '\0'; ++law) hash = (hash ^ static_cast<unsigned char>(*law)) * 0x100000001b3U;
  return hash;
}

/// The command that runs the current test again with one seed.
inline std::string replay_command(std::uint64_t seed) {
  const auto* options = doctest::getContextOptions();
  std::string name = options->currentTest->m_name;
  std::replace(name.begin(), name.end(), ',', '?');  // a comma separates filters
  return "SEED=" + std::to_string(seed) + " " + options->binary_name.c_str() + " -tc=\"" + name +
         "\"";
}

/// The seed of the law that is running; 0 between laws. Printed when the process aborts, where
/// INFO is not (main.cpp).
inline std::uint64_t running_seed = 0;

/// Runs a law with one seed. The law answers a bool, or uses REQUIRE itself.
template <class Law>
void check_seed(const char* law, std::uint64_t seed, Law& holds) {
  running_seed = seed;
  INFO(law, ": ", replay_command(seed));
  Gen gen(seed);
  if constexpr (std::is_same_v<std::invoke_result_t<Law&, Gen&>, bool>) {
    REQUIRE(holds(gen));
  } else {
    holds(gen);
  }
  running_seed = 0;
}

/// Checks that a law holds for `runs` pseudo-random scenarios. The first failure ends the test and
/// prints the SEED=n that replays it; the environment's SEED=n runs that scenario only.
template <class Law>
void forall(const char* law, int runs, Law&& holds) {
  if (const char* seed = environment("SEED")) {
    return check_seed(law, std::strtoull(seed, nullptr, 0), holds);
  }
  Gen seeds(base_of(law));
  for (long long left = scaled(runs); left > 0; --left) check_seed(law, seeds.bits(), holds);
}

}  // namespace test
