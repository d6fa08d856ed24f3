#include <doctest/doctest.h>

#include "lib/identity.hpp"
#include "lib/shared_store.hpp"
#include "tests/lib/opened.hpp"
#include "tests/lib/store_walk.hpp"

namespace loam {
namespace {

using test::code_of;
using test::eventually;
using test::Instances;
using test::listen;
using test::sync;
using test::texts;

TEST_CASE("an instance serves once at a time, on loopback only, and again after it was stopped") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  const std::string address = alpha.serve({.listen = "127.0.0.1:0"});
  CHECK(code_of([&] { alpha.serve({.listen = "127.0.0.1:0"}); }) == ErrorCode::invalid);
  CHECK(code_of([&] { beta.serve({.listen = address}); }) == ErrorCode::failed);
  CHECK(code_of([&] { beta.serve({.listen = "0.0.0.0:0"}); }) == ErrorCode::denied);
  CHECK(code_of([&] { beta.serve({.listen = "127.0.0.1:x"}); }) == ErrorCode::invalid);
  alpha.stop();
  alpha.stop();
  CHECK(!sync(beta, "ws://" + address).converged);
  CHECK(alpha.serve({.listen = address}) == address);
  CHECK(sync(beta, "ws://" + address).converged);
}

TEST_CASE(
    "where an instance listens stands in the registry, and others dial it without being told") {
  const Instances instances;
  Memory hub = instances.open("hub");
  const std::string endpoint = listen(hub);
  const auto entry = hub.value("instance_registry", hub.id().text());
  REQUIRE(entry);
  CHECK(*entry->value->find("endpoints") == Value(Array{Value(endpoint)}));
  CHECK(entry->value->text("name") == "hub");
  Memory alpha = instances.open("alpha");
  const SyncReport report = alpha.sync_shared_segments({.timeout = test::patience});
  REQUIRE(report.peers.size() == 1);
  CHECK(report.peers[0].endpoint == endpoint);
  CHECK(report.converged);
  // A served instance keeps links to all it knows.
  alpha.serve({.listen = "127.0.0.1:0", .every = std::chrono::milliseconds(20)});
  const std::string id = hub.remember({.text = "pushed"}).id;
  CHECK(eventually([&] { return alpha.get(id).has_value(); }));
}

TEST_CASE("a kept link comes back when its peer does") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  const std::string address = alpha.serve({.listen = "127.0.0.1:0", .dial_known = false});
  beta.connect("ws://" + address);
  const std::string first = alpha.remember({.text = "first"}).id;
  CHECK(eventually([&] { return beta.get(first).has_value(); }));
  alpha.stop();
  const std::string second = alpha.remember({.text = "second"}).id;
  beta.remember({.text = "from beta"});
  alpha.serve({.listen = address, .dial_known = false});
  CHECK(eventually([&] { return beta.get(second) && texts(alpha).size() == 3; }));
  CHECK(eventually([&] { return alpha.digest() == beta.digest(); }));
}

TEST_CASE("two openings that write in bulk at once keep one index between them") {
  const Instances instances;
  Memory one = instances.open("alpha");
  Memory two = instances.open("alpha");
  const auto write = [](Memory& memory, const std::string& who) {
    for (int round = 0; round < 12; ++round) {
      std::vector<PacketEnvelope> packets(40);
      for (std::size_t i = 0; i < packets.size(); ++i) {
        packets[i].packet_type = "lesson";
        // Every third text is one that the other writes too.
        const std::string by = i % 3 == 0 ? "both" : who;
        const std::string text = by + " " + std::to_string(round) + " " + std::to_string(i);
        packets[i].payload = {{"text", text}};
      }
      memory.write(packets);
      memory.forget(memory.write(packets).at(1).id);
    }
  };
  std::thread first([&] { write(one, "one"); });
  std::thread second([&] { write(two, "two"); });
  first.join();
  second.join();
  CHECK(texts(one) == texts(two));
  const auto dir = instances.path("alpha");
  const SharedStore store(dir / "shared", SegmentTable(), {}, load_instance_key(dir).id, {});
  CHECK(test::walk(store) == "");
  for (const Record& record : one.list({"lessons_learned", 1'000, {}}).items) {
    CHECK(record.support == 1);
    CHECK(record.provenance.size() == 1);
  }
}

}  // namespace
}  // namespace loam
