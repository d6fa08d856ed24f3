#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "lib/commit_queue.hpp"
#include "lib/store_source.hpp"
#include "tests/lib/scratch.hpp"
#include "tests/lib/site.hpp"

namespace loam::test {

/// Both stores of one instance and the queue that writes to them.
struct QueueStores {
  explicit QueueStores(Config configured = {}) : config(configured) {}

  Scratch scratch;
  SegmentTable table;
  Config config;
  SharedStore shared{scratch / "shared", table, config, id_of<InstanceId>(1),
                     StoreIdentity{"alpha", id_of<FederationId>(9)}};
  PrivateStore priv{scratch / "private", table, config};
  std::atomic<int> commits{0};
  std::optional<CommitQueue> queue{std::in_place, shared, priv, [] { return 1'000; },
                                   [this] { ++commits; }};

  SegmentNumber lessons() const { return shared.number(set_segment); }

  std::uint64_t records() const {
    return shared.read([&](const SharedReader& r) { return r.segment(lessons()).records; });
  }

  bool has(const std::string& text) const {
    const ElementId element = element_of(set_segment, content_of(text));
    return shared.read(
        [&](const SharedReader& reader) { return !reader.dots_of(lessons(), element).empty(); });
  }

  /// Entries of the element index that are not folded in yet.
  std::uint64_t pending() const {
    return shared.env().read([](const lmdb::ReadTxn& txn) { return read_pending_state(txn).entries; });
  }

  Position position(unsigned peer) const {
    return StoreSource(shared).position(set_segment, id_of<StoreId>(peer));
  }

  Job add(const std::string& text) const {
    Job job;
    job.shared = [this, text](SharedBatch& batch) {
      batch.add(lessons(), content_of(text), meta_of(""));
    };
    return job;
  }

  Job move_position(unsigned peer, std::uint64_t sequence) const {
    Job job;
    job.lazy = true;
    job.shared = [=, this](SharedBatch& batch) {
      batch.set_position(lessons(), id_of<StoreId>(peer), {5, sequence});
    };
    return job;
  }

  /// Queues a job; the future is ready when it has ended, with its failure.
  std::future<void> submit(Job job, CommitQueue::Full full = CommitQueue::Full::block) {
    const auto ended = std::make_shared<std::promise<void>>();
    job.done = [ended](std::exception_ptr failure) {
      failure ? ended->set_exception(failure) : ended->set_value();
    };
    auto future = ended->get_future();
    queue->submit(std::move(job), full);
    return future;
  }

  /// A job that keeps the writer busy until `release` is called: what is queued meanwhile goes into
  /// one commit.
  struct Busy {
    std::promise<void> promise;
    std::future<void> ended;
    void release() {
      promise.set_value();
      ended.get();
    }
  };
  std::unique_ptr<Busy> keep_busy() {
    auto busy = std::make_unique<Busy>();
    std::promise<void> running;
    auto is_running = running.get_future();
    Job job;
    job.shared = [&running, gate = busy->promise.get_future().share()](SharedBatch&) {
      running.set_value();
      gate.wait();
    };
    busy->ended = submit(std::move(job));
    is_running.wait();
    return busy;
  }
};

}  // namespace loam::test
