// The engine beside a naive tombstone set and a log of writes. testing.md, 2.
#include "tests/support/forall.hpp"
#include "tests/support/world.hpp"

using loam::Kind;
using test::Gen;
using test::World;

namespace {

constexpr int chunk_runs = 3'000;

void chunked_is_unchunked(Gen& gen, Kind kind) {
  World world(kind);
  world.steps(gen, 16);
  const loam::MemoryStore& from = world.store(0);
  const loam::MemoryStore& to = world.store(1);
  loam::MemoryStore whole = to;
  apply(whole, from.full_state());
  for (std::size_t dots = 1; dots <= from.context().count() + 1; ++dots) {
    loam::MemoryStore chunked = to;
    for (const auto& piece : gen.shuffled(test::pieces_of(from.context(), dots))) {
      apply(chunked, from.slice(piece));
    }
    REQUIRE(chunked == whole);
  }
}

}  // namespace

TEST_CASE("a set segment is at every step what the tombstone model says") {
  test::forall("set lock step", chunk_runs,
               [](Gen& gen) { REQUIRE(test::lock_step(gen, Kind::set) == ""); });
}

TEST_CASE("a map segment is at every step what the log model says") {
  test::forall("map lock step", chunk_runs,
               [](Gen& gen) { REQUIRE(test::lock_step(gen, Kind::map) == ""); });
}

TEST_CASE("a catch-up in chunks of any size is the catch-up in one piece") {
  for (const Kind kind : {Kind::set, Kind::map}) {
    test::forall("chunks", chunk_runs / 6, [&](Gen& gen) { chunked_is_unchunked(gen, kind); });
  }
}
