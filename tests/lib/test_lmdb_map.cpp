#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "tests/lib/lmdb_env.hpp"

namespace loam::lmdb {
namespace {

using namespace test_env;

TEST_CASE("the map doubles many times while other threads read") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  constexpr std::size_t size = 2'000;
  std::atomic<std::uint64_t> written{0};
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> reads{0};
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (unsigned seed = 0; seed < 3; ++seed) {
    readers.emplace_back([&, seed] {
      std::mt19937_64 random(seed);
      while (!done) {
        const std::uint64_t upto = written;
        if (upto == 0) continue;
        const std::uint64_t number = random() % upto;
        const auto found = env->read([&](const ReadTxn& txn) -> std::string {
          const auto value = txn.get(first_table, number_key(number));
          return value ? std::string(text_of(*value)) : "";
        });
        if (found != number_value(number, size)) ++wrong;
        ++reads;
      }
    });
  }
  constexpr std::uint64_t batch = 500;
  for (std::uint64_t from = 0; from < 40 * batch; from += batch) {
    env->write([&](WriteTxn& txn) {
      for (std::uint64_t i = from; i < from + batch; ++i) {
        txn.append(first_table, number_key(i), bytes_of(number_value(i, size)));
      }
    });
    written = from + batch;
  }
  done = true;
  for (auto& reader : readers) reader.join();
  CHECK(wrong == 0);
  CHECK(reads > 0);
  CHECK(env->octets_used() > 32 * mib);
  CHECK(count(*env) == 40 * batch);
}

TEST_CASE("a transaction larger than the map runs again until it fits") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  int runs = 0;
  env->write([&](WriteTxn& txn) {
    ++runs;
    for (std::uint64_t i = 0; i < 4'000; ++i) {
      txn.put(first_table, number_key(i), bytes_of(number_value(i, 1'000)));
    }
  });
  CHECK(runs > 1);
  CHECK(count(*env) == 4'000);
}

TEST_CASE("the map grows ahead of small transactions, so that they run once") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  std::uint64_t runs = 0;
  for (std::uint64_t i = 0; i < 300; ++i) {
    env->write([&](WriteTxn& txn) {
      ++runs;
      txn.append(first_table, number_key(i), bytes_of(number_value(i, 20'000)));
    });
  }
  CHECK(runs == 300);
  CHECK(env->octets_used() > 4 * mib);
}

TEST_CASE("a body that swallows the full map runs again all the same") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  env->write([&](WriteTxn& txn) {
    for (std::uint64_t i = 0; i < 2'000; ++i) {
      try {
        txn.put(first_table, number_key(i), bytes_of(number_value(i, 1'000)));
      } catch (const Error&) {
      }
    }
  });
  CHECK(count(*env) == 2'000);
}

struct FullStore {
  Scratch scratch;
  std::shared_ptr<Env> env = Env::open(options_in(scratch / "store", mib, mib));
  std::uint64_t batches = 0;
  std::string refusal;

  static constexpr std::uint64_t batch = 50;

  void add(std::uint64_t number) {
    env->write([&](WriteTxn& txn) {
      for (std::uint64_t i = number * batch; i < (number + 1) * batch; ++i) {
        txn.put(first_table, number_key(i), bytes_of(number_value(i, 200)));
      }
    });
  }

  void remove(std::uint64_t number) {
    env->write(
        [&](WriteTxn& txn) {
          for (std::uint64_t i = number * batch; i < (number + 1) * batch; ++i) {
            const bool had = txn.erase(first_table, number_key(i));
            CHECK(had);
          }
        },
        Space::removal);
  }

  FullStore() {
    while (refusal.empty()) {
      try {
        add(batches);
        ++batches;
      } catch (const Error& error) {
        REQUIRE(error.code() == ErrorCode::out_of_space);
        refusal = error.what();
      }
    }
  }
};

TEST_CASE("at the cap a write is refused whole, and says what to do") {
  FullStore store;
  CHECK(store.refusal.find("map is full at 1048576 octets, the configured limit; remove records or "
                           "raise store.map_octets_max") != std::string::npos);
  CHECK(store.batches > 20);
  CHECK(count(*store.env) == store.batches * FullStore::batch);
  CHECK(code_of([&] { store.add(store.batches); }) == ErrorCode::out_of_space);
  CHECK(count(*store.env) == store.batches * FullStore::batch);
  CHECK(everything(*store.env).size() == store.batches * FullStore::batch);
  CHECK(store.env->octets_used() <= mib);
}

TEST_CASE("at the cap removals work, and adding works again after them") {
  FullStore store;
  for (std::uint64_t i = 0; i < store.batches / 2; ++i) store.remove(i);
  CHECK(count(*store.env) == (store.batches - store.batches / 2) * FullStore::batch);
  for (std::uint64_t i = 0; i < store.batches / 4; ++i) store.add(i);
  CHECK(count(*store.env) ==
        (store.batches - store.batches / 2 + store.batches / 4) * FullStore::batch);
  // What removals borrowed is not a new cap for normal writes.
  CHECK(code_of([&] {
          for (std::uint64_t i = 0; i < 10 * store.batches; ++i) store.add(i + 1'000);
        }) == ErrorCode::out_of_space);
  CHECK(store.env->octets_used() < 2 * mib);
}

// Touches every leaf page in one transaction: it needs about as many pages again as there are.
void remove_every_third(FullStore& store, Space space) {
  store.env->write(
      [&](WriteTxn& txn) {
        for (std::uint64_t i = 0; i < store.batches * FullStore::batch; i += 3) {
          txn.erase(first_table, number_key(i));
        }
      },
      space);
}

TEST_CASE("a removal may borrow space beyond the cap, anything else may not") {
  FullStore store;
  CHECK(code_of([&] { remove_every_third(store, Space::normal); }) == ErrorCode::out_of_space);
  remove_every_third(store, Space::removal);
  const auto borrowed = store.env->octets_used();
  CHECK(borrowed > mib);
  CHECK(borrowed <= mib + removal_reserve_octets);
  // What was borrowed is used again, and no more is taken.
  std::uint64_t number = 1'000;
  const auto add_all = [&] {
    for (;; ++number) store.add(number);
  };
  CHECK(code_of(add_all) == ErrorCode::out_of_space);
  CHECK(number > 1'000);
  CHECK(store.env->octets_used() == borrowed);
}

TEST_CASE("a refused write commits at most once until something else was committed") {
  FullStore store;
  CHECK(code_of([&] { store.add(store.batches); }) == ErrorCode::out_of_space);
  const auto before = store.env->last_transaction();
  for (int i = 0; i < 5; ++i) {
    CHECK(code_of([&] { store.add(store.batches); }) == ErrorCode::out_of_space);
  }
  CHECK(store.env->last_transaction() == before);
}

// A process that holds a snapshot, so that no page that is freed meanwhile can be used again.
class LongReader {
 public:
  explicit LongReader(const std::filesystem::path& dir) {
    REQUIRE(pipe(begun_.data()) == 0);
    child_ = fork();
    if (child_ != 0) {
      char octet = 0;
      REQUIRE(read(begun_[0], &octet, 1) == 1);
      return;
    }
    Env::open(options_in(dir, mib, mib))->read([&](const ReadTxn&) {
      if (::write(begun_[1], "x", 1) == 1) pause();
    });
    _exit(1);
  }
  LongReader(const LongReader&) = delete;
  LongReader& operator=(const LongReader&) = delete;
  ~LongReader() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    close(begun_[0]);
    close(begun_[1]);
  }

 private:
  std::array<int, 2> begun_{};
  pid_t child_ = 0;
};

TEST_CASE("while a long reader keeps all pages, removals borrow and normal writes do not") {
  FullStore store;
  const LongReader reader(store.scratch / "store");
  remove_every_third(store, Space::removal);
  const auto borrowed = store.env->octets_used();
  std::uint64_t number = 1'000;
  for (int i = 0; i < 5; ++i) {
    CHECK(code_of([&] {
            for (;; ++number) store.add(number);
          }) == ErrorCode::out_of_space);
  }
  CHECK(store.env->octets_used() < borrowed + 128 * 1'024);
}

TEST_CASE("a process with a lower limit than the store has grown to reads and removes") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  const auto env = Env::open(options_in(dir, mib, mib));
  constexpr std::uint64_t entries = 1'200;
  CHECK(in_child([&] {
          const auto own = Env::open(options_in(dir));
          own->write([&](WriteTxn& txn) {
            for (std::uint64_t i = 0; i < entries; ++i) {
              txn.append(first_table, number_key(i), bytes_of(number_value(i, 20'000)));
            }
          });
          return 0;
        }) == 0);
  CHECK(env->octets_used() > mib + removal_reserve_octets);
  const std::string big = number_value(1, 500'000);
  CHECK(code_of([&] { put(*env, "more", big); }) == ErrorCode::out_of_space);
  for (std::uint64_t from = 0; from < entries; from += 120) {
    env->write(
        [&](WriteTxn& txn) {
          for (std::uint64_t i = from; i < from + 120; i += 3)
            txn.erase(first_table, number_key(i));
        },
        Space::removal);
  }
  CHECK(count(*env) == entries - entries / 3);
  put(*env, "small", "value");
}

TEST_CASE("at the cap everything can be removed in one transaction") {
  FullStore store;
  store.env->write(
      [&](WriteTxn& txn) {
        for (std::uint64_t i = 0; i < store.batches * FullStore::batch; ++i) {
          txn.erase(first_table, number_key(i));
        }
      },
      Space::removal);
  CHECK(count(*store.env) == 0);
  for (std::uint64_t i = 0; i < store.batches / 2; ++i) store.add(i);
}

TEST_CASE("a store at the cap opens again with a larger one and goes on") {
  FullStore store;
  const auto batches = store.batches;
  store.env.reset();
  store.env = Env::open(options_in(store.scratch / "store", mib, 4 * mib));
  store.add(batches);
  CHECK(count(*store.env) == (batches + 1) * FullStore::batch);
}

}  // namespace
}  // namespace loam::lmdb
