// Histories that have broken other implementations. testing.md, 3.
#include <doctest/doctest.h>

#include "tests/support/ranges.hpp"
#include "tests/support/replica.hpp"

using loam::Delta;
using loam::Dot;
using loam::Kind;
using test::Replica;

namespace {

struct Pair {
  Replica a{Kind::set, 0};
  Replica b{Kind::set, 1};

  void exchange() {
    const Delta from_a = a.store().full_state();
    a.receive(b.store().full_state());
    b.receive(from_a);
  }
};

bool holds(const Replica& replica, std::string_view text) { return !replica.dots(text).empty(); }

}  // namespace

TEST_CASE("an element on both sides vanishes when each removes the dot it has seen of the other") {
  Pair pair;
  pair.a.add({"x"});
  pair.b.add({"x"});
  pair.exchange();
  // Each knows both dots; each removes only the other's.
  Delta of_b{.context = {}, .live = {}};
  of_b.context.insert(pair.b.actor(), loam::Range{1, 1});
  Delta of_a{.context = {}, .live = {}};
  of_a.context.insert(pair.a.actor(), loam::Range{1, 1});
  pair.a.receive(of_b);
  pair.b.receive(of_a);
  REQUIRE(holds(pair.a, "x"));
  REQUIRE(holds(pair.b, "x"));
  pair.exchange();
  CHECK_FALSE(holds(pair.a, "x"));
  CHECK_FALSE(holds(pair.b, "x"));
  CHECK(pair.a.store() == pair.b.store());
}

TEST_CASE("a removal that arrives before its add keeps the add dead") {
  Replica writer(Kind::set, 0);
  Replica remover(Kind::set, 1);
  Replica reader(Kind::set, 2);
  const Delta add = writer.add({"x"});
  remover.receive(add);
  const Delta removal = remover.remove("x");
  CHECK(reader.receive(removal).dropped == 0);
  CHECK(reader.receive(add).inserted == 0);
  CHECK_FALSE(holds(reader, "x"));
}

TEST_CASE("an add that is concurrent with a removal of the same element survives") {
  Pair pair;
  pair.a.add({"x"});
  pair.exchange();
  pair.a.remove("x");
  pair.b.add({"x"});
  pair.exchange();
  REQUIRE(pair.a.dots("x").size() == 1);
  CHECK(pair.a.dots("x")[0].actor == pair.b.actor());
  CHECK(pair.a.store() == pair.b.store());
}

TEST_CASE("a re-add by the author that is concurrent with a removal survives the removal") {
  Pair pair;
  pair.a.add({"x", "first"});
  pair.exchange();
  pair.b.remove("x");
  pair.a.add({"x", "second"});
  pair.exchange();
  CHECK(pair.b.dots("x") == std::vector<Dot>{{pair.a.actor(), 2}});
  CHECK(pair.a.store() == pair.b.store());
}

TEST_CASE("removing one of several dots of an element leaves the others") {
  Replica a(Kind::set, 0);
  Replica b(Kind::set, 1);
  Replica c(Kind::set, 2);
  const Delta add_a = a.add({"x"});
  const Delta add_b = b.add({"x"});
  c.receive(add_a);
  const Delta removal = c.remove("x");  // has not seen b's dot
  c.receive(add_b);
  a.receive(add_b);
  a.receive(removal);
  CHECK(a.dots("x") == std::vector<Dot>{{b.actor(), 1}});
  CHECK(c.dots("x") == a.dots("x"));
}

TEST_CASE("a re-add by one author leaves the dot of another author alone") {
  Pair pair;
  pair.a.add({"x"});
  pair.b.add({"x"});
  pair.exchange();
  pair.a.add({"x", "again"});
  CHECK(pair.a.dots("x").size() == 2);
  pair.exchange();
  CHECK(pair.b.dots("x").size() == 2);
  CHECK(pair.b.store().context().contains(Dot{pair.a.actor(), 1}));
}

TEST_CASE("an add that supersedes a dot heard of through a third party kills it everywhere") {
  Replica first_session(Kind::set, 0);
  Replica relay(Kind::set, 1);
  const Delta old_add = first_session.add({"x", "old"});
  relay.receive(old_add);
  Replica second_session(Kind::set, 0);  // an empty store that hears of its past from the relay
  second_session.receive(relay.store().full_state());
  second_session.restart();
  const Delta new_add = second_session.add({"x", "new"});
  Replica reader(Kind::set, 2);
  reader.receive(new_add);
  CHECK(reader.receive(old_add).inserted == 0);
  relay.receive(new_add);
  CHECK(relay.dots("x") == std::vector<Dot>{{second_session.actor(), 1}});
  CHECK(reader.dots("x") == relay.dots("x"));
}

