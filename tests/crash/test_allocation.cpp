#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "tests/crash/allocation_fault.hpp"
#include "tests/crash/troubled_run.hpp"
#include "tests/lib/scratch.hpp"
#include "tests/support/forall.hpp"

namespace loam {
namespace {

using test::AllocationFault;
using test::Outcome;
using test::Scratch;
using test::TroubledRun;
using Doing = TroubledRun::Doing;

constexpr int steps = 5;
constexpr unsigned patience_s = 20;

void require(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what.c_str());
  _exit(1);
}

// Opens the stores, at the second try if an allocation fails at the first.
void must_open(TroubledRun& run, const AllocationFault& fault) {
  const bool had_failed = fault.has_failed();
  Outcome outcome = run.open();
  if (!outcome.is_done) {
    require(!had_failed && fault.has_failed(), "refused without a reason: " + outcome.what);
    outcome = run.open();
  }
  require(outcome.is_done, "does not open: " + outcome.what);
}

// Runs the script in a directory while one allocation fails. Says whether it was reached.
bool endures(const std::filesystem::path& dir, std::uint64_t seed, Doing what_fails,
             std::uint64_t number) {
  AllocationFault fault(number);
  TroubledRun run(dir, seed, [&](Doing doing, const auto& call) {
    doing == what_fails ? fault.count(call) : call();
  });
  must_open(run, fault);
  for (int i = 0; i < steps; ++i) {
    const Outcome outcome = run.step();
    require(outcome.is_done || fault.has_failed(), "refused without a reason: " + outcome.what);
    if (!run.is_open()) must_open(run, fault);
    const std::string what = run.verify();
    require(what.empty(), what);
  }
  run.close();
  must_open(run, fault);
  const std::string what = run.verify();
  require(what.empty(), "opened again: " + what);
  return fault.has_failed();
}

// The same in a child, which may crash: 0 not reached, 2 endured, anything else is wrong.
int ended(std::uint64_t seed, Doing what_fails, std::uint64_t number) {
  const Scratch scratch(test::memory_directory());
  const pid_t child = fork();
  if (child == 0) {
    for (const int signal : {SIGABRT, SIGSEGV, SIGBUS}) std::signal(signal, SIG_DFL);
    alarm(patience_s);
    int code = 3;
    try {
      code = endures(scratch.path(), seed, what_fails, number) ? 2 : 0;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "thrown: %s\n", error.what());
    }
    _exit(code);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void every_allocation_fails(const char* law, int runs, Doing what_fails) {
  std::uint64_t failures = 0;
  ::test::forall(law, runs, [&](::test::Gen& gen) {
    const std::uint64_t seed = gen.bits();
    if (const char* const number = ::test::environment("ALLOCATION")) {  // for a debugger
      const Scratch scratch(test::memory_directory());
      (void)endures(scratch.path(), seed, what_fails, std::strtoull(number, nullptr, 0));
      return;
    }
    for (std::uint64_t number = 1;; ++number) {
      const int code = ended(seed, what_fails, number);
      if (code == 0) break;
      INFO("ALLOCATION=", number, " runs it in this process; ended with ", code);
      CHECK(code == 2);
      ++failures;
    }
  });
  CHECK(failures > 100);
  MESSAGE(failures, " allocations failed, each in a run of its own");
}

TEST_CASE(
    "whichever allocation of a write fails, it fails whole, and nothing acknowledged is lost") {
  every_allocation_fails("allocation of a write", 1, Doing::writing);
}

TEST_CASE("whichever allocation of opening a store fails, opening fails and works again later") {
  every_allocation_fails("allocation of opening", 1, Doing::opening);
}

}  // namespace
}  // namespace loam
