// Negative controls of the tests of the conversation: with a planted bug the named test must fail.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "planted.hpp"

namespace {

struct Control {
  loam::Bug bug = loam::Bug::none;
  const char* test = "";  ///< whose name begins so
};

const std::vector<Control> controls{
    {loam::Bug::journal_id_ignored, "a journal that is replaced and outgrows the old one*"},
    {loam::Bug::end_before_removals, "a comparison is over only when what it found is removed*"},
    {loam::Bug::sketch_taken_undecoded, "a sketch of some actors' dots that told too little*"},
    {loam::Bug::contents_not_asked_for, "one dot with two contents ends with the smaller hash*"},
    {loam::Bug::fuse_never_trips, "removals that only silence tells are held*"},
    {loam::Bug::ack_before_durable, "the window closes at 4 MiB*"},
    {loam::Bug::window_ignored, "the window closes at 4 MiB*"},
    {loam::Bug::answers_wait_for_window, "both sides answer rows at once*"},
    {loam::Bug::dropped_rows_not_read, "a comparison that is dropped while rows wait*"},
    {loam::Bug::end_before_questions, "a very large set of live sets*"},
    {loam::Bug::vote_before_durable, "no store votes for a write that has come and is not stored*"},
};

/// Whether the test passes, in a process of its own: a bug may end it by an assertion.
bool passes(const Control& control) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    loam::planted_bug = control.bug;
    if (control.bug != loam::Bug::none && std::freopen("/dev/null", "w", stdout) == nullptr) {
      std::_Exit(0);
    }
    doctest::Context context;
    context.setOption("test-case", control.test);
    const int failed = context.run();
    std::fflush(stdout);
    std::_Exit(failed);
  }
  int status = 0;
  return child < 0 || waitpid(child, &status, 0) != child || status == 0;
}

}  // namespace

int main() {
  int failures = 0;
  for (const Control& control : controls) {
    const bool is_sound = passes({loam::Bug::none, control.test});
    const bool is_caught = !passes(control);
    if (!is_sound || !is_caught) ++failures;
    std::printf("%s %s\n", is_caught ? "caught by" : "NOT CAUGHT by", control.test);
    if (!is_sound) std::printf("which fails without it, too\n");
  }
  return failures == 0 ? 0 : 1;
}
