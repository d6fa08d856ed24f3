#pragma once

#include <deque>
#include <map>
#include <string>

#include "tests/strong/history.hpp"
#include "tests/support/gen.hpp"
#include "transport/strong_call.hpp"

namespace test {

/// What happened in one run.
struct StrongRun {
  std::vector<Operation> history;
  std::uint64_t decided = 0;  ///< operations that a majority has acknowledged
  std::uint64_t changes = 0;  ///< of voters that were ended
  std::uint64_t losses = 0;   ///< of stores
};

/// A few instances with two segments and a registry, all as sets of small numbers, which call and vote as the product does
/// (StrongCall, vote_of, view_of): over links that lose, repeat and reorder, through crashes and lost stores, while
/// one or two governors change the voters, now and then without knowing of each other. One seed, one run.
StrongRun run_strong(std::uint64_t seed);

}  // namespace test
