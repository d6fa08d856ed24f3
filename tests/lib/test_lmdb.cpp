#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "crdt/big_endian.hpp"
#include "lib/lmdb.hpp"
#include "tests/lib/scratch.hpp"

namespace loam::lmdb {
namespace {

using test::code_of;
using test::message_of;
using test::Scratch;

constexpr Table first_table{0};
constexpr Table second_table{1};
constexpr std::uint64_t mib = 1 << 20;

EnvOptions options_in(const std::filesystem::path& dir, std::uint64_t start = mib,
                      std::uint64_t cap = 256 * mib) {
  return {.dir = dir, .octets_start = start, .octets_max = cap, .tables = {"first", "second"}};
}

void put(Env& env, std::string_view key, std::string_view value) {
  env.write([&](WriteTxn& txn) { txn.put(first_table, bytes_of(key), bytes_of(value)); });
}

std::optional<std::string> get(const Env& env, std::string_view key) {
  return env.read([&](const ReadTxn& txn) -> std::optional<std::string> {
    const auto value = txn.get(first_table, bytes_of(key));
    if (!value) return std::nullopt;
    return std::string(text_of(*value));
  });
}

std::uint64_t count(const Env& env) {
  return env.read([](const ReadTxn& txn) { return txn.count(first_table); });
}

std::map<std::string, std::string> everything(const Env& env) {
  return env.read([](const ReadTxn& txn) {
    std::map<std::string, std::string> found;
    Cursor cursor = txn.cursor(first_table);
    while (cursor.next()) found.emplace(text_of(cursor.key()), text_of(cursor.value()));
    return found;
  });
}

Bytes number_key(std::uint64_t number) {
  Bytes key(8);
  store_u64(key.data(), number);
  return key;
}

// The value that belongs to a number, so that any thread can tell a wrong one.
std::string number_value(std::uint64_t number, std::size_t size) {
  std::string value(size, '\0');
  std::mt19937_64 random(number);
  for (char& c : value) c = static_cast<char>('a' + random() % 26);
  return value;
}

// Runs an action in a forked child and says how it ended: the exit code, or minus the signal.
template <class Action>
int in_child(Action&& action) {
  const pid_t child = fork();
  if (child == 0) {
    int code = 99;
    try {
      code = action();
    } catch (...) {
    }
    _exit(code);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST_CASE("what was written is read, and survives closing") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  {
    const auto env = Env::open(options_in(dir));
    put(*env, "key", "value");
    put(*env, "empty", "");
    CHECK(get(*env, "key") == "value");
  }
  const auto env = Env::open(options_in(dir));
  CHECK(get(*env, "key") == "value");
  CHECK(get(*env, "empty") == "");
  CHECK_FALSE(get(*env, "other"));
  CHECK_FALSE(get(*env, ""));
  CHECK(count(*env) == 2);
}

TEST_CASE("an erased key is gone, and erasing says whether there was one") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  put(*env, "key", "value");
  std::vector<bool> had;
  env->write([&](WriteTxn& txn) {
    had = {txn.erase(first_table, bytes_of("key")), txn.erase(first_table, bytes_of("key")),
           txn.erase(first_table, {})};
  });
  CHECK(had == std::vector<bool>{true, false, false});
  CHECK(count(*env) == 0);
}

TEST_CASE("tables do not see each other") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  put(*env, "key", "value");
  const bool seen = env->read(
      [](const ReadTxn& txn) { return txn.get(second_table, bytes_of("key")).has_value(); });
  CHECK_FALSE(seen);
}

TEST_CASE("files and directory belong to the user alone") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  const auto env = Env::open(options_in(dir));
  const auto mode = [](const std::filesystem::path& path) {
    struct stat status {};
    stat(path.c_str(), &status);
    return status.st_mode & 0777U;
  };
  CHECK(mode(dir) == 0700);
  CHECK(mode(dir / "data.mdb") == 0600);
  CHECK(mode(dir / "lock.mdb") == 0600);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(dir)) ++files;
  CHECK(files == 2);
}

