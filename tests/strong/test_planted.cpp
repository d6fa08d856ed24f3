// A checker that lets one of these pass is broken.
#include <doctest/doctest.h>

#include "planted.hpp"
#include "tests/strong/model.hpp"

namespace test {

TEST_CASE("planted bugs of strong calls are caught") {
  for (const loam::Bug bug : {loam::Bug::majority_merge, loam::Bug::vote_before_durable, loam::Bug::vote_after_loss,
                              loam::Bug::epoch_ignored, loam::Bug::vote_without_dots}) {
    CAPTURE(static_cast<int>(bug));
    loam::planted_bug = bug;
    std::uint64_t seed = 1;
    while (seed <= 20'000 && !what_is_wrong(run_strong(seed).history)) ++seed;
    loam::planted_bug = loam::Bug::none;
    CHECK(seed <= 20'000);
    MESSAGE("bug ", static_cast<int>(bug), " caught by seed ", seed);
  }
}

}  // namespace test
