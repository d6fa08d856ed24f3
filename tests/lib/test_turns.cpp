// Whose turn it is: among peers that bring much, and between them and what this instance does itself.
#include <doctest/doctest.h>

#include <atomic>
#include <mutex>
#include <set>

#include "lib/work_pool.hpp"
#include "tests/lib/opened.hpp"
#include "tests/lib/queue_stores.hpp"
#include "tests/support/gen.hpp"

namespace loam {
namespace {

using test::eventually;
using test::Gen;
using test::id_of;

const InstanceId first = id_of<InstanceId>(1);
const InstanceId second = id_of<InstanceId>(2);
const InstanceId third = id_of<InstanceId>(3);

struct Work final : SlicedWork {
  Work(int of, std::size_t size, std::function<void(const Work&)> then = {})
      : number(of), count(size), done(size), told(std::move(then)) {}
  std::size_t slices() const override { return count; }
  void slice(std::size_t index) override { ++done[index]; }
  void end() override {
    if (told) told(*this);
  }

  int number;
  std::size_t count;
  std::vector<std::atomic<int>> done;
  std::function<void(const Work&)> told;
};

Job job_of(const std::optional<InstanceId>& peer, std::size_t octets) {
  Job job;
  job.peer = peer;
  job.octets = octets;
  return job;
}

TEST_CASE("who brings one thing does not wait behind who brought a thousand before") {
  Turns turns;
  for (int i = 0; i < 10; ++i) turns.add(first, std::make_shared<Work>(i, 100));
  CHECK(turns.next()->peer == first);
  turns.add(second, std::make_shared<Work>(0, 1));
  turns.add(third, std::make_shared<Work>(0, 1));
  CHECK(turns.next()->peer == second);
  CHECK(turns.next()->peer == third);
  CHECK(turns.next()->peer == first);
}

TEST_CASE("what a peer brings ends in its order, in whatever order its slices are done") {
  Turns turns;
  for (int i = 0; i < 3; ++i) turns.add(first, std::make_shared<Work>(i, 2));
  std::vector<Turns::Slice> slices;
  while (const auto slice = turns.next()) slices.push_back(*slice);
  REQUIRE(slices.size() == 6);
  CHECK(turns.done(slices[5]).empty());
  CHECK(turns.done(slices[2]).empty());
  CHECK(turns.done(slices[3]).empty());
  CHECK(turns.done(slices[1]).empty());
  CHECK(turns.done(slices[0]).size() == 2);  // and the second, which waited for it
  CHECK(turns.done(slices[4]).size() == 1);
  CHECK(turns.empty());
}

TEST_CASE("random works: every slice once, each peer's in order, nobody passed over") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Gen gen(seed);
    Turns turns;
    std::map<InstanceId, int> added;
    std::map<InstanceId, int> ended;
    std::map<InstanceId, std::size_t> waits;  // turns of others since it was this peer's, while it had something
    std::map<InstanceId, std::size_t> unbegun;
    std::vector<Turns::Slice> under_way;
    std::size_t given = 0;
    std::size_t wanted = 0;
    for (int step = 0; step < 300; ++step) {
      const InstanceId peer = id_of<InstanceId>(1 + static_cast<unsigned>(gen.below(5)));
      if (step < 200 && gen.one_in(3)) {
        const std::size_t slices = 1 + gen.index(6);
        turns.add(peer, std::make_shared<Work>(added[peer]++, slices));
        unbegun[peer] += slices;
        wanted += slices;
      } else if (gen.coin()) {
        auto slice = turns.next();
        REQUIRE(slice.has_value() == (given < wanted));
        if (!slice) continue;
        ++given;
        slice->work->slice(slice->index);
        for (auto& [other, left] : unbegun) waits[other] = other == slice->peer || left == 0 ? 0 : waits[other] + 1;
        for (const auto& [other, turns_of_others] : waits) REQUIRE(turns_of_others <= 4);
        --unbegun[slice->peer];
        under_way.push_back(*slice);
      } else if (!under_way.empty()) {
        const auto at = under_way.begin() + static_cast<std::ptrdiff_t>(gen.index(under_way.size()));
        for (const auto& work : turns.done(*at)) {
          const Work& each = dynamic_cast<const Work&>(*work);
          REQUIRE(each.number == ended[at->peer]++);
          for (const auto& times : each.done) REQUIRE(times == 1);
        }
        under_way.erase(at);
      }
    }
    while (const auto slice = turns.next()) under_way.push_back(*slice);
    for (const auto& slice : under_way) {
      for (const auto& work : turns.done(slice)) REQUIRE(dynamic_cast<const Work&>(*work).number == ended[slice.peer]++);
    }
    REQUIRE(turns.empty());
    REQUIRE(ended == added);
  }
}

