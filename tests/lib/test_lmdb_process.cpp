#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <thread>

#include "tests/lib/lmdb_env.hpp"

namespace loam::lmdb {
namespace {

using namespace test_env;

TEST_CASE("opening twice gives the same handle, by any name of the directory") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  CHECK(Env::open(options_in(scratch / "store")) == env);
  CHECK(Env::open(options_in(scratch / "store/../store")) == env);
  CHECK(Env::open(options_in(scratch / "other")) != env);
  auto different = options_in(scratch / "store");
  different.tables.push_back("third");
  CHECK(code_of([&] { Env::open(different); }) == ErrorCode::failed);
}

TEST_CASE("threads that open and close one store at once never open it twice") {
  const Scratch scratch;
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) {
        try {
          const auto env = Env::open(options_in(scratch / "store"));
          put(*env, std::to_string(t), std::to_string(i));
        } catch (const Error&) {
          ++failures;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(failures == 0);
  CHECK(count(*Env::open(options_in(scratch / "store"))) == 4);
}

TEST_CASE("a forked child is told so by every call, and may open the store itself") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  auto env = Env::open(options_in(dir));
  put(*env, "key", "value");
  const int ended = in_child([&] {
    const auto is_refused = [](auto&& action) {
      return code_of(action) == ErrorCode::wrong_process;
    };
    if (!is_refused([&] { get(*env, "key"); })) return 1;
    if (!is_refused([&] { put(*env, "key", "child"); })) return 2;
    if (!is_refused([&] { (void)env->last_transaction(); })) return 3;
    if (!is_refused([&] { (void)env->octets_used(); })) return 4;
    if (!is_refused([&] { env->copy_to(dir / "copy"); })) return 5;
    auto own = Env::open(options_in(dir));
    put(*own, "from", "child");
    own.reset();
    env.reset();
    return 0;
  });
  CHECK(ended == 0);
  CHECK(get(*env, "key") == "value");
  CHECK(get(*env, "from") == "child");
  put(*env, "key", "parent");
}

TEST_CASE("two processes write at once, and each follows the map of the other") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  Env::open(options_in(dir)).reset();
  constexpr std::uint64_t batches = 40;
  const auto fill = [&](std::uint64_t base) {
    const auto env = Env::open(options_in(dir));
    for (std::uint64_t b = 0; b < batches; ++b) {
      env->write([&](WriteTxn& txn) {
        for (std::uint64_t i = base + b * 100; i < base + (b + 1) * 100; ++i) {
          txn.put(first_table, number_key(i), bytes_of(number_value(i, 2'000)));
        }
      });
    }
  };
  const pid_t child = fork();
  if (child == 0) {
    int code = 1;
    try {
      fill(1'000'000);
      code = 0;
    } catch (...) {
    }
    _exit(code);
  }
  fill(0);
  const auto env = Env::open(options_in(dir));
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) count(*env);
  CHECK(status == 0);
  CHECK(count(*env) == 2 * batches * 100);
  const auto found = env->read([](const ReadTxn& txn) {
    return std::string(text_of(*txn.get(first_table, number_key(1'000'000 + batches * 100 - 1))));
  });
  CHECK(found == number_value(1'000'000 + batches * 100 - 1, 2'000));
  put(*env, "goes", "on");
}

TEST_CASE("a process that only reads follows the map that another one grew") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  const auto env = Env::open(options_in(dir));
  const auto before = env->last_transaction();
  const int ended = in_child([&] {
    const auto own = Env::open(options_in(dir));
    for (std::uint64_t i = 0; i < 300; ++i) put(*own, std::to_string(i), number_value(i, 20'000));
    return 0;
  });
  CHECK(ended == 0);
  CHECK(env->last_transaction() == before + 300);
  CHECK(get(*env, "299") == number_value(299, 20'000));
  CHECK(count(*env) == 300);
}

TEST_CASE("a reader that died in another process does not keep pages for ever") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  const auto env = Env::open(options_in(dir));
  put(*env, "key", "value");
  const int killed = in_child([&] {
    const auto own = Env::open(options_in(dir));
    own->read([](const ReadTxn&) { raise(SIGKILL); });
    return 0;
  });
  CHECK(killed == -SIGKILL);
  // The next who opens the store clears the slot.
  CHECK(in_child([&] { return Env::open(options_in(dir)) ? 0 : 1; }) == 0);
  for (int i = 0; i < 400; ++i) put(*env, "key", number_value(1, 3'000));
  CHECK(env->octets_used() < mib / 2);
}

TEST_CASE("a commit that the disk refused changes nothing, and the next one goes on") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  const int ended = in_child([&] {
    signal(SIGXFSZ, SIG_IGN);
    const auto env = Env::open(options_in(dir));
    put(*env, "key", "value");
    const rlim_t size = std::filesystem::file_size(dir / "data.mdb");
    struct rlimit before {};
    getrlimit(RLIMIT_FSIZE, &before);
    const struct rlimit tight { size, before.rlim_max };
    setrlimit(RLIMIT_FSIZE, &tight);
    const auto big = number_value(1, 200'000);
    if (code_of([&] { put(*env, "big", big); }) != ErrorCode::failed) return 1;
    if (get(*env, "key") != "value" || get(*env, "big")) return 2;
    if (code_of([&] { put(*env, "big", big); }) != ErrorCode::failed) return 3;
    setrlimit(RLIMIT_FSIZE, &before);
    put(*env, "big", big);
    return get(*env, "big") == big && get(*env, "key") == "value" ? 0 : 4;
  });
  CHECK(ended == 0);
}

}  // namespace
}  // namespace loam::lmdb
