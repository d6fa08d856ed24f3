// The laws of the join, over random reachable states. testing.md, 1.
#include "tests/support/forall.hpp"
#include "tests/support/world.hpp"

using loam::Delta;
using loam::Kind;
using loam::MemoryStore;
using test::Gen;
using test::World;

namespace {

constexpr int runs = 10'000;  // of each of ten laws and of each kind: 10^5 cases per kind

// A reachable world. In one of eight, two replicas write as one actor: the join settles that too.
World reach(Gen& gen, Kind kind) {
  World world(kind);
  if (gen.one_in(8)) world.clone_actor();
  world.steps(gen, 4 + static_cast<int>(gen.below(20)));
  while (world.sent().empty()) world.step(gen);
  return world;
}

MemoryStore joined(MemoryStore store, const Delta& delta) {
  apply(store, delta);
  return store;
}

MemoryStore joined(const MemoryStore& left, const MemoryStore& right) {
  return joined(left, right.full_state());
}

MemoryStore empty_store(Kind kind) { return MemoryStore("lessons", kind); }

// The state that canonical bytes stand for.
Delta read_canonical(loam::BytesView bytes) {
  const loam::Value value = loam::decode(bytes, {.octets_max = 1 << 24});
  const loam::Array& parts = loam::as_array(value, "state");
  Delta state;
  for (const loam::Value& entry : loam::as_array(parts[0], "context")) {
    const loam::Array& pair = loam::as_array(entry, "actor");
    for (const loam::Value& item : loam::as_array(pair[1], "ranges")) {
      const loam::Array& range = loam::as_array(item, "range");
      state.context.insert(loam::as_id<loam::ActorId>(pair[0], "actor"),
                           {loam::as_number(range[0], "first"), loam::as_number(range[1], "last")});
    }
  }
  for (const loam::Value& entry : loam::as_array(parts[1], "live")) {
    const loam::Array& triple = loam::as_array(entry, "record");
    const loam::Dot dot{loam::as_id<loam::ActorId>(triple[0], "actor"),
                        loam::as_number(triple[1], "counter")};
    state.live[dot] = loam::as_octets(triple[2], "record");
  }
  return state;
}

loam::Roots roots_from_scratch(const MemoryStore& store) {
  loam::Roots roots;
  for (const auto& [actor, ranges] : store.context()) {
    roots.context += loam::context_term(actor, ranges);
  }
  for (const auto& [dot, record] : store.live()) {
    roots.live += loam::live_term(dot, loam::content_hash(record));
  }
  return roots;
}

template <class Law>
void forall_worlds(const char* law, Law&& holds) {
  for (const Kind kind : {Kind::set, Kind::map}) {
    test::forall(law, runs, [&](Gen& gen) {
      const World world = reach(gen, kind);
      holds(gen, world);
    });
  }
}

}  // namespace

TEST_CASE("the join is commutative") {
  forall_worlds("commutative", [](Gen&, const World& world) {
    REQUIRE(joined(world.store(0), world.store(1)) == joined(world.store(1), world.store(0)));
  });
}

TEST_CASE("the join is associative") {
  forall_worlds("associative", [](Gen&, const World& world) {
    const MemoryStore &a = world.store(0), &b = world.store(1), &c = world.store(2);
    REQUIRE(joined(joined(a, b), c) == joined(a, joined(b, c)));
  });
}

TEST_CASE("the join is idempotent and a second time changes nothing") {
  forall_worlds("idempotent", [](Gen&, const World& world) {
    MemoryStore once = world.store(0);
    REQUIRE(joined(once, once) == once);
    const Delta other = world.store(1).full_state();
    apply(once, other);
    MemoryStore twice = once;
    const loam::Applied again = apply(twice, other);
    REQUIRE(twice == once);
    REQUIRE(again.changed.empty());
    REQUIRE(again.inserted + again.dropped == 0);
  });
}

