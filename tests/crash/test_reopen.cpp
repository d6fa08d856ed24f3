#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <thread>

#include "crdt/codec.hpp"
#include "crdt/record.hpp"
#include "lib/committer.hpp"
#include "lib/lmdb.hpp"
#include "lib/pending.hpp"
#include "tests/crash/disk_watch.hpp"
#include "tests/crash/stores.hpp"
#include "tests/lib/scratch.hpp"
#include "tests/lib/store_walk.hpp"

namespace loam {
namespace {

using test::DiskWatch;
using test::Fault;
using test::Scratch;

constexpr lmdb::Table numbers{0};
constexpr lmdb::Table texts{1};

// The kind of an error that a job ended with; absent: it succeeded.
std::optional<ErrorCode> code_of(const std::exception_ptr& failure) {
  if (!failure) return std::nullopt;
  const auto error = test::error_of([&] { std::rethrow_exception(failure); });
  return error ? error->code() : ErrorCode::invalid;
}

std::shared_ptr<lmdb::Env> open_in(const Scratch& scratch) {
  return lmdb::Env::open({.dir = scratch / "store", .tables = {"numbers", "texts"}});
}

void put(lmdb::Env& env, lmdb::Table table, const std::string& value) {
  env.write([&](lmdb::WriteTxn& txn) { txn.put(table, bytes_of("key"), bytes_of(value)); });
}

std::string get(const lmdb::Env& env, lmdb::Table table) {
  return env.read([&](const lmdb::ReadTxn& txn) {
    return std::string(text_of(txn.get(table, bytes_of("key")).value()));
  });
}

// Overwrites the head of the page on which a text stands, in an open file.
void damage_page_of(const std::filesystem::path& file, const std::string& text) {
  constexpr std::size_t page_octets = 4'096;
  const std::string octets = test::read_file(file);
  const std::size_t at = octets.find(text);
  REQUIRE(at != std::string::npos);
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  REQUIRE(descriptor >= 0);
  const std::string garbage(16, '\xff');
  const auto page = static_cast<off_t>(at / page_octets * page_octets);
  CHECK(::pwrite(descriptor, garbage.data(), garbage.size(), page) == 16);
  ::close(descriptor);
}

TEST_CASE("after a failed sync the same environment goes on, with what it had") {
  const Scratch scratch(test::memory_directory());
  const auto env = open_in(scratch);
  put(*env, numbers, "1");
  DiskWatch watch(scratch.path(), {.call = Fault::Call::sync, .number = 1, .code = EIO});
  const auto refused = test::error_of([&] { put(*env, numbers, "2"); });
  REQUIRE(refused);
  CHECK(refused->code() == ErrorCode::failed);
  CHECK(env->is_writable());
  CHECK(get(*env, numbers) == "1");
  put(*env, numbers, "3");
  CHECK(get(*env, numbers) == "3");
}

TEST_CASE("while every sync fails nothing is acknowledged, reads go on, and then all is well") {
  const Scratch scratch(test::memory_directory());
  const auto env = open_in(scratch);
  put(*env, numbers, "1");
  DiskWatch watch(scratch.path(),
                  {.call = Fault::Call::sync, .number = 1, .code = EIO, .lasts = true});
  for (int i = 0; i < 3; ++i) {
    CHECK(test::error_of([&] { put(*env, numbers, "2"); }));
    CHECK(!env->is_writable());
    CHECK(get(*env, numbers) == "1");
  }
  watch.heal();
  put(*env, numbers, "3");
  CHECK(env->is_writable());
  CHECK(get(*env, numbers) == "3");
}

TEST_CASE("a file that is found damaged after a failed sync is neither read nor written again") {
  const Scratch scratch(test::memory_directory());
  const auto env = open_in(scratch);
  const std::string text = "the page that this text stands on";
  put(*env, texts, text);
  put(*env, numbers, "1");
  damage_page_of(scratch / "store" / "data.mdb", text);
  DiskWatch watch(scratch.path(), {.call = Fault::Call::sync, .number = 1, .code = EIO});
  const auto refused = test::error_of([&] { put(*env, numbers, "2"); });
  REQUIRE(refused);
  CHECK(refused->code() == ErrorCode::failed);
  for (int i = 0; i < 2; ++i) {
    const auto written = test::error_of([&] { put(*env, numbers, "3"); });
    REQUIRE(written);
    CHECK(written->code() == ErrorCode::damaged);
    CHECK(std::string(written->what()).find("loam doctor") != std::string::npos);
    const auto read = test::error_of([&] { (void)get(*env, numbers); });
    REQUIRE(read);
    CHECK(read->code() == ErrorCode::damaged);
  }
}

TEST_CASE("readers see a whole state while the environment is opened again beneath them") {
  const Scratch scratch(test::memory_directory());
  const auto env = open_in(scratch);
  const auto put_both = [&](const std::string& value) {
    env->write([&](lmdb::WriteTxn& txn) {
      txn.put(numbers, bytes_of("key"), bytes_of(value));
      txn.put(texts, bytes_of("key"), bytes_of(value));
    });
  };
  put_both("0");
  DiskWatch watch(scratch.path());
  std::atomic<bool> is_over{false};
  std::atomic<int> torn{0};
  std::atomic<int> reads{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!is_over) {
        env->read([&](const lmdb::ReadTxn& txn) {
          const auto one = txn.get(numbers, bytes_of("key"));
          const auto other = txn.get(texts, bytes_of("key"));
          if (!one || !other || text_of(*one) != text_of(*other)) ++torn;
        });
        ++reads;
      }
    });
  }
  while (reads < 3) std::this_thread::yield();
  int refused = 0;
  for (int i = 1; i <= 100; ++i) {
    if (i % 2 == 0) watch.fail({.call = Fault::Call::meta_sync, .number = 1, .code = EIO});
    refused += test::error_of([&] { put_both(std::to_string(i)); }) ? 1 : 0;
    watch.heal();
  }
  is_over = true;  // a read that throws ends the process
  for (std::thread& reader : readers) reader.join();
  CHECK(refused == 50);
  CHECK(torn == 0);
}

