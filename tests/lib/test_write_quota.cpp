#include "lib/write_quota.hpp"

#include <doctest/doctest.h>

#include <atomic>

#include "lib/waiting_jobs.hpp"
#include "tests/lib/opened.hpp"
#include "tests/lib/site.hpp"

namespace loam {
namespace {

using namespace std::chrono_literals;
using test::Instances;
using test::listen;

const InstanceId author = test::id_of<InstanceId>(1);
const InstanceId peer = test::id_of<InstanceId>(2);
const InstanceId other = test::id_of<InstanceId>(3);

TEST_CASE("a burst need not wait, and one batch more waits for its share of a second") {
  WriteQuota quota({.per_second = 50, .burst = 500});
  const WriteQuota::Time now = 7s;
  CHECK(quota.take(peer, 1, author, 500, now) <= now);
  CHECK(quota.take(peer, 1, author, 1, now) == now + 20ms);
  CHECK(quota.take(peer, 1, author, 2, now) == now + 60ms);
  CHECK(quota.take(peer, 1, author, 0, now) == now);  // nothing to wait with
  // A second later fifty are free again, of which three are used up.
  CHECK(quota.take(peer, 1, author, 47, now + 1s) <= now + 1s);
  CHECK(quota.take(peer, 1, author, 1, now + 1s) == now + 1s + 20ms);
}

TEST_CASE("nothing waits longer than the bound, and what came too fast is not held against what comes later") {
  WriteQuota quota({.per_second = 1, .burst = 10});
  CHECK(quota.take(peer, 1, author, 1'000'000, 0s) == quota_wait_max);
  CHECK(quota.take(peer, 1, author, 1'000'000, 1s) == 1s + quota_wait_max);
  CHECK(quota.take(peer, 1, author, 1, 1s + quota_wait_max) == 2s + quota_wait_max);
}

TEST_CASE("one author's quota in one segment is nobody else's, and one peer does not use up another's") {
  WriteQuota quota({.per_second = 1, .burst = 1});
  CHECK(quota.take(peer, 1, author, 10, 0s) > 0s);
  CHECK(quota.take(peer, 2, author, 1, 0s) <= 0s);
  CHECK(quota.take(peer, 1, other, 1, 0s) <= 0s);
  CHECK(quota.take(other, 1, author, 1, 0s) <= 0s);
}

TEST_CASE("without a quota nobody waits, and nothing is remembered") {
  WriteQuota quota({});
  CHECK(quota.take(peer, 1, author, 1'000'000, 5s) <= 5s);
  CHECK(quota.size() == 0);
}

TEST_CASE("authors of whom nothing came for long are forgotten") {
  WriteQuota quota({.per_second = 10, .burst = 1});
  InstanceId id;
  for (unsigned i = 0; i < 100'000; ++i) {
    store_u32(id.bytes.data(), i);
    (void)quota.take(peer, 1, id, 1, WriteQuota::Time(1ms) * i);
    REQUIRE(quota.size() <= 2'048);
  }
}

Job numbered(std::size_t number) {
  Job job;
  job.octets = number;
  return job;
}

std::vector<std::size_t> numbers(const std::vector<Job>& jobs) {
  std::vector<std::size_t> numbers;
  for (const Job& job : jobs) numbers.push_back(job.octets);
  return numbers;
}

TEST_CASE("a line keeps its order, and no line waits for another") {
  using Numbers = std::vector<std::size_t>;
  const WaitingJobs::Line first{{}, 1};
  const WaitingJobs::Line second{{}, 2};
  WaitingJobs waiting;
  CHECK(!waiting.next());
  waiting.add(first, 3s, numbered(1));
  waiting.add(first, 1s, numbered(2));  // behind the first all the same
  waiting.add(second, 2s, numbered(3));
  CHECK(waiting.next() == 2s);
  CHECK(numbers(waiting.take_due(1s)).empty());
  CHECK(numbers(waiting.take_due(2s)) == Numbers{3});
  CHECK(!waiting.has(second));
  CHECK(waiting.has(first));
  CHECK(numbers(waiting.take_due(3s)) == Numbers{1, 2});
  CHECK(!waiting.next());
}

TEST_CASE("what waits of a connection that has ended is forgotten, and that of no other") {
  WaitingJobs::Nonce nonce{};
  nonce.front() = std::byte{1};
  WaitingJobs waiting;
  for (const SegmentNumber segment : {SegmentNumber{1}, SegmentNumber{2}}) waiting.add({nonce, segment}, 1s, numbered(1));
  waiting.add({{}, 1}, 1s, numbered(2));
  waiting.forget(nonce);
  CHECK(numbers(waiting.take_due(1s)) == std::vector<std::size_t>{2});
}

/// Alpha, which listens, and beta, which has a quota for what alpha brings.
struct Limited {
  explicit Limited(const std::string& quota) {
    test::configure(instances.path("beta"), "[sync]\n" + quota);
    Options options = instances.options("beta", "beta");
    options.log = [this](LogLevel, std::string_view text) {
      if (text.find("sync.author_batches_per_second") != std::string_view::npos) has_waited = true;
    };
    beta = Memory::open(options);
  }

  void write(int count, const std::string& what) {
    for (int i = 0; i < count; ++i) alpha.remember({.text = what + " " + std::to_string(i)});
  }

  Instances instances;
  std::atomic<bool> has_waited = false;
  Memory alpha = instances.open("alpha");
  std::optional<Memory> beta;
  std::string endpoint = listen(alpha);
};

TEST_CASE("what a peer brings beyond the quota comes later, and all of it") {
  Limited limited("author_batches_per_second = 100\nauthor_batches_burst = 10\n");
  limited.write(60, "record");
  const auto begun = std::chrono::steady_clock::now();
  CHECK(test::sync(*limited.beta, limited.endpoint).converged);
  CHECK(std::chrono::steady_clock::now() - begun >= 490ms);  // never less: it has waited for that long
  CHECK(limited.has_waited);
  CHECK(limited.beta->digest() == limited.alpha.digest());

  limited.beta->connect(limited.endpoint);
  limited.write(60, "more");
  CHECK(test::eventually([&] { return limited.beta->digest() == limited.alpha.digest(); }));
}

TEST_CASE("what governors write does not wait") {
  Limited limited("author_batches_per_second = 1\nauthor_batches_burst = 1\n");
  limited.beta->connect(limited.endpoint);
  for (const char* role : {"member", "governor", "member", "governor"}) {
    limited.alpha.grant("beta", {.role = role});
    CHECK(test::eventually([&] {
      return limited.beta->digest("instance_registry") == limited.alpha.digest("instance_registry");
    }));
  }
  CHECK(!limited.has_waited);
}

TEST_CASE("a memory is closed while much of what a peer brings waits") {
  Limited limited("author_batches_per_second = 1\nauthor_batches_burst = 1\n");
  limited.write(100, "record");
  limited.beta->connect(limited.endpoint);
  CHECK(test::eventually([&] { return limited.has_waited.load(); }));
  limited.beta.reset();
  limited.beta = limited.instances.open("beta");
  CHECK(test::sync(*limited.beta, limited.endpoint).converged);
}

}  // namespace
}  // namespace loam