TEST_CASE("a cursor walks both ways and stops at both ends") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  env->write([](WriteTxn& txn) {
    for (const char* key : {"b", "d", "f"}) txn.append(first_table, bytes_of(key), bytes_of("v"));
  });
  env->read([](const ReadTxn& txn) {
    Cursor cursor = txn.cursor(first_table);
    const auto at = [&](bool stands) { return stands ? std::string(text_of(cursor.key())) : "-"; };
    CHECK(at(cursor.next()) == "b");
    CHECK(at(cursor.previous()) == "-");
    CHECK(at(cursor.previous()) == "-");
    CHECK(at(cursor.next()) == "b");
    CHECK(at(cursor.last()) == "f");
    CHECK(at(cursor.next()) == "-");
    CHECK(at(cursor.next()) == "-");
    CHECK(at(cursor.previous()) == "f");
    CHECK(at(cursor.previous()) == "d");
    CHECK(at(cursor.first()) == "b");
    CHECK(at(cursor.seek(bytes_of("d"))) == "d");
    CHECK(at(cursor.seek(bytes_of("c"))) == "d");
    CHECK(at(cursor.seek({})) == "b");
    CHECK(at(cursor.seek(bytes_of("g"))) == "-");
    CHECK(at(cursor.next()) == "-");
    CHECK(at(cursor.previous()) == "f");
    Cursor backwards = txn.cursor(first_table);
    CHECK(backwards.previous());
    CHECK(text_of(backwards.key()) == "f");
    Cursor nothing = txn.cursor(second_table);
    CHECK_FALSE(nothing.first());
    CHECK_FALSE(nothing.last());
    CHECK_FALSE(nothing.next());
  });
}

TEST_CASE("a snapshot does not see later writes") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  put(*env, "key", "old");
  env->read([&](const ReadTxn& txn) {
    std::thread([&] { put(*env, "key", "new"); }).join();
    CHECK(text_of(*txn.get(first_table, bytes_of("key"))) == "old");
  });
  CHECK(get(*env, "key") == "new");
}

TEST_CASE("nothing is stored when the body throws") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  const auto before = env->last_transaction();
  CHECK_THROWS_AS(env->write([](WriteTxn& txn) {
    txn.put(first_table, bytes_of("key"), bytes_of("value"));
    throw std::runtime_error("no");
  }),
                  std::runtime_error);
  CHECK_FALSE(get(*env, "key"));
  CHECK(env->last_transaction() == before);
  put(*env, "key", "value");
  CHECK(env->last_transaction() == before + 1);
}

TEST_CASE("an append that is not the greatest key is an error") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  put(*env, "m", "");
  const auto append = [&](const char* key) {
    env->write([&](WriteTxn& txn) { txn.append(first_table, bytes_of(key), {}); });
  };
  CHECK(code_of([&] { append("m"); }) == ErrorCode::failed);
  CHECK(code_of([&] { append("a"); }) == ErrorCode::failed);
  append("n");
  CHECK(count(*env) == 2);
}

TEST_CASE("a key of 511 octets is stored, one of 512 is an error") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  put(*env, std::string(511, 'k'), "value");
  CHECK(code_of([&] { put(*env, std::string(512, 'k'), "value"); }) == ErrorCode::limit);
  CHECK_FALSE(get(*env, std::string(512, 'k')));
  CHECK(count(*env) == 1);
}

