#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "tests/crash/small_disk.hpp"
#include "tests/crash/troubled_run.hpp"
#include "tests/support/forall.hpp"

namespace loam {
namespace {

using test::Outcome;
using test::TroubledRun;

constexpr int steps_until_full = 2'000;

// One for the process: it has left the name space of the others for it.
std::unique_ptr<test::SmallDisk> disk;

/// A directory on the small disk; everything on the disk is gone at the end of its scope.
struct Place {
  std::filesystem::path path = disk->path() / "stores";
  Place() { std::filesystem::create_directory(path); }
  ~Place() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
    disk->empty();
  }
};

// LMDB writes several pages at once. When some of them fit, it calls that an input/output error,
// and the store has to be opened again; so a full disk may look like a broken one.
void must_be_refused(TroubledRun& run, const Outcome& outcome) {
  REQUIRE_MESSAGE((outcome.code == ErrorCode::out_of_space || outcome.code == ErrorCode::failed),
                  outcome.what);
  if (outcome.code == ErrorCode::out_of_space) return;
  run.close();
  const Outcome opened = run.open();
  REQUIRE_MESSAGE(opened.is_done, opened.what);
}

// Writes until the disk is full, and then some more: what fits is stored, nothing else.
void write_until_full(::test::Gen& gen, TroubledRun& run) {
  REQUIRE(run.open().is_done);
  for (int i = 0; i < 10; ++i) REQUIRE(run.step().is_done);
  disk->fill(gen.index(100'000));
  int refused = 0;
  for (int i = 0; i < steps_until_full && refused < 5; ++i) {
    const Outcome outcome = run.step();
    REQUIRE(run.is_open());
    if (outcome.is_done) continue;
    must_be_refused(run, outcome);
    REQUIRE(run.verify() == "");
    ++refused;
  }
  REQUIRE(refused == 5);
}

void must_go_on(TroubledRun& run) {
  for (int i = 0; i < 20; ++i) {
    const Outcome outcome = run.step();
    REQUIRE_MESSAGE(outcome.is_done, outcome.what);
    REQUIRE(run.verify() == "");
  }
  run.close();
  REQUIRE(run.open().is_done);
  REQUIRE(run.verify() == "");
}

TEST_CASE(
    "a full disk refuses writes whole, all that was acknowledged is read, and space mends it") {
  ::test::forall("full disk", 20, [](::test::Gen& gen) {
    const Place place;
    TroubledRun run(place.path, gen.bits());
    write_until_full(gen, run);
    disk->empty();
    must_go_on(run);
  });
}

TEST_CASE("a store on a full disk opens, is read, and refuses writes") {
  ::test::forall("opening on a full disk", 10, [](::test::Gen& gen) {
    const Place place;
    TroubledRun run(place.path, gen.bits());
    write_until_full(gen, run);
    disk->fill(0);
    run.close();
    const Outcome opened = run.open();
    REQUIRE_MESSAGE(opened.is_done, opened.what);
    REQUIRE(run.verify() == "");
    disk->empty();
    must_go_on(run);
  });
}

TEST_CASE("a removal on a full disk is done whole or refused whole, and done once there is space") {
  int done = 0;
  int refused = 0;
  ::test::forall("removing on a full disk", 20, [&](::test::Gen& gen) {
    const Place place;
    TroubledRun run(place.path, gen.bits());
    write_until_full(gen, run);
    if (gen.coin()) {  // as a process that is started to remove does
      run.close();
      REQUIRE(run.open().is_done);
    }
    if (gen.coin()) disk->fill(0);
    const Outcome removed = run.remove_everything();
    if (!removed.is_done) must_be_refused(run, removed);
    ++(removed.is_done ? done : refused);
    REQUIRE(run.verify() == "");
    disk->empty();
    const Outcome again = run.remove_everything();
    REQUIRE_MESSAGE(again.is_done, again.what);
    REQUIRE(run.verify() == "");
    must_go_on(run);
  });
  MESSAGE(done, " removals done and ", refused, " refused while the disk was full");
}

TEST_CASE("a store that cannot be made on a full disk leaves nothing behind that is in the way") {
  int refused = 0;
  ::test::forall("making a store on a full disk", 20, [&](::test::Gen& gen) {
    const Place place;
    disk->fill(gen.index(200'000));
    TroubledRun run(place.path, gen.bits());
    const Outcome outcome = run.open();
    if (!outcome.is_done) ++refused;
    disk->empty();
    if (!outcome.is_done) {
      REQUIRE_MESSAGE(outcome.code, outcome.what);
      REQUIRE(run.open().is_done);
    }
    must_go_on(run);
  });
  CHECK(refused > 0);
}

TEST_CASE("a store whose lock file is missing opens on a full disk, or says why it does not") {
  const Place place;
  {
    TroubledRun run(place.path, 1);
    REQUIRE(run.open().is_done);
  }
  std::filesystem::remove(place.path / test::shared_name / "lock.mdb");
  disk->fill(0);
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGBUS, SIG_DFL);
    TroubledRun run(place.path, 1);
    const Outcome outcome = run.open();
    _exit(outcome.is_done || outcome.code == ErrorCode::out_of_space ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(status == 0);
}

}  // namespace
}  // namespace loam

int main(int count, char** arguments) {
  try {
    loam::disk = std::make_unique<loam::test::SmallDisk>();
  } catch (const std::exception& error) {
    std::printf("SKIPPED: no test of a full disk, a small one cannot be mounted: %s\n",
                error.what());
    return 77;  // what Meson takes for skipped
  }
  const int result = doctest::Context(count, arguments).run();
  loam::disk.reset();
  return result;
}
