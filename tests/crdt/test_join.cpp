#include <doctest/doctest.h>

#include "crdt/error.hpp"
#include "crdt/join.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/ranges.hpp"
#include "tests/support/replica.hpp"

using loam::Delta;
using loam::Dot;
using loam::ErrorCode;
using loam::Kind;
using loam::MemoryStore;
using test::error_of;
using test::Replica;

namespace {

loam::Bytes record_of(const char* text) {
  return encode(loam::SetRecord{{}, test::content_of(text), test::meta_of("")});
}

Delta one(const Dot& dot, loam::Bytes record) {
  Delta delta;
  delta.context.insert(dot);
  delta.live.emplace(dot, std::move(record));
  return delta;
}

const loam::ActorId actor = test::actor_of(7, 1);

}  // namespace

TEST_CASE("a delta whose live dot is outside its context is refused") {
  Delta delta = one({actor, 1}, record_of("x"));
  CHECK_FALSE(error_of([&] { check_delta(Kind::set, delta); }));
  delta.live.emplace(Dot{actor, 2}, record_of("y"));
  CHECK(error_of([&] { check_delta(Kind::set, delta); }) == ErrorCode::invalid);
  delta.live.erase(Dot{actor, 2});
  delta.live.emplace(Dot{actor, 0}, record_of("y"));
  CHECK(error_of([&] { check_delta(Kind::set, delta); }) == ErrorCode::invalid);
}

TEST_CASE("a delta's counters end at the limit") {
  Delta delta;
  delta.context.insert(actor, loam::Range{1, loam::counter_max});
  CHECK_FALSE(error_of([&] { check_delta(Kind::set, delta); }));
  delta.context.insert(Dot{actor, loam::counter_max + 1});
  CHECK(error_of([&] { check_delta(Kind::set, delta); }) == ErrorCode::invalid);
}

TEST_CASE("a delta's records must be records of the segment's kind") {
  const Dot dot{actor, 1};
  const loam::Bytes entry = encode(loam::MapRecord{{}, "key", std::nullopt});
  CHECK_FALSE(error_of([&] { check_delta(Kind::map, one(dot, entry)); }));
  CHECK(error_of([&] { check_delta(Kind::set, one(dot, entry)); }) == ErrorCode::invalid);
  CHECK(error_of([&] { check_delta(Kind::map, one(dot, record_of("x"))); }) == ErrorCode::invalid);
  CHECK(error_of([&] { check_delta(Kind::set, one(dot, {})); }) == ErrorCode::invalid);
  const loam::Bytes large(loam::record_octets_max + 1);
  CHECK(error_of([&] { check_delta(Kind::set, one(dot, large)); }) == ErrorCode::limit);
}

TEST_CASE("an empty delta changes nothing") {
  MemoryStore store("lessons", Kind::set);
  check_delta(Kind::set, {});
  CHECK(apply(store, {}) == loam::Applied{});
  CHECK(store == MemoryStore("lessons", Kind::set));
}

TEST_CASE("applying reports what others must hear of") {
  Replica writer(Kind::set, 0);
  Replica reader(Kind::set, 1);
  reader.receive(writer.add({"x"}));
  writer.add({"y"});
  writer.remove("x");
  const loam::Applied applied = reader.receive(writer.store().full_state());
  CHECK(applied.inserted == 1);
  CHECK(applied.dropped == 1);
  CHECK(applied.equivocated.empty());
  CHECK(applied.changed == writer.store().context());
  CHECK(reader.store().live().size() == 1);
}

TEST_CASE("a context of the whole counter range costs no more than the live dots inside it") {
  MemoryStore store("lessons", Kind::set);
  for (std::uint64_t counter = 1; counter < 200; counter += 2) {
    apply(store, one({actor, counter}, record_of("x")));
  }
  Delta all;
  all.context.insert(actor, loam::Range{1, loam::counter_max});
  CHECK(apply(store, all).dropped == 100);
  CHECK(store.context() == all.context);
  CHECK(store.live().empty());
}

TEST_CASE("one dot with two contents keeps the smaller content hash on both sides") {
  const Dot dot{actor, 1};
  loam::Bytes small = record_of("one");
  loam::Bytes large = record_of("two");
  if (loam::content_hash(large) < loam::content_hash(small)) std::swap(small, large);
  MemoryStore left("lessons", Kind::set);
  MemoryStore right("lessons", Kind::set);
  apply(left, one(dot, small));
  apply(right, one(dot, large));

  const loam::Applied kept = apply(left, one(dot, large));
  CHECK(kept.equivocated == std::vector<Dot>{dot});
  CHECK(kept.changed.empty());
  const loam::Applied replaced = apply(right, one(dot, small));
  CHECK(replaced.equivocated == std::vector<Dot>{dot});
  CHECK(replaced.changed.contains(dot));
  CHECK(replaced.inserted + replaced.dropped == 0);

  CHECK(left == right);
  CHECK(left.live().at(dot) == small);
  const std::map<Dot, std::set<loam::Bytes>> other{{dot, {large}}};
  CHECK(left.aside() == other);
  CHECK(right.aside() == other);
  CHECK(apply(right, one(dot, small)) == loam::Applied{});
}

TEST_CASE("a dot that one side removed is dead, whatever contents it had") {
  const Dot dot{actor, 1};
  MemoryStore store("lessons", Kind::set);
  apply(store, one(dot, record_of("one")));
  Delta removal;
  removal.context.insert(dot);
  apply(store, removal);
  const loam::Applied late = apply(store, one(dot, record_of("two")));
  CHECK(late == loam::Applied{});
  CHECK(store.live().empty());
}

TEST_CASE("a slice holds only what its state knows") {
  Replica writer(Kind::set, 0);
  writer.add({"x"});
  writer.add({"y"});
  loam::Context wanted;
  wanted.insert(writer.actor(), loam::Range{2, 9});
  wanted.insert(actor, loam::Range{1, 9});
  const Delta slice = writer.store().slice(wanted);
  CHECK(slice.context.actors().size() == 1);
  CHECK(test::ranges_of(slice.context.of(writer.actor())) == std::vector<loam::Range>{{2, 2}});
  CHECK(slice.live.size() == 1);
  CHECK(writer.store().slice({}) == Delta{});
}
