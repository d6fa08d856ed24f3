#include <limits>

#include "crdt/clock.hpp"
#include "tests/support/forall.hpp"

using loam::Clock;
using loam::clock_follow_max_ms;
using loam::Hlc;

namespace {

constexpr std::int64_t now_ms = 1'700'000'000'000;
constexpr std::int64_t ms_max = (std::int64_t{1} << 48) - 1;
constexpr Hlc greatest{std::numeric_limits<std::uint64_t>::max()};

// The last stamp that belongs to a millisecond.
Hlc end_of_ms(std::int64_t ms) { return Hlc{Hlc::at_ms(ms).value | 0xffffU}; }

}  // namespace

TEST_CASE("a stamp holds its milliseconds above a 16-bit counter") {
  CHECK(Hlc::at_ms(now_ms).ms() == now_ms);
  CHECK(Hlc::at_ms(1).value == 0x10000U);
  CHECK(Hlc{Hlc::at_ms(now_ms).value + 0xffffU}.ms() == now_ms);
  CHECK(Hlc::at_ms(2) > Hlc{Hlc::at_ms(1).value + 0xffffU});
}

TEST_CASE("times outside 48 bits count as the first and the last millisecond") {
  CHECK(Hlc::at_ms(0) == Hlc{});
  CHECK(Hlc::at_ms(-1) == Hlc{});
  CHECK(Hlc::at_ms(std::numeric_limits<std::int64_t>::min()) == Hlc{});
  CHECK(Hlc::at_ms(ms_max).ms() == ms_max);
  CHECK(Hlc::at_ms(ms_max + 1) == Hlc::at_ms(ms_max));
  CHECK(Hlc::at_ms(1'000'000'000'000'000) == Hlc::at_ms(ms_max));
  CHECK(Hlc::at_ms(std::numeric_limits<std::int64_t>::max()) == Hlc::at_ms(ms_max));
}

TEST_CASE("stamps of one millisecond count up and then follow the wall clock") {
  Clock clock;
  CHECK(clock.next(now_ms) == Hlc::at_ms(now_ms));
  CHECK(clock.next(now_ms) == Hlc{Hlc::at_ms(now_ms).value + 1});
  CHECK(clock.next(now_ms + 1) == Hlc::at_ms(now_ms + 1));
}

TEST_CASE("more stamps in a millisecond than the counter holds run on into the next") {
  Clock clock(end_of_ms(now_ms));
  CHECK(clock.next(now_ms) == Hlc::at_ms(now_ms + 1));
}

TEST_CASE("a wall clock that goes backwards does not take the stamps along") {
  Clock clock;
  const Hlc before = clock.next(now_ms);
  CHECK(clock.next(now_ms - 86'400'000) > before);
  CHECK(clock.next(-1) > before);
  CHECK(clock.last().ms() == now_ms);
}

TEST_CASE("a new stamp is above the observed one even far in the future") {
  Clock clock;
  const Hlc far = Hlc::at_ms(now_ms * 10);
  CHECK(clock.next(now_ms, far) == Hlc{far.value + 1});
  CHECK(clock.last() == end_of_ms(now_ms + clock_follow_max_ms));
  CHECK(clock.next(now_ms, far) == Hlc{far.value + 1});  // forgotten: used for its key only
  CHECK(clock.next(now_ms) < far);
}

TEST_CASE("the clock follows others up to 60 s ahead and no further") {
  Clock clock;
  clock.observe(Hlc::at_ms(now_ms + clock_follow_max_ms), now_ms);
  CHECK(clock.last() == Hlc::at_ms(now_ms + clock_follow_max_ms));
  clock.observe(Hlc::at_ms(now_ms + clock_follow_max_ms + 1), now_ms);
  CHECK(clock.last() == end_of_ms(now_ms + clock_follow_max_ms));
  clock.observe(greatest, now_ms);
  CHECK(clock.last() == end_of_ms(now_ms + clock_follow_max_ms));
  clock.observe(Hlc{}, now_ms);
  CHECK(clock.last() == end_of_ms(now_ms + clock_follow_max_ms));
}

TEST_CASE("the greatest stamp is not exceeded") {
  Clock clock;
  CHECK(clock.next(now_ms, greatest) == greatest);
  CHECK(clock.last() < greatest);
  Clock at_end(greatest);
  CHECK(at_end.next(now_ms) == greatest);
  CHECK(at_end.next(std::numeric_limits<std::int64_t>::max(), greatest) == greatest);
}

TEST_CASE("a stamp above one at the very end of the 60 s is not issued twice") {
  Clock clock;
  const Hlc end = end_of_ms(now_ms + clock_follow_max_ms);
  const Hlc stamp = clock.next(now_ms, end);
  CHECK(stamp > end);
  CHECK(clock.next(now_ms) > stamp);
}

TEST_CASE("whatever the wall clock reads, stamps grow and the clock is never dragged along") {
  test::forall("clock", 3'000, [](test::Gen& gen) {
    Clock clock;
    Hlc greatest_own;  // of the stamps that were not forgotten
    auto wall = static_cast<std::int64_t>(gen.below(std::uint64_t{1} << 49));
    for (int i = 0; i < 20; ++i) {
      wall += static_cast<std::int64_t>(gen.below(200'000)) - 100'000;
      if (gen.one_in(10)) wall = -wall;
      const std::int64_t ahead = std::clamp<std::int64_t>(wall, 0, ms_max) + clock_follow_max_ms;
      const Hlc bound = end_of_ms(std::min(ahead, ms_max));
      const Hlc after{gen.coin() ? gen.number() : 0};
      const Hlc before = clock.last();
      const Hlc stamp = clock.next(wall, after);
      REQUIRE(stamp > after);
      REQUIRE(stamp > greatest_own);
      REQUIRE(stamp >= Hlc::at_ms(wall));
      REQUIRE(clock.last() <= std::max(bound, Hlc{before.value + 1}));
      if (after <= bound) greatest_own = stamp;
      clock.observe(Hlc{gen.number()}, wall);
      REQUIRE(clock.last() <= std::max(bound, Hlc{before.value + 1}));
    }
  });
}
