#pragma once

#include <cstdio>
#include <cstdlib>

namespace test {

/// Ends the process when a property does not hold, in every kind of build: libFuzzer and the replay
/// both keep the input then.
inline void require(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", property);
  std::abort();
}

}  // namespace test
