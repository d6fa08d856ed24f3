#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <latch>
#include <thread>

#include "crdt/codec.hpp"
#include "lib/commit_queue.hpp"
#include "tests/lib/opened.hpp"
#include "tests/lib/queue_stores.hpp"
#include "tests/lib/store_walk.hpp"

namespace loam {
namespace {

using namespace std::chrono_literals;
using test::content_of;
using test::eventually;
using test::id_of;
using test::meta_of;
using test::set_segment;

using Stores = test::QueueStores;

ErrorCode failure_of(std::future<void>& future) {
  return test::code_of([&] { future.get(); });
}

TEST_CASE("64 threads that write at once each get their own receipt, and all of it is durable") {
  constexpr int threads = 64;
  constexpr int each = 5;
  Stores stores;
  std::latch start(threads);
  std::atomic<int> wrong{0};
  std::vector<std::thread> running;
  for (int thread = 0; thread < threads; ++thread) {
    running.emplace_back([&, thread] {
      start.arrive_and_wait();
      for (int i = 0; i < each; ++i) {
        const std::string text = std::to_string(thread) + "/" + std::to_string(i);
        SharedBatch::SetResult result;
        Job job;
        job.shared = [&](SharedBatch& batch) {
          result = batch.add(stores.lessons(), content_of(text), meta_of(""));
        };
        stores.submit(std::move(job)).get();
        const bool is_own = result.element == element_of(set_segment, content_of(text));
        if (!is_own || result.existing || !stores.has(text)) ++wrong;
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  CHECK(wrong == 0);
  CHECK(stores.records() == threads * each);
  CHECK(stores.commits <= threads * each);
}

TEST_CASE("what queues up while the writer is busy goes into one commit per environment") {
  Stores stores;
  auto busy = stores.keep_busy();
  std::vector<std::future<void>> ends;
  for (int i = 0; i < 50; ++i) {
    ends.push_back(stores.submit(stores.add(std::to_string(i))));
    Job priv;
    priv.priv = [&stores, i](PrivateBatch& batch) {
      batch.add(stores.priv.number("task_traces"), {id_of<PacketId>(static_cast<unsigned>(i)), {}});
    };
    ends.push_back(stores.submit(std::move(priv)));
  }
  const std::uint64_t before = stores.shared.env().last_transaction();
  const std::uint64_t private_before = stores.priv.env().last_transaction();
  busy->release();
  for (auto& end : ends) end.get();
  CHECK(stores.shared.env().last_transaction() == before + 1);  // the busy one wrote nothing
  CHECK(stores.priv.env().last_transaction() == private_before + 1);
  CHECK(stores.records() == 50);
}

TEST_CASE(
    "a job that fails, however it does, does not fail its neighbours, and nothing runs twice") {
  Stores stores;
  auto busy = stores.keep_busy();
  auto before = stores.submit(stores.add("before"));
  Job removal;
  removal.shared = [&](SharedBatch& batch) {
    batch.add(stores.lessons(), content_of("half"), meta_of(""));
    batch.remove(stores.lessons(), id_of<ElementId>(77));
  };
  auto not_found = stores.submit(std::move(removal));
  auto between = stores.submit(stores.add("between"));
  Job foreign;
  foreign.shared = [](SharedBatch&) { throw std::runtime_error("not ours"); };
  auto other = stores.submit(std::move(foreign));
  auto after = stores.submit(stores.add("after"));
  const int commits = stores.commits;
  busy->release();
  before.get();
  between.get();
  after.get();
  CHECK(failure_of(not_found) == ErrorCode::not_found);
  CHECK_THROWS_AS(other.get(), std::runtime_error);
  CHECK(stores.commits == commits + 2);
  CHECK(stores.records() == 3);
  CHECK(!stores.has("half"));
}

TEST_CASE("jobs end in the order in which they were queued, also when some fail") {
  Stores stores({.map_octets_max = 1 << 20});
  for (const bool fills : {false, true}) {
    auto busy = stores.keep_busy();
    std::mutex mutex;
    std::vector<int> order;
    for (int i = 0; i < 20; ++i) {
      Job job = stores.add(std::to_string(i));
      if (i % 5 == 3) job.shared = [](SharedBatch&) { throw Error(ErrorCode::invalid, "bad"); };
      if (fills && i == 10) {
        job.shared = [&](SharedBatch& batch) {
          batch.add(stores.lessons(), content_of("huge"), meta_of(std::string(2 << 20, 'x')));
        };
      }
      job.done = [&, i](std::exception_ptr) {
        const std::lock_guard lock(mutex);
        order.push_back(i);
      };
      stores.queue->submit(std::move(job), CommitQueue::Full::block);
    }
    busy->release();
    stores.queue->flush();
    std::vector<int> expected(20);
    for (int i = 0; i < 20; ++i) expected[static_cast<std::size_t>(i)] = i;
    CHECK(order == expected);
  }
}

TEST_CASE("a job for which there is no room does not keep smaller ones out") {
  Stores stores({.map_octets_max = 1 << 20});
  auto busy = stores.keep_busy();
  auto small = stores.submit(stores.add("small"));
  Job large;
  large.shared = [&](SharedBatch& batch) {
    batch.add(stores.lessons(), content_of("large"), meta_of(std::string(2 << 20, 'x')));
  };
  auto refused = stores.submit(std::move(large));
  auto other = stores.submit(stores.add("other"));
  busy->release();
  small.get();
  other.get();
  CHECK(failure_of(refused) == ErrorCode::out_of_space);
  CHECK(stores.has("small"));
  CHECK(stores.has("other"));
  CHECK(!stores.has("large"));
}

TEST_CASE("a lazy job is answered without a commit, and committed when the queue stops") {
  Stores stores;
  stores.submit(stores.add("x")).get();
  const auto start = std::chrono::steady_clock::now();
  stores.submit(stores.move_position(1, 7)).get();
  const Position answered = stores.position(1);
  // An idle writer commits it after half a second.
  if (std::chrono::steady_clock::now() - start < 400ms) CHECK(answered == Position{});
  stores.queue.reset();
  CHECK(stores.position(1) == Position{5, 7});
}

TEST_CASE("a lazy job goes with the next commit, before what came after it") {
  Stores stores;
  stores.submit(stores.move_position(1, 7)).get();
  Job job;
  Position seen;
  job.shared = [&](SharedBatch& batch) {
    const auto row = batch.reader().txn().get(table::positions,
                                              position_key(id_of<StoreId>(1), stores.lessons()));
    if (row) seen = decode_position(*row);
  };
  stores.submit(std::move(job)).get();
  CHECK(seen == Position{5, 7});
  CHECK(stores.position(1) == Position{5, 7});
}

TEST_CASE("lazy jobs are committed after a while, also when more keep coming") {
  Stores stores;
  std::uint64_t sequence = 0;
  CHECK(eventually([&] {
    stores.submit(stores.move_position(1, ++sequence)).get();
    return stores.position(1) != Position{};
  }));
}

TEST_CASE("flush returns when everything queued before is durable, lazy jobs included") {
  Stores stores;
  for (unsigned i = 1; i <= 20; ++i) {
    stores.queue->submit(stores.add(std::to_string(i)), CommitQueue::Full::block);
    stores.queue->submit(stores.move_position(i, i), CommitQueue::Full::block);
  }
  stores.queue->flush();
  CHECK(stores.records() == 20);
  CHECK(stores.position(20) == Position{5, 20});
}

TEST_CASE("at the end all that was queued is written, and later jobs are refused") {
  Stores stores;
  auto busy = stores.keep_busy();
  std::vector<std::future<void>> ends;
  for (int i = 0; i < 20; ++i) ends.push_back(stores.submit(stores.add(std::to_string(i))));
  std::thread stopping([&] { stores.queue->stop(); });
  busy->release();
  stopping.join();
  for (auto& end : ends) end.get();
  CHECK(stores.records() == 20);
  CHECK(test::code_of([&] { stores.submit(stores.add("late")); }) == ErrorCode::failed);
}

TEST_CASE("callers that wait for room are told when the queue ends instead") {
  Stores stores;
  auto busy = stores.keep_busy();
  Job large = stores.add("large");
  large.octets = commit_queue_octets_max;
  auto first = stores.submit(std::move(large));
  auto accepted = stores.submit(stores.add("accepted"), CommitQueue::Full::accept);
  std::atomic<int> told{0};
  std::vector<std::thread> waiting;
  for (int i = 0; i < 4; ++i) {
    waiting.emplace_back([&] {
      if (test::code_of([&] { stores.submit(stores.add("late")); }) == ErrorCode::failed) ++told;
    });
  }
  std::thread stopping([&] { stores.queue->stop(); });
  CHECK(eventually([&] { return told == 4; }));
  busy->release();
  stopping.join();
  for (std::thread& thread : waiting) thread.join();
  first.get();
  accepted.get();
  CHECK(stores.records() == 2);
}

TEST_CASE("callers that wait for room go on when there is some") {
  Stores stores;
  auto busy = stores.keep_busy();
  Job large = stores.add("large");
  large.octets = commit_queue_octets_max;
  auto first = stores.submit(std::move(large));
  std::atomic<bool> is_queued{false};
  std::thread waiting([&] {
    stores.submit(stores.add("late")).get();
    is_queued = true;
  });
  CHECK(!is_queued);
  busy->release();
  waiting.join();
  first.get();
  CHECK(stores.has("late"));
}

TEST_CASE("the index that was kept pending is folded when the writer has nothing to do") {
  Stores stores;
  Job many;
  many.shared = [&](SharedBatch& batch) {
    for (std::size_t i = 0; i < 2 * pending_entries_min; ++i) {
      batch.add(stores.lessons(), content_of(std::to_string(i)), meta_of(""));
    }
  };
  stores.submit(std::move(many)).get();
  CHECK(stores.has("0"));
  CHECK(eventually([&] { return stores.pending() == 0; }));
  CHECK(stores.has("0"));
  CHECK(stores.records() == 2 * pending_entries_min);
}

TEST_CASE("a pending part that has grown is folded by the commit that makes it too large") {
  Stores stores;
  constexpr int jobs = 25;
  constexpr int each = 500;
  for (int number = 0; number < jobs; ++number) {
    Job job;
    job.shared = [&stores, number](SharedBatch& batch) {
      for (int i = 0; i < each; ++i) {
        const std::string text = std::to_string(number) + "/" + std::to_string(i);
        batch.add(stores.lessons(), content_of(text), meta_of(""));
      }
    };
    stores.submit(std::move(job)).get();
    CHECK(stores.pending() <= pending_fold_min);
  }
  CHECK(stores.records() == jobs * each);
  CHECK(stores.has("0/0"));
  CHECK(test::walk(stores.shared) == "");
}

TEST_CASE("any reader finds what was stored before it began, while the index grows and is folded") {
  Stores stores;
  constexpr int jobs = 24;
  constexpr int each = 20;  // enough that they are kept pending
  const auto text = [](int job, int i) { return std::to_string(job) + "/" + std::to_string(i); };
  std::atomic<int> stored{0};  // jobs
  std::atomic<int> missed{0};
  std::atomic<int> found_too_early{0};
  std::vector<std::thread> readers;
  for (int reader = 0; reader < 3; ++reader) {
    readers.emplace_back([&, reader] {
      for (int round = reader; stored < jobs; ++round) {
        const int sure = stored;
        stores.shared.read([&](const SharedReader& snapshot) {
          const auto has = [&](int job) {
            return snapshot.has_dots(stores.lessons(),
                                     element_of(set_segment, content_of(text(job, round % each))));
          };
          const std::uint64_t records = snapshot.segment(stores.lessons()).records;
          // Others go on meanwhile, with later snapshots.
          for (int job = 0; job < sure; ++job) missed += has(job) ? 0 : 1;
          found_too_early += has(static_cast<int>(records) / each) ? 1 : 0;
        });
      }
    });
  }
  for (int number = 0; number < jobs; ++number) {
    Job job;
    job.shared = [&, number](SharedBatch& batch) {
      for (int i = 0; i < each; ++i) {
        batch.add(stores.lessons(), content_of(text(number, i)), meta_of(""));
      }
    };
    stores.submit(std::move(job)).get();
    ++stored;
    if (number % 4 != 3) continue;
    Job fold;
    fold.shared = [](SharedBatch& batch) { batch.fold(); };
    stores.submit(std::move(fold)).get();
  }
  for (std::thread& reader : readers) reader.join();
  CHECK(missed == 0);
  CHECK(found_too_early == 0);
  CHECK(test::walk(stores.shared) == "");
}

}  // namespace
}  // namespace loam
