#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <csignal>
#include <cstdio>

#include "tests/support/forall.hpp"

namespace {

// doctest reports an aborted test first and then raises the signal again.
void print_seed(int signal) {
  if (test::running_seed != 0) {
    std::fprintf(stderr, "aborted: replay with SEED=%llu\n",
                 static_cast<unsigned long long>(test::running_seed));
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

const auto replaced = std::signal(SIGABRT, print_seed);

}  // namespace
