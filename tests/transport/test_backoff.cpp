#include <doctest/doctest.h>

#include "transport/backoff.hpp"

using namespace std::chrono_literals;
using loam::Backoff;

namespace {
constexpr double almost_one = 0.999'999'999;
}

TEST_CASE("the pause spans from nothing to the bound") {
  CHECK(Backoff{}.next(0) == 0ms);
  CHECK(Backoff{}.next(0.5) == 125ms);
  CHECK(Backoff{}.next(almost_one) == 249ms);
}

TEST_CASE("the bound doubles with every failure and stops at 30 s") {
  Backoff backoff;
  for (const auto bound : {250ms, 500ms, 1'000ms, 2'000ms, 4'000ms, 8'000ms, 16'000ms, 30'000ms}) {
    CHECK(backoff.bound() == bound);
    CHECK(backoff.next(almost_one) == bound - 1ms);
  }
  for (int failures = 0; failures < 1'000; ++failures) (void)backoff.next(0);
  CHECK(backoff.bound() == loam::backoff_max);
}

TEST_CASE("a settled link starts the bound again and a shorter one does not") {
  Backoff backoff;
  (void)backoff.next(0);
  (void)backoff.next(0);
  backoff.ended(loam::backoff_settled - 1ms);
  CHECK(backoff.bound() == 1'000ms);
  backoff.ended(loam::backoff_settled);
  CHECK(backoff == Backoff{});
}
