#include <doctest/doctest.h>

#include "tests/transport/net.hpp"

using test::Net;
using test::Peer;

TEST_CASE("smoke") {
  Peer a(1, 1, {{"registry", loam::Kind::map}, {"lessons", loam::Kind::set}});
  Peer b(2, 2, {{"registry", loam::Kind::map}, {"lessons", loam::Kind::set}});
  a.add("lessons", "one");
  b.add("lessons", "two");
  Net net;
  const auto link = net.connect(a, b, {.once = {true, false}});
  net.pass(std::chrono::seconds(2));
  CHECK(net.is_over(link));
  CHECK(net.end(link, 0).close->reason == "done");
  CHECK(net.end(link, 0).session->report().problem == "");
  CHECK(a.store("lessons").canonical() == b.store("lessons").canonical());
  for (auto& s : net.sent()) MESSAGE(s.from, " ", s.frame().index(), " ", s.bytes.size());
}