TEST_CASE("values of every size survive page splits, overwriting and erasing") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  std::map<std::string, std::string> model;
  std::mt19937 random(1);
  for (int round = 0; round < 60; ++round) {
    auto changed = model;
    env->write([&](WriteTxn& txn) {
      changed = model;
      for (int i = 0; i < 40; ++i) {
        const std::string key = std::to_string(random() % 700);
        if (random() % 4 == 0) {
          const bool had = changed.erase(key) != 0;
          CHECK(txn.erase(first_table, bytes_of(key)) == had);
          continue;
        }
        const std::size_t size = random() % 8 == 0 ? random() % 20'000 : random() % 400;
        changed[key] = number_value(random(), size);
        txn.put(first_table, bytes_of(key), bytes_of(changed[key]));
      }
    });
    model = changed;
  }
  CHECK(everything(*env) == model);
}

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

TEST_CASE("one flipped bit in a stored value is damage, never wrong data") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  const std::string canary = "a value that nothing else in this file looks like";
  {
    const auto env = Env::open(options_in(dir));
    put(*env, "canary", canary);
    put(*env, "other", "fine");
  }
  std::string file = test::read_file(dir / "data.mdb");
  std::size_t flipped = 0;
  for (auto at = file.find(canary); at != std::string::npos; at = file.find(canary, at + 1)) {
    file[at + 5] = static_cast<char>(file[at + 5] ^ 4);
    ++flipped;
  }
  REQUIRE(flipped > 0);
  test::write_file(dir / "data.mdb", file);

  const auto env = Env::open(options_in(dir));
  CHECK(code_of([&] { get(*env, "canary"); }) == ErrorCode::damaged);
  CHECK(code_of([&] { everything(*env); }) == ErrorCode::damaged);
  CHECK(get(*env, "other") == "fine");
  CHECK(message_of([&] { get(*env, "canary"); }).find("table first: entry ") != std::string::npos);
  put(*env, "canary", "repaired");
  CHECK(get(*env, "canary") == "repaired");
}

TEST_CASE("a value under the key of another is damage") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  {
    const auto env = Env::open(options_in(dir));
    put(*env, "key-aaaa", "value");
  }
  std::string file = test::read_file(dir / "data.mdb");
  for (auto at = file.find("key-aaaa"); at != std::string::npos; at = file.find("key-aaaa")) {
    file[at + 7] = 'b';
  }
  test::write_file(dir / "data.mdb", file);
  const auto env = Env::open(options_in(dir));
  CHECK(code_of([&] { get(*env, "key-aaab"); }) == ErrorCode::damaged);
}

