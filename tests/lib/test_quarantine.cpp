#include <doctest/doctest.h>

#include "lib/identity.hpp"
#include "lib/quarantine.hpp"
#include "lib/shared_store.hpp"
#include "tests/lib/damaged.hpp"
#include "tests/lib/opened.hpp"
#include "tests/lib/store_walk.hpp"

namespace loam {
namespace {

using test::code_of;
using test::damage_text;
using test::eventually;
using test::Instances;
using test::listen;
using test::sync;
using test::texts;

SharedStore damaged_store(const Instances& instances, const std::string& name) {
  const auto dir = instances.path(name);
  return SharedStore(dir / "shared", SegmentTable(), {}, load_instance_key(dir).id, {}, load_instance_key(dir).signing);
}

QuarantineCounts counts(const Instances& instances, const std::string& name) {
  return damaged_store(instances, name).read(quarantine_counts);
}

// An instance with records and an entry, one of each damaged. Closed.
struct Damaged {
  Damaged() {
    Memory memory = instances.open("alpha");
    for (int i = 0; i < 5; ++i) memory.remember({.text = "sound number " + std::to_string(i)});
    id = memory.remember({.text = "this one is hit"}).id;
    memory.put("governance_meta", "sound", 1);
    memory.put("governance_meta", "hit", "the value that is hit");
  }
  void damage() const {
    damage_text(instances.path("alpha") / "shared", "this one is hit");
    damage_text(instances.path("alpha") / "shared", "the value that is hit");
  }

