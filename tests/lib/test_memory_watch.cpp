#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <set>

#include "tests/lib/opened.hpp"

namespace loam {
namespace {

using test::code_of;
using test::eventually;
using test::Instances;

/// What a watch has told, from whatever thread.
class Told {
 public:
  std::function<void(const Change&)> callback() {
    return [this](const Change& change) {
      const std::lock_guard lock(mutex_);
      changes_.push_back(change);
    };
  }

  std::vector<Change> changes() const {
    const std::lock_guard lock(mutex_);
    return changes_;
  }

  bool has(const std::string& segment, const std::string& id) const {
    for (const Change& change : changes()) {
      const auto& ids = change.ids;
      if (change.segment == segment && std::count(ids.begin(), ids.end(), id) > 0) return true;
    }
    return false;
  }

  std::uint64_t removed() const {
    std::uint64_t sum = 0;
    for (const Change& change : changes()) sum += change.removed;
    return sum;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Change> changes_;
};

TEST_CASE("a watch tells of own writes, revisions, removals and entries") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  memory.remember({.text = "before the watch"});
  Told told;
  const Subscription watching = memory.watch({}, told.callback());
  const std::string id = memory.remember({.text = "x"}).id;
  CHECK(eventually([&] { return told.has("lessons_learned", id); }));
  memory.put("governance_meta", "key", 1);
  CHECK(eventually([&] { return told.has("governance_meta", "key"); }));
  const std::string revised = memory.revise(id, "y").id;
  CHECK(eventually([&] { return told.has("lessons_learned", revised); }));
  const std::uint64_t removed = told.removed();
  memory.forget(revised);
  CHECK(eventually([&] { return told.removed() > removed; }));
  for (const Change& change : told.changes()) {
    CHECK((change.segment == "lessons_learned" || change.segment == "governance_meta"));
    CHECK(change.ids.size() <= 1);
  }
}

TEST_CASE("a watch of some segments tells of those only, and private ones cannot be watched") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  Told told;
  const Subscription watching = memory.watch({"org-patterns"}, told.callback());
  memory.remember({.text = "lesson"});
  memory.remember({.segment = "project_history", .text = "private"});
  const std::string id = memory.remember({.segment = "org_patterns", .text = "pattern"}).id;
  CHECK(eventually([&] { return told.has("org_patterns", id); }));
  for (const Change& change : told.changes()) CHECK(change.segment == "org_patterns");
  CHECK(code_of([&] { memory.watch({"task_traces"}, told.callback()); }) == ErrorCode::invalid);
  CHECK(code_of([&] { memory.watch({"nowhere"}, told.callback()); }) == ErrorCode::unknown_segment);
}

TEST_CASE("every committed record is told of exactly while the watch lives") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  Told told;
  std::set<std::string> ids;
  {
    const Subscription watching = memory.watch({}, told.callback());
    for (int i = 0; i < 100; ++i) ids.insert(memory.remember({.text = std::to_string(i)}).id);
    CHECK(eventually([&] {
      std::set<std::string> found;
      for (const Change& change : told.changes())
        found.insert(change.ids.begin(), change.ids.end());
      return found == ids;
    }));
  }
  const std::size_t before = told.changes().size();
  memory.remember({.text = "after"});
  Told other;
  const Subscription again = memory.watch({}, other.callback());
  const std::string id = memory.remember({.text = "later"}).id;
  CHECK(eventually([&] { return other.has("lessons_learned", id); }));
  CHECK(told.changes().size() == before);
}

TEST_CASE("a watch tells what another opening and another process write") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  Told told;
  const Subscription watching = memory.watch({}, told.callback());
  Memory other = instances.open("alpha");
  const std::string id = other.remember({.text = "another opening"}).id;
  CHECK(eventually([&] { return told.has("lessons_learned", id); }));

  // The other process is this test, started again: see the next case.
  const std::string command = "LOAM_TEST_WRITER='" + instances.path("alpha").string() + "' /proc/" +
                              std::to_string(getpid()) +
                              "/exe -tc='a process of its own that writes' >/dev/null";
  REQUIRE(std::system(command.c_str()) == 0);
  CHECK(eventually([&] {
    for (const Change& change : told.changes()) {
      for (const std::string& written : change.ids) {
        const auto record =
            change.segment == "lessons_learned" ? memory.get(written) : std::nullopt;
        if (record && record->text == "another process") return true;
      }
    }
    return false;
  }));
}