TEST_CASE("a bulk clear takes what it has seen and no concurrent add") {
  Pair pair;
  for (const char* text : {"x", "y", "z"}) pair.a.add({text});
  pair.b.add({"mine"});
  pair.exchange();
  const Delta cleared = pair.a.clear();
  CHECK(cleared.live.empty());
  CHECK(test::ranges_of(cleared.context.of(pair.a.actor())) == std::vector<loam::Range>{{1, 3}});
  const Delta concurrent = pair.b.add({"y"});
  pair.b.receive(cleared);
  pair.a.receive(concurrent);
  CHECK(pair.b.dots("y") == std::vector<Dot>{{pair.b.actor(), 2}});
  CHECK(holds(pair.b, "mine"));
  CHECK_FALSE(holds(pair.b, "x"));
  CHECK(pair.a.store() == pair.b.store());
}

TEST_CASE("a seen dot is never written again by an old delta, an old slice or an old full state") {
  Replica writer(Kind::set, 0);
  Replica reader(Kind::set, 1);
  const Delta add = writer.add({"x"});
  const loam::MemoryStore old = writer.store();
  reader.receive(add);
  reader.receive(writer.remove("x"));
  const loam::MemoryStore before = reader.store();
  for (const Delta& late : {add, old.full_state(), old.slice(old.context())}) {
    const loam::Applied applied = reader.receive(late);
    CHECK(applied == loam::Applied{});
    CHECK(reader.store() == before);
  }
}

TEST_CASE("a dead dot in the middle of a live range stays dead when the range is claimed again") {
  Replica writer(Kind::set, 0);
  Replica reader(Kind::set, 1);
  for (const char* text : {"x", "y", "z"}) writer.add({text});
  const Delta early = writer.store().full_state();
  reader.receive(early);
  reader.remove("y");
  CHECK(reader.receive(early).inserted == 0);
  CHECK_FALSE(holds(reader, "y"));
  CHECK(writer.receive(reader.store().full_state()).dropped == 1);
}

TEST_CASE("concurrent revisions of one element both stand") {
  Pair pair;
  pair.a.add({"old"});
  pair.exchange();
  pair.a.revise("old", {"by a"});
  pair.b.revise("old", {"by b"});
  pair.exchange();
  CHECK_FALSE(holds(pair.a, "old"));
  CHECK(holds(pair.a, "by a"));
  CHECK(holds(pair.a, "by b"));
  CHECK(pair.a.store() == pair.b.store());
}

TEST_CASE("a write that has seen another supersedes it whatever the clocks say") {
  Replica future(Kind::map, 0);
  Replica past(Kind::map, 1);
  past.receive(future.put({"key", "late clock", 1'000'000'000'000'000}));
  past.put({"key", "early clock", -1'000});
  future.receive(past.store().full_state());
  const loam::Register held = future.store().read("key");
  REQUIRE(held.winner);
  CHECK(held.winner->dot.actor == past.actor());
  CHECK(held.siblings.empty());
}

TEST_CASE("an erased entry competes like any other and does not come back") {
  Replica a(Kind::map, 0);
  Replica b(Kind::map, 1);
  const Delta put = a.put({"key", "value", 1});
  b.receive(put);
  a.receive(b.erase({"key", "", 1}));
  CHECK(a.receive(put).inserted == 0);
  const loam::Register held = a.store().read("key");
  REQUIRE(held.winner);
  CHECK_FALSE(held.winner->value);
  CHECK(held.siblings.empty());
}

TEST_CASE("concurrent writes of one key are all kept and every replica reads the same one") {
  Replica a(Kind::map, 0);
  Replica b(Kind::map, 1);
  const Delta by_a = a.put({"key", "a", 5});
  const Delta by_b = b.put({"key", "b", 5});
  a.receive(by_b);
  b.receive(by_a);
  CHECK(a.store() == b.store());
  const loam::Register held = a.store().read("key");
  REQUIRE(held.winner);
  CHECK(held.siblings.size() == 1);
  CHECK(held.winner->stamp == held.siblings[0].stamp);
  CHECK(held.winner->dot.actor == std::max(a.actor(), b.actor()));
}

TEST_CASE("a replica that returns after everything was removed converges without any tombstone") {
  Pair pair;
  for (int i = 0; i < 50; ++i) pair.a.add({std::to_string(i)});
  pair.exchange();
  pair.a.clear();
  pair.b.add({"written while away"});
  CHECK(pair.a.store().context().of(pair.a.actor()).ranges().size() == 1);
  pair.exchange();
  CHECK(pair.b.store().live().size() == 1);
  CHECK(pair.a.store() == pair.b.store());
}
