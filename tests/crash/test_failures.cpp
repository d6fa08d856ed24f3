#include <doctest/doctest.h>

#include <cerrno>

#include "tests/crash/disk_watch.hpp"
#include "tests/crash/troubled_run.hpp"
#include "tests/lib/scratch.hpp"
#include "tests/support/forall.hpp"

namespace loam {
namespace {

using test::DiskWatch;
using test::Fault;
using test::Outcome;
using test::Scratch;
using test::TroubledRun;

constexpr int steps = 12;

// A refusal by the disk has one of two codes, never another. LMDB takes half a write for a full
// disk in one place.
void must_be_refusal(const Outcome& outcome, const Fault& fault) {
  REQUIRE_MESSAGE(!outcome.is_done, "acknowledged");
  REQUIRE_MESSAGE(outcome.code, outcome.what);
  const bool may_be_full = fault.code == ENOSPC || fault.code == 0;
  const bool is_full = outcome.code == ErrorCode::out_of_space;
  REQUIRE_MESSAGE((outcome.code == ErrorCode::failed || (may_be_full && is_full)), outcome.what);
}

// While the disk fails reads go on, or say that they cannot.
void must_read_or_refuse(TroubledRun& run) {
  std::string what;
  const auto error = test::error_of([&] { what = run.verify(); });
  REQUIRE(what == "");
  if (error) REQUIRE_MESSAGE(error->code() == ErrorCode::failed, error->what());
}

// What holds after any refusal: nothing wrong is read, nothing can be written while the disk fails;
// when it works again the same stores go on without being opened anew; and after opening anew
// everything that was acknowledged is there.
void after_refusal(TroubledRun& run, DiskWatch& watch, const Fault& fault) {
  must_read_or_refuse(run);
  if (fault.lasts) {
    for (int i = 0; i < 2; ++i) {
      if (!run.is_open()) break;  // a step closed the stores, and they could not be opened
      const std::uint64_t failures = watch.failures();
      const Outcome next = run.step();
      if (!next.is_done) must_be_refusal(next, fault);
      if (next.is_done) REQUIRE(watch.failures() == failures);
    }
  }
  watch.heal();
  if (run.is_open()) {
    const Outcome next = run.step();
    REQUIRE_MESSAGE(next.is_done, next.what);
    REQUIRE(run.verify() == "");
  }
  run.close();
  const Outcome opened = run.open();
  REQUIRE_MESSAGE(opened.is_done, opened.what);
  REQUIRE(run.verify() == "");
}

// Runs the script while one call, or every call from one on, fails. Says whether it was reached.
bool endures(const Fault& fault, std::uint64_t seed) {
  const Scratch scratch(test::memory_directory());
  DiskWatch watch(scratch.path(), fault);
  TroubledRun run(scratch.path(), seed);
  Outcome outcome = run.open();
  if (!outcome.is_done) {
    must_be_refusal(outcome, fault);
    if (fault.lasts) must_be_refusal(run.open(), fault);
    watch.heal();
    outcome = run.open();
    REQUIRE_MESSAGE(outcome.is_done, outcome.what);
    REQUIRE(run.verify() == "");
  }
  for (int i = 0; i < steps; ++i) {
    const std::uint64_t failures = watch.failures();
    outcome = run.step();
    if (outcome.is_done) {
      REQUIRE(watch.failures() == failures);  // none goes untold
      REQUIRE(run.verify() == "");
      continue;
    }
    REQUIRE_MESSAGE(failures == 0, outcome.what);
    must_be_refusal(outcome, fault);
    if (!run.is_open()) {  // closed, and opening failed
      watch.heal();
      REQUIRE(run.open().is_done);
    }
    after_refusal(run, watch, fault);
  }
  return watch.failures() > 0;
}

// Lets every call of a kind fail, one after the other, in as many runs of the same script.
void every_call_fails(const char* law, Fault fault) {
  std::uint64_t runs = 0;
  ::test::forall(law, 4, [&](::test::Gen& gen) {
    const std::uint64_t seed = gen.bits();
    std::uint64_t calls = 0;
    do {
      fault.number = ++calls;
      INFO("call ", calls);
      if (!endures(fault, seed)) break;
    } while (true);
    runs += calls - 1;
    REQUIRE(calls > 10);
  });
  MESSAGE(std::string(law), ": ", runs, " calls failed, each in a run of its own");
}

TEST_CASE("whichever write fails, it is told, and nothing acknowledged is lost") {
  every_call_fails("write EIO", {.call = Fault::Call::write, .code = EIO});
}

TEST_CASE("the same for every write from one on") {
  every_call_fails("writes EIO", {.call = Fault::Call::write, .code = EIO, .lasts = true});
}

TEST_CASE("whichever write finds the disk full, it is told, and nothing acknowledged is lost") {
  every_call_fails("write ENOSPC", {.call = Fault::Call::write, .code = ENOSPC});
}

TEST_CASE("the same for every write from one on, until there is space") {
  every_call_fails("writes ENOSPC", {.call = Fault::Call::write, .code = ENOSPC, .lasts = true});
}

TEST_CASE("whichever write ends half-way, it is told, and nothing acknowledged is lost") {
  every_call_fails("short write", {.call = Fault::Call::write, .code = 0});
}

TEST_CASE("whichever sync fails, it is told, and nothing acknowledged is lost") {
  every_call_fails("sync EIO", {.call = Fault::Call::sync, .code = EIO});
}

TEST_CASE("the same for every sync from one on") {
  every_call_fails("syncs EIO", {.call = Fault::Call::sync, .code = EIO, .lasts = true});
}

TEST_CASE("whichever write of a meta page fails, it is told, and nothing acknowledged is lost") {
  every_call_fails("meta write EIO", {.call = Fault::Call::meta_write, .code = EIO});
  every_call_fails("meta writes EIO",
                   {.call = Fault::Call::meta_write, .code = EIO, .lasts = true});
  every_call_fails("meta write ENOSPC", {.call = Fault::Call::meta_write, .code = ENOSPC});
  every_call_fails("short meta write", {.call = Fault::Call::meta_write, .code = 0});
}

TEST_CASE("whichever sync of a meta page fails, it is told, and nothing acknowledged is lost") {
  every_call_fails("meta sync EIO", {.call = Fault::Call::meta_sync, .code = EIO});
  every_call_fails("meta syncs EIO", {.call = Fault::Call::meta_sync, .code = EIO, .lasts = true});
}

TEST_CASE("the same where LMDB cannot take that meta page back") {
  every_call_fails("meta lost EIO", {.call = Fault::Call::meta_lost, .code = EIO});
  every_call_fails("metas lost EIO", {.call = Fault::Call::meta_lost, .code = EIO, .lasts = true});
}

TEST_CASE("control: a refusal that is taken for an acknowledgement is noticed") {
  const Scratch scratch(test::memory_directory());
  DiskWatch watch(scratch.path());
  TroubledRun run(scratch.path(), 1);
  REQUIRE(run.open().is_done);
  run.believe_refused();
  std::string what;
  for (std::uint64_t i = 0; i < 20 && what.empty(); ++i) {
    watch.fail({.call = Fault::Call::sync, .number = 1, .code = EIO});
    (void)run.step();
    watch.heal();
    run.close();
    REQUIRE(run.open().is_done);
    what = run.verify();
  }
  CHECK(what != "");
}

}  // namespace
}  // namespace loam
