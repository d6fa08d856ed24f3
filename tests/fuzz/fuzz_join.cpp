// Three replicas beside their reference model, driven by the input; after a full exchange they are
// equal. The first octet chooses the kind of segment.
#include "tests/fuzz/require.hpp"
#include "tests/support/world.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr int steps_max = 64;
  test::Gen gen{loam::BytesView{reinterpret_cast<const std::byte*>(data), size}};
  test::World world(gen.coin() ? loam::Kind::map : loam::Kind::set);
  for (int step = 0; step < steps_max && !gen.exhausted(); ++step) world.step(gen);
  world.settle();
  test::require(world.failure().empty(), world.failure().c_str());
  for (const test::World::Node& node : world.nodes()) {
    test::require(node.replica.store().canonical() == world.store(0).canonical(),
                  "replicas differ after a full exchange");
  }
  return 0;
}
