#include "lib/write_quota.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "tests/lib/opened.hpp"
#include "tests/lib/site.hpp"

namespace loam {
namespace {

using namespace std::chrono_literals;
using test::Instances;
using test::listen;

const InstanceId author = test::id_of<InstanceId>(1);

TEST_CASE("a burst need not wait, and one batch more waits for its share of a second") {
  WriteQuota quota({.per_second = 50, .burst = 500});
  const WriteQuota::Time now = 7s;
  CHECK(quota.take(1, author, 500, now) <= now);
  CHECK(quota.take(1, author, 1, now) == now + 20ms);
  CHECK(quota.take(1, author, 2, now) == now + 60ms);
  CHECK(quota.take(1, author, 0, now) == now);  // nothing to wait with
  // A second later fifty are free again, of which three are used up.
  CHECK(quota.take(1, author, 47, now + 1s) <= now + 1s);
  CHECK(quota.take(1, author, 1, now + 1s) == now + 1s + 20ms);
}

TEST_CASE("one author's quota in one segment is nobody else's") {
  WriteQuota quota({.per_second = 1, .burst = 1});
  CHECK(quota.take(1, author, 10, 0s) > 0s);
  CHECK(quota.take(2, author, 1, 0s) <= 0s);
  CHECK(quota.take(1, test::id_of<InstanceId>(2), 1, 0s) <= 0s);
}

TEST_CASE("without a quota nobody waits, and nothing is remembered") {
  WriteQuota quota({});
  CHECK(quota.take(1, author, 1'000'000, 5s) <= 5s);
  CHECK(quota.size() == 0);
}

TEST_CASE("authors who have not written for long are forgotten") {
  WriteQuota quota({.per_second = 10, .burst = 1});
  InstanceId id;
  for (unsigned i = 0; i < 100'000; ++i) {
    store_u32(id.bytes.data(), i);
    (void)quota.take(1, id, 1, WriteQuota::Time(1ms) * i);
    REQUIRE(quota.size() <= 2'048);
  }
}

TEST_CASE("what a link brings beyond the quota comes later, and in order") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  test::configure(instances.path("beta"),
                  "[sync]\nauthor_batches_per_second = 100\nauthor_batches_burst = 10\n");
  Options options = instances.options("beta", "beta");
  std::mutex mutex;
  std::vector<std::string> told;
  options.log = [&](LogLevel, std::string_view text) {
    const std::lock_guard lock(mutex);
    told.emplace_back(text);
  };
  Memory beta = Memory::open(options);
  for (int i = 0; i < 60; ++i) alpha.remember({.text = "record " + std::to_string(i)});
  const std::string endpoint = listen(alpha);
  const auto begun = std::chrono::steady_clock::now();
  CHECK(test::sync(beta, endpoint).converged);
  CHECK(std::chrono::steady_clock::now() - begun >= 490ms);
  CHECK(beta.digest() == alpha.digest());

  // And on a link that stays, while others are not held up.
  beta.connect(endpoint);
  for (int i = 0; i < 60; ++i) alpha.remember({.text = "more " + std::to_string(i)});
  const std::string last = alpha.remember({.segment = "org_patterns", .text = "of another segment"}).id;
  CHECK(test::eventually([&] { return beta.digest() == alpha.digest(); }));
  CHECK(beta.get(last));
  const std::lock_guard lock(mutex);
  CHECK(std::any_of(told.begin(), told.end(), [](const std::string& text) {
    return text.find("sync.author_batches_per_second") != std::string::npos;
  }));
}

TEST_CASE("a memory is closed while much of what a link brings waits") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  test::configure(instances.path("beta"),
                  "[sync]\nauthor_batches_per_second = 1\nauthor_batches_burst = 1\n");
  Options options = instances.options("beta", "beta");
  std::atomic<bool> is_waiting = false;
  options.log = [&](LogLevel, std::string_view text) {
    if (text.find("sync.author_batches_per_second") != std::string_view::npos) is_waiting = true;
  };
  std::optional<Memory> beta = Memory::open(options);
  for (int i = 0; i < 100; ++i) alpha.remember({.text = "record " + std::to_string(i)});
  beta->connect(listen(alpha));
  CHECK(test::eventually([&] { return is_waiting.load(); }));
  beta.reset();
  CHECK(instances.open("beta").status().segments.at("lessons_learned").records < 100);
}

}  // namespace
}  // namespace loam