TEST_CASE("threads share the slices, and end a peer's works in order") {
  std::mutex mutex;
  std::map<int, std::vector<int>> order;
  std::atomic<int> ended = 0;
  std::vector<std::shared_ptr<Work>> works;
  {
    WorkPool pool(3);
    for (int i = 0; i < 300; ++i) {
      const int peer = i % 3;
      works.push_back(std::make_shared<Work>(i, 1 + static_cast<std::size_t>(i % 7), [&, peer](const Work& work) {
        const std::lock_guard lock(mutex);
        order[peer].push_back(work.number);
        ++ended;
      }));
      pool.add(id_of<InstanceId>(1 + static_cast<unsigned>(peer)), works.back());
    }
    CHECK(eventually([&] { return ended == 300; }));
  }
  for (const auto& work : works) {
    for (const auto& times : work->done) REQUIRE(times == 1);
  }
  for (const auto& [peer, numbers] : order) CHECK(std::is_sorted(numbers.begin(), numbers.end()));
}

TEST_CASE("a pool that stops leaves what has not begun, and takes nothing more") {
  std::atomic<int> ended = 0;
  WorkPool pool(1);
  pool.add(first, std::make_shared<Work>(0, 1, [&](const Work&) { ++ended; }));
  CHECK(eventually([&] { return ended == 1; }));
  pool.stop();
  pool.add(first, std::make_shared<Work>(1, 1, [&](const Work&) { ++ended; }));
  CHECK(ended == 1);
}

TEST_CASE("a commit takes from all in turn, own jobs first") {
  JobLines lines;
  for (int i = 0; i < 10; ++i) lines.add(job_of(first, turn_octets));
  lines.add(job_of(second, 10));
  lines.add(job_of({}, 10));
  const auto jobs = lines.take(4, std::size_t{1} << 30);
  REQUIRE(jobs.size() == 4);
  CHECK(!jobs[0].peer);
  CHECK(jobs[1].peer == first);
  CHECK(jobs[2].peer == second);
  CHECK(jobs[3].peer == first);
  CHECK(lines.take(100, 3 * turn_octets).size() == 3);
  CHECK(lines.take(100, 1).size() == 1);
  CHECK(lines.take(100, 100 * turn_octets).size() == 4);
  CHECK(lines.empty());
}