TEST_CASE("a truncated data file is damage, not a signal") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  {
    const auto env = Env::open(options_in(dir));
    for (int i = 0; i < 50; ++i) put(*env, std::to_string(i), number_value(1, 3'000));
  }
  const auto size = std::filesystem::file_size(dir / "data.mdb");
  const std::string whole = test::read_file(dir / "data.mdb");
  for (const std::uint64_t keep :
       {size - 4'096, size / 2, std::uint64_t{8'192}, std::uint64_t{8'191}, std::uint64_t{4'096},
        std::uint64_t{100}, std::uint64_t{0}}) {
    CAPTURE(keep);
    test::write_file(dir / "data.mdb", whole.substr(0, keep));
    const int ended = in_child([&] {
      return code_of([&] { get(*Env::open(options_in(dir)), "1"); }) == ErrorCode::damaged ? 0 : 1;
    });
    CHECK(ended == 0);
  }
  std::filesystem::resize_file(dir / "data.mdb", 0);
  std::filesystem::resize_file(dir / "data.mdb", size / 2);
  CHECK(code_of([&] { Env::open(options_in(dir)); }) == ErrorCode::damaged);
  test::write_file(dir / "data.mdb", whole.substr(0, 16'384));
  const std::string message = message_of([&] { Env::open(options_in(dir)); });
  CHECK(message.find("data.mdb: 16384 octets, its meta page needs ") != std::string::npos);
}

TEST_CASE("a data file that is no LMDB file is damage and stays as it is") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  std::filesystem::create_directory(dir);
  const std::string garbage = number_value(7, 100'000);
  test::write_file(dir / "data.mdb", garbage);
  CHECK(code_of([&] { Env::open(options_in(dir)); }) == ErrorCode::damaged);
  CHECK(test::read_file(dir / "data.mdb") == garbage);
}

TEST_CASE("any flipped bit of a meta page is refused or harmless, and never a signal") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  {
    const auto env = Env::open(options_in(dir));
    put(*env, "key", "value");
  }
  const std::string whole = test::read_file(dir / "data.mdb");
  // Offsets of magic, version and last page: the fields that are checked.
  for (const std::size_t offset : {16U, 20U, 136U + 2U, 136U + 7U}) {
    for (const std::size_t page : {std::size_t{0}, std::size_t{4'096}}) {
      CAPTURE(offset);
      std::string broken = whole;
      broken[page + offset] = static_cast<char>(broken[page + offset] ^ 0x40);
      test::write_file(dir / "data.mdb", broken);
      const int ended = in_child([&] {
        try {
          return get(*Env::open(options_in(dir)), "key") == "value" ? 0 : 1;
        } catch (const Error& error) {
          return error.code() == ErrorCode::damaged ? 0 : 2;
        }
      });
      CHECK(ended == 0);
    }
  }
}

TEST_CASE("a store whose data file was taken away is damaged, not new") {
  const Scratch scratch;
  const auto dir = scratch / "store";
  Env::open(options_in(dir)).reset();
  std::filesystem::remove(dir / "data.mdb");
  CHECK(code_of([&] { Env::open(options_in(dir)); }) == ErrorCode::damaged);
  CHECK_FALSE(std::filesystem::exists(dir / "data.mdb"));
}

TEST_CASE("a symlink is not followed") {
  const Scratch scratch;
  Env::open(options_in(scratch / "store")).reset();
  std::filesystem::create_directory_symlink(scratch / "store", scratch / "link");
  CHECK(code_of([&] { Env::open(options_in(scratch / "link")); }) == ErrorCode::denied);
  std::filesystem::create_directory(scratch / "other");
  std::filesystem::create_symlink(scratch / "store/data.mdb", scratch / "other/data.mdb");
  CHECK(code_of([&] { Env::open(options_in(scratch / "other")); }) == ErrorCode::denied);
}

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

TEST_CASE("a copy is a store of its own with the same entries") {
  const Scratch scratch;
  const auto env = Env::open(options_in(scratch / "store"));
  for (std::uint64_t i = 0; i < 300; ++i) {
    put(*env, std::to_string(i), number_value(i, 1'000));
  }
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 0; !done; ++i) put(*env, "later", number_value(1, 10'000));
  });
  env->copy_to(scratch / "copy");
  done = true;
  writer.join();
  auto expected = everything(*env);
  auto found = everything(*Env::open(options_in(scratch / "copy")));
  expected.erase("later");
  found.erase("later");
  CHECK(found == expected);
  CHECK(std::filesystem::file_size(scratch / "copy/data.mdb") <= env->octets_used());
  struct stat status {};
  stat((scratch / "copy/data.mdb").c_str(), &status);
  CHECK((status.st_mode & 0777U) == 0600);
  const auto error = test::error_of([&] { env->copy_to(scratch / "copy"); });
  REQUIRE(error);
  CHECK(error->code() == ErrorCode::failed);
}

TEST_CASE("a directory that others may not enter is denied") {
  if (getuid() == 0) return;  // root may
  const Scratch scratch;
  std::filesystem::create_directory(scratch / "closed");
  std::filesystem::permissions(scratch / "closed", std::filesystem::perms::none);
  CHECK(code_of([&] { Env::open(options_in(scratch / "closed/store")); }) == ErrorCode::denied);
}

TEST_CASE("a directory without a parent is an error of the environment") {
  const Scratch scratch;
  CHECK(code_of([&] { Env::open(options_in(scratch / "no/store")); }) == ErrorCode::failed);
}

}  // namespace
}  // namespace loam::lmdb
