#include <doctest/doctest.h>

#include "tests/transport/catch_up.hpp"

using loam::DeltaFrame;
using test::Net;
using test::Peer;
using test::lessons;
using test::peer;
using test::operator""s;

namespace {

/// Adds records of about that size until there are so many.
void fill(Peer& to, int records, std::size_t octets) {
  for (int i = 0; i < records; ++i) {
    to.write(lessons, [&](test::Replica& replica) {
      const std::string name = std::to_string(replica.store().context().count());
      return replica.add({name, std::string(octets, 'x')});
    });
  }
}

std::vector<std::size_t> chunk_sizes(const Net& net, std::size_t link, int from) {
  std::vector<std::size_t> sizes;
  for (const test::Sent& sent : net.sent()) {
    if (sent.link != link || sent.from != from) continue;
    if (std::holds_alternative<DeltaFrame>(sent.frame())) sizes.push_back(sent.bytes.size());
  }
  return sizes;
}

std::uint64_t total(const std::vector<std::size_t>& sizes) {
  std::uint64_t sum = 0;
  for (const std::size_t size : sizes) sum += size;
  return sum;
}

/// Delivers and wakes, but nothing becomes durable at side 1.
void run_without_commits(Net& net, std::size_t link) {
  for (bool more = true; more;) {
    more = net.deliver(link, 0);
    more = net.deliver(link, 1) || more;
    more = net.commit(link, 0) || more;
    more = net.wake(link, 0) || more;
    more = net.wake(link, 1) || more;
  }
}

constexpr std::size_t chunk_octets_max = std::size_t{64} << 10;
constexpr std::uint64_t window_octets = std::uint64_t{4} << 20;
constexpr std::uint64_t burst_octets = std::uint64_t{1} << 20;
constexpr std::size_t frame_ranges_max = 2'000;

}  // namespace