  Instances instances;
  std::string id;
};

TEST_CASE("a record that cannot be read is left out and counted, and the others are there") {
  Damaged store;
  store.damage();
  Memory memory = store.instances.open("alpha");
  const RecordPage page = memory.list({});
  CHECK(page.items.size() == 5);
  CHECK(page.damaged == 1);
  const RecallResult result = memory.recall({.text = "number"});
  CHECK(result.items.size() == 5);
  CHECK(result.coverage.damaged >= 1);
  CHECK(memory.status().segments.at("lessons_learned").records >= 5);
}

TEST_CASE("asking for what cannot be read is an error, until it is forgotten") {
  Damaged store;
  store.damage();
  Memory memory = store.instances.open("alpha");
  CHECK(code_of([&] { memory.get(store.id); }) == ErrorCode::damaged);
  const auto is_gone = [](auto&& read) {
    bool has_it = true;
    return !test::error_of([&] { has_it = read().has_value(); }) && !has_it;
  };
  CHECK(eventually([&] { return is_gone([&] { return memory.get(store.id); }); }));
  CHECK(code_of([&] { memory.value("governance_meta", "hit"); }) == ErrorCode::damaged);
  CHECK(
      eventually([&] { return is_gone([&] { return memory.value("governance_meta", "hit"); }); }));
  CHECK(memory.value("governance_meta", "sound")->value == Value(1));
  CHECK(memory.recall({.text = "number"}).coverage.damaged == 2);  // until a peer sends them
}

TEST_CASE("what is under quarantine is as if it had never been seen, and its octets are kept") {
  Damaged store;
  store.damage();
  SharedStore shared = damaged_store(store.instances, "alpha");
  std::uint64_t count = 0;
  shared.env().write([&](lmdb::WriteTxn& txn) {
    SharedBatch batch(shared, txn, 1);
    count = batch.quarantine(damaged_records(txn));
    batch.finish();
  });
  CHECK(count == 2);
  CHECK(test::walk(shared) == "");
  const auto held = shared.read([](const SharedReader& r) { return r.held(HeldReason::damaged); });
  REQUIRE(held.size() == 2);
  CHECK(text_of(held[0].row.record).find("is hit") != std::string::npos);
  shared.read([&](const SharedReader& reader) {
    const auto& [actor, counters] = held[0].row.dots.at(0);
    CHECK(!reader.context(held[0].row.segment, actor)->covered.contains(counters));
    return 0;
  });
  CHECK(counts(store.instances, "alpha").open == 2);
}

TEST_CASE("putting a sound record under quarantine does nothing") {
  Damaged store;
  SharedStore shared = damaged_store(store.instances, "alpha");
  shared.env().write([&](lmdb::WriteTxn& txn) {
    SharedBatch batch(shared, txn, 1);
    CHECK(batch.quarantine({1, 2, 3, 99}) == 0);
    batch.finish();
  });
  CHECK(shared.read([](const SharedReader& reader) { return reader.held(); }).empty());
}

TEST_CASE("after a quarantine every session of the store writes under a new actor") {
  Damaged store;
  SharedStore other = damaged_store(store.instances, "alpha");
  const SegmentNumber set = other.number("lessons_learned");
  const auto add = [&](const std::string& text) {
    other.env().write([&](lmdb::WriteTxn& txn) {
      SharedBatch batch(other, txn, 1);
      batch.add(set, encode(Map{{"payload", Map{{"text", text}}}, {"type", "lesson"}}),
                encode(Map{}));
      batch.finish();
    });
    return other.own_actor(1);
  };
  const ActorId first = add("one");
  CHECK(add("two") == first);
  other.env().write([](lmdb::WriteTxn& txn) { write_quarantines(txn, 1); });
  const ActorId second = add("three");
  CHECK(second != first);
  CHECK(add("four") == second);
  other.renew_actor();
  CHECK(add("five") != second);
}

TEST_CASE("a damaged record can be forgotten, revised over and added again before it is repaired") {
  for (const int what : {0, 1, 2}) {
    INFO(what);
    Damaged store;
    store.damage();
    SharedStore shared = damaged_store(store.instances, "alpha");
    const SegmentNumber set = shared.number("lessons_learned");
    const Bytes content =
        encode(Map{{"payload", Map{{"text", "this one is hit"}}}, {"type", "lesson"}});
    const ElementId element = *ElementId::parse(store.id);
    shared.env().write([&](lmdb::WriteTxn& txn) {
      SharedBatch batch(shared, txn, 1);
      if (what == 0) batch.remove(set, element);
      if (what == 1) batch.revise(set, element, encode(Map{{"type", "x"}}), encode(Map{}));
      if (what == 2) batch.add(set, content, encode(Map{}));
      batch.put(shared.number("governance_meta"), "hit", encode(Value(2)));
      batch.finish();
    });
    // The assignment that cannot be read is kept like any other, until it is put under quarantine.
    const auto left = shared.read([](const SharedReader& r) { return damaged_records(r.txn()); });
    CHECK(left.size() == 1);
    shared.env().write([&](lmdb::WriteTxn& txn) {
      SharedBatch batch(shared, txn, 1);
      CHECK(batch.quarantine(left) == 1);
      batch.finish();
    });
    CHECK(test::walk(shared) == "");
  }
}

TEST_CASE("a damaged private record or entry is left out and told, and can be removed") {
  const Instances instances;
  std::string id;
  {
    Memory memory = instances.open("alpha");
    memory.remember({.segment = "project_history", .text = "sound and private"});
    id = memory.remember({.segment = "project_history", .text = "private and hit"}).id;
    memory.put("session_context", "hit", "a private value");
    memory.put("session_context", "sound", 1);
  }
  damage_text(instances.path("alpha") / "private", "private and hit");
  damage_text(instances.path("alpha") / "private", "a private value");
  Memory memory = instances.open("alpha");
  const RecordPage page = memory.list({"project_history", 10, {}});
  CHECK(page.items.size() == 1);
  CHECK(page.damaged == 1);
  CHECK(memory.recall({.segments = {"project_history"}}).coverage.damaged == 1);
  CHECK(code_of([&] { memory.get(id); }) == ErrorCode::damaged);
  CHECK(code_of([&] { memory.value("session_context", "hit"); }) == ErrorCode::damaged);
  CHECK(memory.keys("session_context").items == std::vector<std::string>{"sound"});
  CHECK(memory.keys("session_context").damaged == 1);
  memory.forget(id);
  memory.put("session_context", "hit", 2);
  CHECK(memory.list({"project_history", 10, {}}).damaged == 0);
  CHECK(memory.status().segments.at("project_history").records == 1);
  CHECK(memory.value("session_context", "hit")->value == Value(2));
}

TEST_CASE("a page of a list goes on behind what is left out") {
  Damaged store;
  store.damage();
  Memory memory = store.instances.open("alpha");
  std::vector<std::string> found;
  ListQuery query{"lessons_learned", 1, {}};
  for (int pages = 0; pages < 20; ++pages) {
    const RecordPage page = memory.list(query);
    for (const Record& record : page.items) found.push_back(record.text);
    if (!page.next) break;
    query.cursor = *page.next;
  }
  CHECK(found.size() == 5);
}

}  // namespace
}  // namespace loam
