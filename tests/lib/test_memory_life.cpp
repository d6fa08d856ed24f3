#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/shared_store.hpp"
#include "tests/lib/opened.hpp"

namespace loam {
namespace {

using test::code_of;
using test::configure;
using test::Instances;
using test::message_of;
using test::texts;

TEST_CASE("an instance is made once and keeps its identity") {
  const Instances instances;
  Identity made;
  {
    const Memory memory = instances.open("alpha");
    made = memory.identity();
    CHECK(made.name == "alpha");
    CHECK(made.public_key.size() == 64);
  }
  Options options;
  options.dir = instances.path("alpha");
  CHECK(Memory::open(options).identity().id == made.id);
  options.name = "other";  // ignored: there is an instance
  const Memory memory = Memory::open(options);
  CHECK(memory.name() == "alpha");
  CHECK(memory.identity().federation == made.federation);
  CHECK(memory.value("instance_registry", made.id.text())->value->text("name") == "alpha");
}

TEST_CASE("a directory without an instance is not found, and nothing is made") {
  const Instances instances;
  Options options;
  options.dir = instances.path("nobody");
  CHECK(code_of([&] { Memory::open(options); }) == ErrorCode::not_found);
  CHECK(!std::filesystem::exists(options.dir));
  options.dir.clear();
  CHECK(code_of([&] { Memory::open(options); }) == ErrorCode::invalid);
  options.dir = instances.path("nobody");
  options.name = "Not A Name";
  CHECK(code_of([&] { Memory::open(options); }) == ErrorCode::invalid);
}

TEST_CASE("what one opening writes another one of the same process reads") {
  const Instances instances;
  Memory one = instances.open("alpha");
  Memory two = instances.open("alpha");
  const std::string id = one.remember({.text = "x"}).id;
  CHECK(two.get(id)->text == "x");
  two.put("session_context", "k", 1);
  CHECK(one.value("session_context", "k")->value == Value(1));
  { const Memory gone = std::move(one); }
  two.remember({.text = "y"});
  CHECK(texts(two).size() == 2);
}

TEST_CASE("a memory can be moved") {
  const Instances instances;
  Memory one = instances.open("alpha");
  Memory two = std::move(one);
  two.remember({.text = "x"});
  two = instances.open("beta");
  CHECK(texts(two).empty());
}

TEST_CASE(
    "segments of the configuration are there, of their kind, and come back after an absence") {
  const Instances instances;
  const std::string both =
      "[[segments]]\nname = 'team-notes'\nscope = 'shared'\nkind = 'set'\n"
      "[[segments]]\nname = 'scratch'\nscope = 'private'\nkind = 'map'\n";
  configure(instances.path("alpha"), both);
  {
    Memory memory = instances.open("alpha");
    CHECK(memory.remember({.segment = "team_notes", .text = "x"}).scope == Scope::shared);
    CHECK(memory.put("scratch", "k", 1).scope == Scope::priv);
    CHECK(memory.get(memory.remember({.segment = "team_notes", .text = "x"}).id)->type == "record");
    CHECK(memory.digest().count("team_notes") == 1);
  }
  configure(instances.path("alpha"), "");
  {
    const Memory memory = instances.open("alpha");
    CHECK(code_of([&] { memory.list({"team_notes", 1, {}}); }) == ErrorCode::unknown_segment);
    CHECK(texts(memory).empty());
    CHECK(memory.recall({}).items.empty());
    CHECK(memory.status().segments.count("team_notes") == 0);
  }
  configure(instances.path("alpha"), both);
  const Memory memory = instances.open("alpha");
  CHECK(texts(memory, "team_notes") == std::vector<std::string>{"x"});
  CHECK(memory.value("scratch", "k")->value == Value(1));
}

TEST_CASE("a segment that changed its kind is refused, and nothing is lost") {
  const Instances instances;
  const std::string shared = "[[segments]]\nname = 'notes'\nscope = 'shared'\nkind = ";
  const std::string priv = "[[segments]]\nname = 'notes'\nscope = 'private'\nkind = ";
  for (const std::string& segment : {shared, priv}) {
    const std::string name = segment == shared ? "alpha" : "beta";
    configure(instances.path(name), segment + "'set'");
    instances.open(name).remember({.segment = "notes", .text = "x"});
    configure(instances.path(name), segment + "'map'");
    CHECK(code_of([&] { instances.open(name); }) == ErrorCode::invalid);
    CHECK(message_of([&] { instances.open(name); }).find("notes") != std::string::npos);
    configure(instances.path(name), segment + "'set'");
    CHECK(texts(instances.open(name)) == std::vector<std::string>{"x"});
  }
}

TEST_CASE("a broken configuration is refused") {
  const Instances instances;
  configure(instances.path("alpha"), "[store]\nmap_octets = 1\n");
  CHECK(code_of([&] { instances.open("alpha"); }) == ErrorCode::invalid);
}

void write_format(const std::filesystem::path& dir, const std::vector<std::string>& tables,
                  std::uint32_t format) {
  const auto env = lmdb::Env::open({.dir = dir, .tables = tables});
  env->write([&](lmdb::WriteTxn& txn) {
    std::array<std::byte, 4> octets{};
    store_u32(octets.data(), format);
    txn.put(lmdb::Table{0}, bytes_of("format"), octets);
  });
}

TEST_CASE("a store of a newer format is refused, whichever environment it is") {
  const Instances instances;
  const auto dir = instances.path("alpha");
  const std::vector<std::string> priv{"meta", "segs", "counts", "rec", "reg"};
  instances.open("alpha").remember({.text = "x"});
  const auto refused = [&] {
    const auto error = test::error_of([&] { instances.open("alpha"); });
    REQUIRE(error);
    CHECK(error->code() == ErrorCode::damaged);
    CHECK(std::string(error->what()).find("newer") != std::string::npos);
  };
  write_format(dir / "shared", shared_table_names(), store_format + 1);
  refused();
  write_format(dir / "shared", shared_table_names(), store_format);
  write_format(dir / "private", priv, store_format + 1);
  refused();
  write_format(dir / "private", priv, store_format);
  CHECK(texts(instances.open("alpha")).size() == 1);
}

TEST_CASE("a directory that others can enter is refused") {
  const Instances instances;
  { const Memory made = instances.open("alpha"); }
  ::chmod(instances.path("alpha").c_str(), 0750);
  CHECK(code_of([&] { instances.open("alpha"); }) == ErrorCode::denied);
}

TEST_CASE("the routing of a memory is that of its segments") {
  const Instances instances;
  const Memory memory = instances.open("alpha");
  CHECK(code_of([&] { memory.route_memory_operation(Operation::read, "lessons_learned", "beta"); }) == ErrorCode::denied);
  (void)instances.open("beta");  // is a member now
  CHECK(memory.route_memory_operation(Operation::write, "session-context") ==
        TargetBackend{TargetKind::private_store, "session_context", "alpha"});
  CHECK(memory.route_memory_operation(Operation::read, "lessons_learned", "beta") ==
        TargetBackend{TargetKind::shared_replica, "lessons_learned", "alpha"});
  CHECK(code_of([&] { memory.route_memory_operation(Operation::read, "task_traces", "beta"); }) ==
        ErrorCode::denied);
}

TEST_CASE("the status counts records, keys and octets, and digests tell states apart") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  const auto before = memory.digest();
  CHECK(before.size() == 6);
  memory.remember({.text = "x"});
  memory.put("session_context", "k", 1);
  const Status status = memory.status();
  CHECK(status.identity.name == "alpha");
  CHECK(status.segments.size() == 10);
  CHECK(status.segments.at("lessons_learned").records == 1);
  CHECK(status.segments.at("lessons_learned").bytes > 0);
  CHECK(status.segments.at("session_context").records == 1);
  CHECK(status.segments.at("session_context").scope == Scope::priv);
  CHECK(status.peers.empty());
  const auto after = memory.digest();
  CHECK(after.at("lessons_learned") != before.at("lessons_learned"));
  CHECK(after.at("org_patterns") == before.at("org_patterns"));
  CHECK(memory.digest("lessons-learned").size() == 1);
  CHECK(code_of([&] { memory.digest("session_context"); }) == ErrorCode::invalid);
  CHECK(code_of([&] { memory.digest("nowhere"); }) == ErrorCode::unknown_segment);
}

// ---------------------------------------------------------------- fork

// Runs an action in a forked child; 0: it returned true in time.
template <class Action>
int in_child(Action&& action) {
  const pid_t child = fork();
  if (child == 0) {
    ::alarm(60);
    int code = 2;
    try {
      code = action() ? 0 : 1;
    } catch (...) {
    }
    _exit(code);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST_CASE("every call of a forked child says that the memory is its parent's") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  const std::string id = memory.remember({.text = "x"}).id;
  const std::string address = memory.serve({.listen = "127.0.0.1:0"});
  const std::vector<std::function<void()>> calls{
      [&] { memory.remember({.text = "y"}); },
      [&] { memory.write_async(PacketEnvelope{.packet_type = "event"}); },
      [&] { memory.put("session_context", "k", 1); },
      [&] { memory.put("governance_meta", "k", 1); },
      [&] { memory.revise(id, "z"); },
      [&] { memory.forget(id); },
      [&] { memory.get(id); },
      [&] { memory.list({}); },
      [&] { memory.recall({}); },
      [&] { memory.value("session_context", "k"); },
      [&] { memory.keys("governance_meta"); },
      [&] { memory.status(); },
      [&] { memory.digest(); },
      [&] { memory.export_records({}, [](std::string_view) {}); },
      [&] { memory.drop_journal(); },
      [&] { memory.sync_shared_segments({.endpoints = {"ws://" + address}}); },
      [&] { memory.connect("ws://" + address); },
      [&] { memory.serve(); },
      [&] { memory.watch({}, [](const Change&) {}); },
      [&] { memory.stop(); }};
  for (std::size_t i = 0; i < calls.size(); ++i) {
    INFO("call ", i);
    CHECK(in_child([&] { return code_of(calls[i]) == ErrorCode::wrong_process; }) == 0);
  }
  memory.remember({.text = "the parent goes on"});
  CHECK(texts(memory).size() == 2);
}

TEST_CASE("a forked child may drop the memory and open its own") {
  const Instances instances;
  std::optional<Memory> memory(instances.open("alpha"));
  memory->serve({.listen = "127.0.0.1:0"});
  const Subscription watching = memory->watch({}, [](const Change&) {});
  memory->remember({.text = "parent"});
  CHECK(in_child([&] {
          memory.reset();
          Memory own = instances.open("alpha");
          own.remember({.text = "child"});
          return texts(own).size() == 2;
        }) == 0);
  memory->remember({.text = "parent again"});
  CHECK(texts(*memory) == std::vector<std::string>{"child", "parent", "parent again"});
}

}  // namespace
}  // namespace loam