TEST_CASE("many small jobs are a turn too") {
  JobLines lines;
  for (int i = 0; i < 10'000; ++i) lines.add(job_of(first, 0));
  lines.add(job_of(second, 0));
  const auto jobs = lines.take(2'000, 1'000'000);
  CHECK(std::any_of(jobs.begin(), jobs.end(), [](const Job& job) { return job.peer == second; }));
}

TEST_CASE("what is put back comes before what has come since, and others are served first") {
  JobLines lines;
  for (std::size_t i = 1; i <= 3; ++i) lines.add(job_of(first, i * turn_octets));
  auto jobs = lines.take(3, 100 * turn_octets);
  lines.add(job_of(first, 4 * turn_octets));
  lines.add(job_of(second, 1));
  jobs.erase(jobs.begin());
  lines.put_back(std::move(jobs), first);
  const auto next = lines.take(100, 100 * turn_octets);
  REQUIRE(next.size() == 4);
  CHECK(next[0].peer == second);
  CHECK(next[1].octets == 2 * turn_octets);
  CHECK(next[2].octets == 3 * turn_octets);
  CHECK(next[3].octets == 4 * turn_octets);
}

TEST_CASE("a newcomer is whoever brings something while nothing of his is being written") {
  JobLines lines;
  lines.add(job_of(first, 1));
  (void)lines.take(1, 1);
  lines.add(job_of(first, 1));
  CHECK(!lines.has_newcomer());
  Job lazy = job_of({}, 1);
  lazy.lazy = true;
  lines.add(std::move(lazy));
  CHECK(!lines.has_newcomer());
  lines.add(job_of(second, 1));
  CHECK(lines.has_newcomer());
  (void)lines.take(100, 100);
  CHECK(!lines.has_newcomer());
  lines.add(job_of({}, 1));
  CHECK(lines.has_newcomer());
}

TEST_CASE("what is to come after everything comes after what may be put back, too") {
  JobLines lines;
  lines.add(job_of(first, 1));
  lines.add(job_of(second, 1));
  auto jobs = lines.take(2, 1'000);
  std::size_t made = 0;
  lines.add_everywhere([&] {
    ++made;
    return job_of(third, 7);
  });
  CHECK(made == 3);  // own, first, second
  jobs.erase(jobs.begin());
  lines.put_back(std::move(jobs), first);
  const auto all = lines.take(100, 1'000);
  REQUIRE(all.size() == 4);
  CHECK(!all[0].peer);
  CHECK(all[1].peer == second);
  CHECK(all[1].octets == 1);
  CHECK(all[2].octets == 7);
}

TEST_CASE("own octets are counted, and nobody else's") {
  JobLines lines;
  lines.add(job_of({}, 10));
  lines.add(job_of({}, 5));
  lines.add(job_of(first, 100));
  CHECK(lines.own_octets() == 15);
  auto jobs = lines.take(1, 1);
  CHECK(lines.own_octets() == 5);
  lines.put_back(std::move(jobs), first);
  CHECK(lines.own_octets() == 15);
  (void)lines.take(100, 1'000);
  CHECK(lines.own_octets() == 0);
}

// Writes 100 jobs of a peer, of a turn each, of which one submits what `somebody` brings; says after how many of them
// that was done.
int done_before(test::QueueStores& stores, const std::function<Job()>& somebody) {
  auto busy = stores.keep_busy();
  std::atomic<int> done = 0;
  std::atomic<int> before = -1;
  for (int i = 0; i < 100; ++i) {
    Job job = stores.add("flood " + std::to_string(i));
    job.peer = first;
    job.octets = turn_octets;
    job.done = [&, i](const std::exception_ptr&) {
      CHECK(done == i);
      ++done;
    };
    if (i == 2) {
      job.shared = [&, add = job.shared, has_come = std::make_shared<bool>(false)](SharedBatch& batch) {
        add(batch);
        if (std::exchange(*has_come, true)) return;
        Job other = somebody();
        other.done = [&](const std::exception_ptr&) { before = done.load(); };
        stores.queue->submit(std::move(other), CommitQueue::Full::accept);
      };
    }
    stores.queue->submit(std::move(job), CommitQueue::Full::accept);
  }
  busy->release();
  stores.queue->flush();
  CHECK(done == 100);
  CHECK(stores.records() >= 101);
  return before;
}

TEST_CASE("who comes while much of a peer is written does not wait until all of it is") {
  test::QueueStores stores;
  CHECK(done_before(stores, [&] { return stores.add("own"); }) == 3);
  CHECK(done_before(stores, [&] {
          Job job = stores.add("of another");
          job.peer = second;
          return job;
        }) == 3);
}

TEST_CASE("own jobs wait for room that own jobs take, not for what peers bring") {
  test::QueueStores stores;
  auto busy = stores.keep_busy();
  Job large = stores.add("large");
  large.peer = first;
  large.octets = commit_queue_octets_max;
  auto brought = stores.submit(std::move(large), CommitQueue::Full::accept);
  auto own = stores.submit(stores.add("own"), CommitQueue::Full::block);
  busy->release();
  own.get();
  brought.get();
}

}  // namespace
}  // namespace loam
