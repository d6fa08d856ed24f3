// A checker that lets one of these pass is broken.
#include <doctest/doctest.h>

#include "planted.hpp"
#include "tests/strong/model.hpp"

namespace test {

TEST_CASE("planted bugs of strong calls are caught") {
  struct Planted {
    loam::Bug bug;
    std::uint64_t first;  ///< of the seeds: of a rare one not far before one that catches it
  };
  for (const auto& [bug, first] : {Planted{loam::Bug::majority_merge, 1}, Planted{loam::Bug::vote_before_durable, 1},
                                   Planted{loam::Bug::vote_after_loss, 1}, Planted{loam::Bug::epoch_ignored, 4'000},
                                   Planted{loam::Bug::vote_without_dots, 1}}) {
    loam::planted_bug = bug;
    std::uint64_t seed = first;
    while (seed <= 20'000 && !what_is_wrong(run_strong(seed).history)) ++seed;
    loam::planted_bug = loam::Bug::none;
    CHECK(seed <= 20'000);
    MESSAGE("bug ", static_cast<int>(bug), " caught by seed ", seed);
  }
}

}  // namespace test
