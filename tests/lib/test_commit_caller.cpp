#include <doctest/doctest.h>

#include <latch>

#include "crdt/codec.hpp"
#include "tests/lib/opened.hpp"
#include "tests/lib/queue_stores.hpp"
#include "tests/lib/store_walk.hpp"

// Callers who wait for their jobs anyway, and do them where nobody else writes.
namespace loam {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using Queued = test::QueueStores;

/// A job, and where and how it ended.
struct Waited {
  std::thread::id thread;
  std::promise<void> ended;
};

Job noting(Queued& stores, const std::string& text, Waited& waited) {
  Job job = stores.add(text);
  job.shared = [add = job.shared, &waited](SharedBatch& batch) {
    waited.thread = std::this_thread::get_id();
    add(batch);
  };
  job.done = [&waited](std::exception_ptr failure) {
    failure ? waited.ended.set_exception(failure) : waited.ended.set_value();
  };
  return job;
}

void submit_and_wait(Queued& stores, Job job) {
  std::vector<Job> jobs;
  jobs.push_back(std::move(job));
  stores.queue->submit_and_wait(std::move(jobs));
}

TEST_CASE("who waits for a job does it himself where nobody writes") {
  Queued stores;
  for (const char* text : {"first", "second"}) {
    Waited waited;
    submit_and_wait(stores, noting(stores, text, waited));
    CHECK(waited.thread == std::this_thread::get_id());
    CHECK(waited.ended.get_future().wait_for(0s) == std::future_status::ready);
    CHECK(stores.has(text));
  }
  CHECK(stores.commits == 2);
}

TEST_CASE("a job that its caller does may fail like any other") {
  Queued stores;
  Waited waited;
  Job job = noting(stores, "x", waited);
  job.shared = [](SharedBatch&) { throw Error(ErrorCode::not_found, "nothing"); };
  submit_and_wait(stores, std::move(job));
  auto ended = waited.ended.get_future();
  CHECK(test::code_of([&] { ended.get(); }) == ErrorCode::not_found);
  Waited next;
  submit_and_wait(stores, noting(stores, "y", next));
  CHECK(stores.has("y"));
}

TEST_CASE("where somebody writes already a job queues up behind what was there before") {
  Queued stores;
  auto busy = stores.keep_busy();
  auto before = stores.submit(stores.add("before"));
  Waited waited;
  submit_and_wait(stores, noting(stores, "after", waited));
  auto ended = waited.ended.get_future();
  CHECK(ended.wait_for(0s) == std::future_status::timeout);
  busy->release();
  ended.get();
  before.get();
  CHECK(waited.thread != std::this_thread::get_id());
  CHECK(stores.has("after"));
}

TEST_CASE("what queues up while a caller writes is done when he has ended") {
  Queued stores;
  Waited waited;
  std::future<void> queued;
  Job job = noting(stores, "own", waited);
  job.shared = [&, add = job.shared](SharedBatch& batch) {
    add(batch);
    if (!queued.valid()) queued = stores.submit(stores.add("queued"));
  };
  submit_and_wait(stores, std::move(job));
  queued.get();
  CHECK(waited.thread == std::this_thread::get_id());
  CHECK(stores.has("queued"));
  CHECK(stores.commits == 2);
}

TEST_CASE("lazy jobs come before that of a caller who writes") {
  Queued stores;
  stores.submit(stores.move_position(1, 7)).get();
  CHECK(stores.commits == 0);
  Waited waited;
  submit_and_wait(stores, noting(stores, "x", waited));
  waited.ended.get_future().get();  // the thread may still have been answering
  CHECK(stores.position(1) == Position{5, 7});
  CHECK(stores.commits == 1);
}

TEST_CASE("whoever reads the store at the moment leaves the writing to the queue's thread") {
  Queued stores;
  for (const bool reads_shared : {true, false}) {
    Waited waited;
    const auto inside = [&] {
      submit_and_wait(stores, noting(stores, reads_shared ? "a" : "b", waited));
      waited.ended.get_future().get();
      return 0;
    };
    if (reads_shared) {
      stores.shared.read([&](const SharedReader&) { return inside(); });
    } else {
      stores.priv.env().read([&](const lmdb::ReadTxn&) { return inside(); });
    }
    CHECK(waited.thread != std::this_thread::get_id());
  }
  CHECK(stores.records() == 2);
}

TEST_CASE("the index that callers' commits kept pending is folded when there is nothing to do") {
  Queued stores;
  for (const char* part : {"a", "b"}) {  // the thread is asleep the second time
    Job many;
    many.shared = [&](SharedBatch& batch) {
      for (std::size_t i = 0; i < 2 * pending_entries_min; ++i) {
        batch.add(stores.lessons(), test::content_of(part + std::to_string(i)), test::meta_of(""));
      }
    };
    std::uint64_t pending = 0;  // asked while nobody else can have folded it yet
    many.done = [&](const std::exception_ptr&) { pending = stores.pending(); };
    submit_and_wait(stores, std::move(many));
    CHECK(pending > 0);
    CHECK(eventually([&] { return stores.pending() == 0; }));
  }
  CHECK(test::walk(stores.shared) == "");
}

TEST_CASE("after the queue has ended nobody writes") {
  Queued stores;
  stores.queue->stop();
  Waited waited;
  CHECK(test::code_of([&] { submit_and_wait(stores, noting(stores, "x", waited)); }) == ErrorCode::failed);
  CHECK(stores.records() == 0);
}

TEST_CASE("threads that write themselves, queue and move positions at once lose nothing") {
  constexpr int threads = 8;
  constexpr int each = 40;
  Queued stores;
  std::latch start(threads);
  std::vector<std::thread> running;
  for (int thread = 0; thread < threads; ++thread) {
    running.emplace_back([&, thread] {
      start.arrive_and_wait();
      for (int i = 0; i < each; ++i) {
        const std::string text = std::to_string(thread) + "/" + std::to_string(i);
        if (thread % 4 == 3) {
          stores.submit(stores.move_position(static_cast<unsigned>(thread), static_cast<std::uint64_t>(i + 1))).get();
        } else if (thread % 4 == 2) {
          stores.submit(stores.add(text)).get();
        } else {
          Waited waited;
          submit_and_wait(stores, noting(stores, text, waited));
          waited.ended.get_future().get();
        }
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  CHECK(stores.records() == threads / 4 * 3 * each);
  stores.queue->flush();
  for (const unsigned peer : {3U, 7U}) CHECK(stores.position(peer) == Position{5, each});
  CHECK(stores.commits <= threads * each);
  CHECK(test::walk(stores.shared) == "");
}

}  // namespace
}  // namespace loam