TEST_CASE("a process of its own that writes") {
  const char* dir = std::getenv("LOAM_TEST_WRITER");
  if (dir == nullptr) return;
  Options options;
  options.dir = dir;
  Memory::open(options).remember({.text = "another process"});
}

TEST_CASE("a watch may be ended from its own callback, and is not called again") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  std::atomic<int> calls{0};
  std::mutex mutex;
  Subscription watching;
  {
    const std::lock_guard lock(mutex);
    watching = memory.watch({}, [&](const Change&) {
      ++calls;
      const std::lock_guard inside(mutex);
      watching = {};
    });
  }
  // One commit, several segments: more than one change to tell.
  std::vector<PacketEnvelope> packets(3);
  const std::vector<std::string> types{"lesson", "pattern", "failure"};
  for (std::size_t i = 0; i < packets.size(); ++i) {
    packets[i].packet_type = types[i];
    packets[i].payload = {{"text", "t"}, {"name", "n"}, {"error_signature", "e"}};
  }
  memory.write(packets);
  CHECK(eventually([&] { return calls > 0; }));
  Told told;
  const Subscription other = memory.watch({}, told.callback());
  const std::string id = memory.remember({.text = "x"}).id;
  CHECK(eventually([&] { return told.has("lessons_learned", id); }));
  CHECK(calls == 1);
}

TEST_CASE("ending a watch waits for the callback that is running") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  for (int round = 0; round < 20; ++round) {
    auto alive = std::make_unique<std::atomic<int>>(0);
    {
      const Subscription watching =
          memory.watch({}, [state = alive.get()](const Change&) { ++*state; });
      memory.remember({.text = std::to_string(round)});
    }
    alive.reset();  // a call after this line is a use after free
  }
}

TEST_CASE("a callback may use the memory, and one that throws ends nothing") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  std::atomic<int> used{0};
  const Subscription throwing =
      memory.watch({}, [](const Change&) { throw std::runtime_error("from a callback"); });
  const Subscription watching = memory.watch({"lessons_learned"}, [&](const Change& change) {
    for (const std::string& id : change.ids) {
      if (memory.get(id) && !memory.status().identity.name.empty()) ++used;
    }
  });
  memory.remember({.text = "x"});
  CHECK(eventually([&] { return used == 1; }));
  memory.remember({.text = "y"});
  CHECK(eventually([&] { return used == 2; }));
}

TEST_CASE("a watch goes on after the links were stopped") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  Told told;
  const Subscription watching = memory.watch({}, told.callback());
  test::listen(memory);
  memory.stop();
  const std::string id = memory.remember({.text = "x"}).id;
  CHECK(eventually([&] { return told.has("lessons_learned", id); }));
}

TEST_CASE("a subscription may outlive its memory") {
  const Instances instances;
  Subscription watching;
  {
    Memory memory = instances.open("alpha");
    watching = memory.watch({}, [](const Change&) {});
  }
  watching = {};
}

TEST_CASE("without a journal a watch still tells that something changed") {
  const Instances instances;
  test::configure(instances.path("alpha"), "[store]\njournal_entries_max = 0\n");
  Memory memory = instances.open("alpha");
  Told told;
  const Subscription watching = memory.watch({"lessons_learned"}, told.callback());
  memory.remember({.text = "x"});
  CHECK(eventually([&] { return !told.changes().empty(); }));
}

TEST_CASE("a watch goes on when the journal is dropped under it") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  Told told;
  const Subscription watching = memory.watch({}, told.callback());
  for (int i = 0; i < 20; ++i) {
    memory.remember({.text = std::to_string(i)});
    memory.drop_journal();
  }
  // What stood in a dropped journal is not told of by its id, what comes later is.
  std::vector<std::string> ids;
  CHECK(eventually([&] {
    ids.push_back(memory.remember({.text = "later " + std::to_string(ids.size())}).id);
    return std::any_of(ids.begin(), ids.end(),
                       [&](const std::string& id) { return told.has("lessons_learned", id); });
  }));
}

}  // namespace
}  // namespace loam
