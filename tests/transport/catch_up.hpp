#pragma once

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/transport/script.hpp"

namespace test {

inline const std::string lessons = "lessons";

inline Peer peer(unsigned author) { return {author, author, two_segments}; }

inline void add(Peer& to, int first, int last) {
  for (int i = first; i <= last; ++i) to.add(lessons, "lesson " + std::to_string(i));
}

/// A conversation to its end: one round. Answers with the link.
inline std::size_t sync(Net& net, Peer& left, Peer& right, const loam::SessionLimits& limits = {}) {
  const std::size_t link = net.connect(left, right, {.once = {true, false}, .limits = limits});
  net.pass(1s);
  REQUIRE(net.is_over(link));
  REQUIRE(net.end(link, 0).session->report().problem.empty());
  REQUIRE(net.end(link, 0).session->report().converged);
  REQUIRE(net.end(link, 1).session->report().converged);
  return link;
}

inline bool is_equal(const Peer& left, const Peer& right) {
  return left.store(lessons).canonical() == right.store(lessons).canonical();
}

}  // namespace test