TEST_CASE("what the disk refused may be there all the same, so it is not tried again") {
  const Scratch scratch(test::memory_directory());
  const SegmentTable table;
  const Config config;
  SharedStore shared(scratch / "shared", table, config, InstanceId{}, StoreIdentity{"alpha", {}});
  PrivateStore priv(scratch / "private", table, config);
  Committer committer(
      shared, priv, [] { return 1'000; }, [] {});
  const SegmentNumber segment = shared.number("lessons_learned");
  const Bytes content = encode(Map{{"payload", Map{{"text", "x"}}}, {"type", "lesson"}});
  Job add;
  add.shared = [&](SharedBatch& batch) { batch.add(segment, content, encode(Map{})); };
  committer.commit({add});
  std::vector<std::optional<ErrorCode>> ended;
  Job remove;
  remove.shared = [&](SharedBatch& batch) {
    batch.remove(segment, element_of("lessons_learned", content));
  };
  Job other;
  other.shared = [&](SharedBatch& batch) {
    batch.put(shared.number("governance_meta"), "key", encode(Value(std::int64_t{1})));
  };
  for (Job* job : {&remove, &other}) {
    job->done = [&](std::exception_ptr failure) { ended.push_back(code_of(failure)); };
  }
  DiskWatch watch(scratch.path(), {.call = Fault::Call::meta_lost, .number = 1, .code = EIO});
  committer.commit({remove, other});
  // Each is told that it failed; a second try of the removal would have found nothing to remove.
  CHECK(ended == std::vector<std::optional<ErrorCode>>{ErrorCode::failed, ErrorCode::failed});
  watch.heal();
  ended.clear();
  committer.commit({add, other});
  CHECK(ended == std::vector<std::optional<ErrorCode>>{std::nullopt});
  CHECK(test::walk(shared) == "");
}

// What a disk still has of a commit that it refused, when the kernel forgets what it was told to write.
class OldMeta {
 public:
  explicit OldMeta(std::filesystem::path file)
      : file_(std::move(file)), octets_(test::read_file(file_).substr(0, 2 * 4'096)) {}

  void bring_back() const {
    const int descriptor = ::open(file_.c_str(), O_WRONLY | O_CLOEXEC);
    REQUIRE(descriptor >= 0);
    CHECK(::pwrite(descriptor, octets_.data(), octets_.size(), 0) ==
          static_cast<ssize_t>(octets_.size()));
    ::close(descriptor);
  }

 private:
  std::filesystem::path file_;
  std::string octets_;
};

// A store, and batches of elements that its index keeps pending.
struct Indexed {
  explicit Indexed(std::filesystem::path dir) : place(std::move(dir)) {}

  Bytes content(int batch, std::size_t i) const {
    return encode(Map{{"payload", Map{{"text", std::to_string(batch) + " " + std::to_string(i)}}},
                      {"type", "lesson"}});
  }

  bool add(int batch) {
    bool is_stored = false;
    Job job;
    job.shared = [&](SharedBatch& into) {
      for (std::size_t i = 0; i < count; ++i) into.add(segment, content(batch, i), encode(Map{}));
    };
    job.done = [&](std::exception_ptr failure) { is_stored = !failure; };
    committer.commit({job});
    return is_stored;
  }

  // How many of a batch a reader finds by their ids.
  std::size_t found(int batch) const {
    return shared.read([&](const SharedReader& reader) {
      std::size_t has = 0;
      for (std::size_t i = 0; i < count; ++i) {
        has += reader.has_dots(segment, element_of("lessons_learned", content(batch, i))) ? 1 : 0;
      }
      return has;
    });
  }

  static constexpr std::size_t count = pending_entries_min + 4;
  std::filesystem::path place;
  SegmentTable table;
  Config config;
  SharedStore shared{place / "shared", table, config, InstanceId{}, StoreIdentity{"alpha", {}}};
  PrivateStore priv{place / "private", table, config};
  Committer committer{shared, priv, [] { return 1'000; }, [] {}};
  SegmentNumber segment = shared.number("lessons_learned");
};

TEST_CASE("readers do not trust an index of what a failing disk has lost") {
  const Scratch place(test::memory_directory());
  Indexed store(place.path());
  REQUIRE(store.add(0));
  const OldMeta before(place / "shared" / "data.mdb");
  DiskWatch watch(place.path(),
                  {.call = Fault::Call::meta_lost, .number = 1, .code = EIO, .lasts = true});
  REQUIRE(!store.add(1));
  REQUIRE(!store.shared.env().is_writable());
  REQUIRE(store.found(1) == Indexed::count);  // read, though nobody was told that it is durable
  watch.heal();
  before.bring_back();
  REQUIRE(store.add(2));  // under the number that the lost commit had, in the place of its rows
  CHECK(store.found(0) == Indexed::count);
  CHECK(store.found(1) == 0);
  CHECK(store.found(2) == Indexed::count);
  CHECK(test::walk(store.shared) == "");
}

TEST_CASE("an older state that a failing disk brings back is not written over while its newest is known") {
  const Scratch place(test::memory_directory());
  Indexed store(place.path());
  REQUIRE(store.add(0));
  REQUIRE(store.add(1));
  const OldMeta before(place / "shared" / "data.mdb");
  DiskWatch watch(place.path(),
                  {.call = Fault::Call::meta_lost, .number = 1, .code = EIO, .lasts = true});
  REQUIRE(!store.add(2));
  watch.heal();
  before.bring_back();
  // LMDB would go on from the state before the last acknowledged one.
  REQUIRE(store.add(3));
  CHECK(store.found(0) == Indexed::count);
  CHECK(store.found(1) == Indexed::count);
  CHECK(store.found(3) == Indexed::count);
  CHECK(test::walk(store.shared) == "");
}

// A process that opens the store when it is told to, and keeps it open until it is killed.
class Holder {
 public:
  explicit Holder(const std::filesystem::path& dir) {
    REQUIRE(pipe(to_.data()) == 0);
    REQUIRE(pipe(from_.data()) == 0);
    process_ = fork();
    REQUIRE(process_ >= 0);
    if (process_ > 0) return;
    char octet = 0;
    if (::read(to_[0], &octet, 1) != 1) _exit(1);
    const auto env = lmdb::Env::open({.dir = dir, .tables = shared_table_names()});
    if (::write(from_[1], &octet, 1) == 1) pause();
    _exit(1);
  }
  ~Holder() { end(); }

  void open() const {
    char octet = 1;
    REQUIRE(::write(to_[1], &octet, 1) == 1);
    REQUIRE(::read(from_[0], &octet, 1) == 1);
  }

  void end() {
    if (process_ <= 0) return;
    kill(process_, SIGKILL);
    waitpid(std::exchange(process_, 0), nullptr, 0);
  }

 private:
  std::array<int, 2> to_{};
  std::array<int, 2> from_{};
  pid_t process_ = 0;
};

TEST_CASE("while another process knows of a commit that the disk has lost, nothing is written") {
  const Scratch place(test::memory_directory());
  Holder other(place / "shared");  // before this process has anything open that a child must not use
  Indexed store(place.path());
  REQUIRE(store.add(0));
  REQUIRE(store.add(1));
  const OldMeta before(place / "shared" / "data.mdb");
  DiskWatch watch(place.path(),
                  {.call = Fault::Call::meta_lost, .number = 1, .code = EIO, .lasts = true});
  REQUIRE(!store.add(2));
  other.open();
  watch.heal();
  before.bring_back();
  CHECK(!store.add(3));
  CHECK(!store.shared.env().is_writable());
  other.end();
  REQUIRE(store.add(4));
  CHECK(store.found(0) == Indexed::count);
  CHECK(store.found(1) == Indexed::count);
  CHECK(store.found(4) == Indexed::count);
  CHECK(test::walk(store.shared) == "");
}

}  // namespace
}  // namespace loam
