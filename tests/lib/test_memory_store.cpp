#include <doctest/doctest.h>

#include "crdt/codec.hpp"
#include "lib/identity.hpp"
#include "lib/shared_store.hpp"
#include "tests/lib/opened.hpp"
#include "tests/lib/store_walk.hpp"

namespace loam {
namespace {

namespace fs = std::filesystem;

using test::code_of;
using test::configure;
using test::Instances;
using test::listen;
using test::sync;
using test::texts;

// The shared store of an instance, beside whoever has it open.
SharedStore shared_store(const Instances& instances, const std::string& name, Config config = {}) {
  const auto dir = instances.path(name);
  return SharedStore(dir / "shared", SegmentTable(), config, load_instance_key(dir).id, {});
}

// ---------------------------------------------------------------- a full store

constexpr const char* small_store = "[store]\nmap_octets_max = 1048576\n";

std::string long_text(int number) { return std::to_string(number) + std::string(10'000, 'x'); }

// Remembers until the store is full.
std::vector<std::string> fill(Memory& memory, const std::string& segment) {
  std::vector<std::string> ids;
  for (int i = 0; i < 1'000; ++i) {
    const auto error = test::error_of(
        [&] { ids.push_back(memory.remember({.segment = segment, .text = long_text(i)}).id); });
    if (!error) continue;
    REQUIRE(error->code() == ErrorCode::out_of_space);
    return ids;
  }
  FAIL("1 MiB held 10 MB");
  return ids;
}

TEST_CASE("a full store refuses writes, reads and removals go on, then there is room again") {
  const Instances instances;
  for (const std::string segment : {"lessons_learned", "project_history"}) {
    INFO(segment);
    const std::string name = segment == "lessons_learned" ? "alpha" : "beta";
    configure(instances.path(name), small_store);
    std::vector<std::string> ids;
    {
      Memory memory = instances.open(name);
      ids = fill(memory, segment);
      REQUIRE(ids.size() > 20);
      CHECK(memory.get(ids.back())->text == long_text(static_cast<int>(ids.size()) - 1));
      CHECK(texts(memory, segment).size() == ids.size());
      CHECK(memory.recall({.text = "absent"}).items.empty());
    }
    Memory memory = instances.open(name);  // also after opening it again
    CHECK(texts(memory, segment).size() == ids.size());
    for (std::size_t i = 0; i < ids.size() / 2; ++i) memory.forget(ids[i]);
    const std::string id = memory.remember({.segment = segment, .text = long_text(5'000)}).id;
    CHECK(memory.get(id));
    CHECK(texts(memory, segment).size() == ids.size() - ids.size() / 2 + 1);
  }
}

TEST_CASE("one environment being full does not keep the other from being written") {
  const Instances instances;
  configure(instances.path("alpha"), small_store);
  Memory memory = instances.open("alpha");
  fill(memory, "project_history");
  memory.remember({.text = "shared"});
  memory.put("governance_meta", "k", 1);
  CHECK(memory.value("governance_meta", "k"));
}

TEST_CASE("entries of a full store can be erased") {
  const Instances instances;
  configure(instances.path("alpha"), small_store);
  Memory memory = instances.open("alpha");
  for (const std::string segment : {"governance_meta", "session_context"}) {
    memory.put(segment, "key", std::string(20'000, 'x'));
  }
  fill(memory, "lessons_learned");
  fill(memory, "task_traces");
  for (const std::string segment : {"governance_meta", "session_context"}) {
    memory.erase(segment, "key");
    CHECK(!memory.value(segment, "key"));
  }
}

TEST_CASE("an asynchronous write into a full store fails in its future, its neighbours do not") {
  const Instances instances;
  configure(instances.path("alpha"), small_store);
  Memory memory = instances.open("alpha");
  fill(memory, "lessons_learned");
  PacketEnvelope packet;
  packet.packet_type = "lesson";
  std::vector<std::future<Receipt>> large;
  std::vector<std::future<Receipt>> other;
  for (int i = 0; i < 20; ++i) {
    packet.segment.clear();
    packet.payload = {{"text", long_text(9'000 + i)}};
    large.push_back(memory.write_async(packet));
    packet.segment = "project_history";
    packet.payload = {{"text", "small"}};
    other.push_back(memory.write_async(packet));
  }
  for (auto& future : large) CHECK(code_of([&] { future.get(); }) == ErrorCode::out_of_space);
  for (auto& future : other) CHECK(!future.get().id.empty());
}

// ---------------------------------------------------------------- copies

void copy_instance(const Instances& instances, const std::string& from, const std::string& to) {
  fs::copy(instances.path(from), instances.path(to), fs::copy_options::recursive);
}

struct StoreIds {
  StoreId store;
  std::map<std::string, JournalId> journals;
};

StoreIds ids_of(const Instances& instances, const std::string& name) {
  const SharedStore store = shared_store(instances, name);
  StoreIds ids{store.id(), {}};
  for (const SegmentNumber number : store.numbers()) {
    ids.journals[store.name(number)] = store.read(
        [&](const SharedReader& reader) { return reader.segment(number).state.journal; });
  }
  return ids;
}

TEST_CASE("a copied instance is another store with journals of its own, a moved one is not") {
  const Instances instances;
  instances.open("alpha").remember({.text = "x"});
  const StoreIds original = ids_of(instances, "alpha");
  copy_instance(instances, "alpha", "copy");
  const StoreIds copy = ids_of(instances, "copy");
  CHECK(copy.store != original.store);
  for (const auto& [segment, journal] : original.journals) {
    CHECK(copy.journals.at(segment) != journal);
  }
  CHECK(ids_of(instances, "copy").store == copy.store);  // it stays that one
  fs::rename(instances.path("alpha"), instances.path("moved"));
  CHECK(ids_of(instances, "moved").store == original.store);
  CHECK(ids_of(instances, "moved").journals == original.journals);
}

TEST_CASE("a backup put back in place of its original is another store") {
  const Instances instances;
  instances.open("alpha").remember({.text = "x"});
  for (int round = 0; round < 5; ++round) {  // the file system likes to use the same inode again
    copy_instance(instances, "alpha", "backup");
    const StoreIds before = ids_of(instances, "alpha");
    fs::remove_all(instances.path("alpha"));
    copy_instance(instances, "backup", "alpha");
    fs::remove_all(instances.path("backup"));
    CHECK(ids_of(instances, "alpha").store != before.store);
  }
}

TEST_CASE("an instance and its copy sync with each other without loss") {
  const Instances instances;
  instances.open("alpha").remember({.text = "both", .tags = {"t"}});
  copy_instance(instances, "alpha", "copy");
  Memory alpha = instances.open("alpha");
  Memory copy = instances.open_at("copy", "alpha");
  CHECK(copy.id() == alpha.id());
  for (int i = 0; i < 20; ++i) {
    alpha.remember({.text = "alpha " + std::to_string(i)});
    copy.remember({.text = "copy " + std::to_string(i)});
  }
  alpha.forget(alpha.recall({.text = "both"}).items.at(0).record.id);
  copy.remember({.text = "common"});
  alpha.remember({.text = "common"});
  REQUIRE(sync(copy, listen(alpha)).converged);
  CHECK(texts(copy).size() == 41);
  CHECK(texts(copy) == texts(alpha));
  CHECK(copy.digest() == alpha.digest());
  const auto common = copy.recall({.text = "common"}).items.at(0).record;
  CHECK(common.support == 1);  // one instance, twice
  CHECK(test::walk(shared_store(instances, "copy")) == "");
}

TEST_CASE("after a backup was restored everybody ends with everything that was written") {
  const Instances instances;
  Memory peer = instances.open("peer");
  const auto write = [&](const std::string& what, int count) {
    Memory memory = instances.open("alpha");
    for (int i = 0; i < count; ++i) memory.remember({.text = what + " " + std::to_string(i)});
    return sync(peer, listen(memory));
  };
  CHECK(write("first", 5).converged);
  copy_instance(instances, "alpha", "backup");
  CHECK(write("second", 10).converged);
  fs::remove_all(instances.path("alpha"));
  copy_instance(instances, "backup", "alpha");
  {
    Memory restored = instances.open("alpha");  // its journal grows past where the peer had been
    for (int i = 0; i < 30; ++i) restored.remember({.text = "third " + std::to_string(i)});
  }
  CHECK(write("fourth", 1).converged);
  const Memory restored = instances.open("alpha");
  CHECK(texts(peer).size() == 46);
  CHECK(texts(restored) == texts(peer));
  CHECK(restored.digest() == peer.digest());
}

TEST_CASE("what has been synced through the journal is whole in every table") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  const std::string endpoint = listen(alpha);
  for (int round = 0; round < 5; ++round) {
    std::vector<PacketEnvelope> packets(40);
    for (std::size_t i = 0; i < packets.size(); ++i) {
      packets[i].packet_type = "lesson";
      packets[i].payload = {{"text", std::to_string(round) + " " + std::to_string(i)}};
    }
    (round % 2 == 0 ? alpha : beta).write(packets);
    if (round == 3) alpha.drop_journal();
    const auto page = beta.list({"lessons_learned", 7, {}});
    for (const Record& record : page.items) beta.forget(record.id);
    REQUIRE(sync(beta, endpoint).converged);
    CHECK(alpha.digest() == beta.digest());
    CHECK(test::walk(shared_store(instances, "alpha")) == "");
    CHECK(test::walk(shared_store(instances, "beta")) == "");
  }
}

}  // namespace
}  // namespace loam