TEST_CASE("a chunk has at most 64 KiB, and not much less where there is more") {
  bool overshoots = false;
  SUBCASE("a slice ends before the record that does not fit") {}
  SUBCASE("a slice ends behind it") { overshoots = true; }
  for (const std::size_t octets : {1U, 30U, 300U, 3'000U, 12'000U, 50'000U}) {
    CAPTURE(octets);
    Peer left = peer(1);
    Peer right = peer(2);
    left.slices_overshoot = overshoots;
    fill(left, octets > 10'000 ? 100 : 2'500, octets);
    Net net;
    const std::size_t link = net.connect(left, right, {.once = {true, false}});
    net.pass(1s);
    CHECK(left.store(lessons).roots() == right.store(lessons).roots());
    auto chunks = net.frames<DeltaFrame>(link, 0);
    chunks.pop_back();  // the rest
    for (const DeltaFrame& chunk : chunks) {
      const std::size_t size = loam::encode_frame(chunk).size();
      CHECK(size <= chunk_octets_max);
      CHECK((size >= chunk_octets_max * 5 / 9 || octets > 40'000 ||
             chunk.delta.live.size() == 1'000));
    }
  }
}

TEST_CASE("a record that is larger than a chunk travels alone") {
  Peer left = peer(1);
  Peer right = peer(2);
  SUBCASE("a slice ends before the record that does not fit") {}
  SUBCASE("a slice ends behind it") { left.slices_overshoot = true; }
  fill(left, 3, 200);
  left.write(lessons, [&](test::Replica& replica) {
    return replica.add({"large", std::string(loam::record_octets_max - 100, 'x')});
  });
  fill(left, 3, 300);
  Net net;
  const std::size_t link = net.connect(left, right, {.once = {true, false}});
  net.pass(1s);
  CHECK(left.store(lessons).roots() == right.store(lessons).roots());
  const auto sizes = chunk_sizes(net, link, 0);
  CHECK(*std::max_element(sizes.begin(), sizes.end()) < loam::record_octets_max + 1'000);
  std::size_t alone = 0;
  for (const DeltaFrame& frame : net.frames<DeltaFrame>(link, 0)) {
    for (const auto& [dot, record] : frame.delta.live) {
      if (record.size() < 100'000) continue;
      ++alone;
      CHECK(frame.delta.live.size() == 1);
    }
  }
  CHECK(alone == 1);
}

TEST_CASE("a chunk has at most 1,000 records, whatever was in it before") {
  // An actor fills a chunk to the last record, and the pages of actors that follow add to it.
  Peer left(1, 1, {{"registry", loam::Kind::map}});
  const auto put = [&](int keys, int from) {
    for (int i = 0; i < keys; ++i) {
      left.write("registry", [&](test::Replica& replica) {
        return replica.erase({std::to_string(from + i), ""});
      });
    }
  };
  Peer right(2, 2, {{"registry", loam::Kind::map}});
  for (unsigned i = 0; i < 12; ++i) {
    loam::ActorId actor{};
    actor.bytes[0] = std::byte{1};
    actor.bytes[1] = static_cast<std::byte>(i);
    left.become(actor);
    put(i == 11 ? 6'000 : i < 4 ? 250 : 1, static_cast<int>(i) * 10'000);
  }
  Net net;
  const std::size_t link =
      net.connect(left, right, {.once = {true, false}, });
  net.pass(1s);
  CHECK(net.end(link, 1).close->reason == "done");
  for (const DeltaFrame& frame : net.frames<DeltaFrame>(link, 0)) {
    CHECK(frame.delta.live.size() <= 1'000);
  }
}

TEST_CASE("the window closes at 4 MiB, and opens when the peer has made some of it durable") {
  Peer left = peer(1);
  Peer right = peer(2);
  fill(left, 6'000, 1'000);
  Net net;
  const std::size_t link = net.connect(left, right);
  run_without_commits(net, link);
  const std::uint64_t closed_at = total(chunk_sizes(net, link, 0));
  CHECK(closed_at >= window_octets);
  CHECK(closed_at < window_octets + chunk_octets_max);
  net.forget_frames();

  const std::size_t waiting = net.end(link, 1).applies.size();
  CHECK(waiting > 64);
  net.commit(link, 1);  // the first chunk, or a position without one
  net.commit(link, 1);
  net.commit(link, 1);
  run_without_commits(net, link);
  const auto more = chunk_sizes(net, link, 0);
  CHECK(more.size() >= 1);
  CHECK(more.size() <= 3);
  net.run();
  CHECK(left.store(lessons).roots() == right.store(lessons).roots());
}

TEST_CASE("one event makes at most 1 MiB of chunks, and the session asks for another at once") {
  Peer left = peer(1);
  Peer right = peer(2);
  fill(left, 3'000, 1'000);
  Net net;
  const std::size_t link = net.connect(left, right);
  while (net.frames<loam::CompareFrame>(link, 0).empty()) {
    for (int side = 0; side < 2; ++side) net.deliver(link, side);
  }
  while (chunk_sizes(net, link, 0).empty()) net.deliver(link, 0);
  const std::uint64_t burst = total(chunk_sizes(net, link, 0));
  CHECK(burst >= burst_octets);
  CHECK(burst < burst_octets + chunk_octets_max);
  CHECK(net.end(link, 0).wake == net.now);
  net.run();
  CHECK(left.store(lessons).roots() == right.store(lessons).roots());
}

TEST_CASE("a removal with very many gaps travels in frames of bounded size") {
  Peer left = peer(1);
  Peer right = peer(2);
  constexpr std::uint64_t records = 40'000;
  for (std::uint64_t i = 0; i < records; ++i) left.add(lessons, std::to_string(i));
  Net net;
  net.connect(left, right, {.once = {true, false}});
  net.pass(1s);
  REQUIRE(left.store(lessons).roots() == right.store(lessons).roots());
  // Half of them go, every second one, in one write: by journal, and then by comparison.
  const auto clear = [&](std::uint64_t odd) {
    left.write(lessons, [&](test::Replica& replica) {
      loam::Delta delta;
      const loam::ActorId actor = replica.store().context().begin()->first;
      for (std::uint64_t i = 1; i + 3 <= records; i += 4) {
        delta.context.insert(actor, loam::Range{i + odd, i + odd});
      }
      replica.receive(delta);
      return delta;
    });
  };
  for (const std::uint64_t odd : {0U, 2U}) {
    clear(odd);
    if (odd == 2) left.drop_journal(lessons, test::journal_id_of(5));
    net.forget_frames();
    const std::size_t link = net.connect(
        left, right, {.once = {true, false}, .limits = {.removals_min = records}});
    net.pass(1s);
    CHECK(net.end(link, 0).session->report().converged);
    CHECK(left.store(lessons).roots() == right.store(lessons).roots());
    for (const test::Sent& sent : net.sent()) CHECK(sent.bytes.size() <= chunk_octets_max);
    const std::size_t told = net.frames<loam::LiveFrame>(link, 0).size() +
                             net.frames<loam::LiveFrame>(link, 1).size();
    CHECK(told == (odd == 0 ? 0 : 1));
  }
}

TEST_CASE("a context with very many gaps travels in a frame of bounded size") {
  Peer left = peer(1);
  Peer right = peer(2);
  constexpr std::uint64_t records = 30'000;
  for (std::uint64_t i = 0; i < records; ++i) left.add(lessons, std::to_string(i));
  // The right one has every second of them: more gaps than a frame of a context may tell.
  loam::Context some;
  const loam::ActorId actor = left.replica(lessons).actor();
  for (std::uint64_t i = 1; i <= records; i += 2) some.insert(actor, loam::Range{i, i});
  right.apply({.segment = lessons,
               .delta = left.store(lessons).slice(some),
               .authors = {{actor, loam::ActorClaim(test::instance_of(1))}}},
              left.id());
  left.remove(lessons, std::to_string(records - 2));
  Net net;
  const std::size_t link = net.connect(left, right, {.once = {true, false}});
  net.pass(1s);
  CHECK(net.end(link, 0).session->report().converged);
  CHECK(left.store(lessons).roots() == right.store(lessons).roots());
  CHECK(left.store(lessons).live().size() == records - 1);
  for (const test::Sent& sent : net.sent()) CHECK(sent.bytes.size() <= chunk_octets_max);
  const auto contexts = net.frames<loam::ContextFrame>(link, 1);
  REQUIRE(contexts.size() == 1);
  CHECK(contexts[0].rows[0].covered.ranges().size() == frame_ranges_max);
  // What was told is compared by its own fingerprint: nothing of it has died.
  CHECK(net.frames<loam::LiveFrame>(link, 0).empty());
}