TEST_CASE("the join only grows: the context widens and what is dead stays dead") {
  forall_worlds("monotone", [](Gen&, const World& world) {
    const MemoryStore& before = world.store(0);
    const MemoryStore after = joined(before, world.store(1));
    REQUIRE(joined(after, before) == after);
    for (const auto& [actor, ranges] : before.context()) {
      REQUIRE(after.context().of(actor).contains(ranges));
    }
    for (const auto& [dot, record] : after.live()) {
      REQUIRE((before.live().contains(dot) || !before.context().contains(dot)));
    }
  });
}

TEST_CASE("a delta says as much as the full state that it leads to") {
  forall_worlds("delta = full state", [](Gen& gen, const World& world) {
    const MemoryStore& reader = world.store(0);
    const MemoryStore& writer = world.store(1);
    const Delta& delta = gen.pick(world.sent()).delta;
    const MemoryStore after = joined(writer, delta);
    REQUIRE(joined(joined(reader, writer), delta) == joined(reader, after));
    REQUIRE(joined(reader, after.slice(after.context())) == joined(reader, after));
  });
}

TEST_CASE("any grouping, any order and any duplication of deltas gives one state") {
  forall_worlds("grouping, order, duplication", [](Gen& gen, const World& world) {
    const MemoryStore& start = world.store(0);
    std::vector<Delta> deltas;
    for (const test::Message& message : world.sent()) deltas.push_back(message.delta);
    MemoryStore in_order = start;
    for (const Delta& delta : deltas) apply(in_order, delta);

    std::vector<Delta> again = deltas;
    for (const Delta& delta : deltas) {
      if (gen.coin()) again.push_back(delta);
    }
    MemoryStore any_order = start;
    MemoryStore group = empty_store(start.kind());
    for (const Delta& delta : gen.shuffled(again)) {
      apply(group, delta);
      if (gen.coin()) continue;
      apply(any_order, group.full_state());
      if (gen.coin()) group = empty_store(start.kind());
    }
    apply(any_order, group.full_state());
    REQUIRE(any_order == in_order);
  });
}

TEST_CASE("a delta of a reachable state is well formed") {
  forall_worlds("well formed", [](Gen& gen, const World& world) {
    const MemoryStore& store = world.store(0);
    check_delta(store.kind(), store.full_state());
    check_delta(store.kind(), store.slice(World::selection(gen, world.store(1).context())));
    check_delta(store.kind(), gen.pick(world.sent()).delta);
  });
}

TEST_CASE("decoding what was encoded gives the same state") {
  forall_worlds("encode, decode", [](Gen&, const World& world) {
    const MemoryStore& store = world.store(0);
    const Delta state = read_canonical(store.canonical());
    REQUIRE(state == store.full_state());
    REQUIRE(joined(empty_store(store.kind()), state) == store);
  });
}

TEST_CASE("equal states are exactly those with equal bytes, equal roots and equal digests") {
  forall_worlds("equality", [](Gen& gen, const World& world) {
    const MemoryStore& left = world.store(0);
    MemoryStore right = gen.coin() ? world.store(1) : joined(world.store(1), left);
    if (gen.coin()) right = joined(right, joined(left, world.store(1)).full_state());
    const MemoryStore other = gen.coin() ? left : joined(left, world.store(1));
    const bool same = other == right;
    REQUIRE((other.full_state() == right.full_state()) == same);
    REQUIRE((other.canonical() == right.canonical()) == same);
    REQUIRE((other.roots() == right.roots()) == same);
    REQUIRE((digest_text(other.roots()) == digest_text(right.roots())) == same);
  });
}

TEST_CASE("roots and indices kept along the way are those computed from scratch") {
  forall_worlds("from scratch", [](Gen&, const World& world) {
    for (const World::Node& node : world.nodes()) {
      const MemoryStore& store = node.replica.store();
      REQUIRE(store.roots() == roots_from_scratch(store));
      REQUIRE(joined(empty_store(store.kind()), store.full_state()) == store);
    }
  });
}
