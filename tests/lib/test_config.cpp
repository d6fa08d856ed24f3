#include <doctest/doctest.h>
#include <sys/stat.h>

#include "lib/config.hpp"
#include "tests/lib/scratch.hpp"

namespace loam {
namespace {

using test::code_of;
using test::message_of;
using test::Scratch;

Config load(const std::string& text) {
  const Scratch scratch;
  test::write_file(scratch / "config.toml", text);
  return load_config(scratch.path());
}

// The message without code and directory.
std::string refusal(const std::string& text) {
  const auto message = message_of([&] { load(text); });
  const auto at = message.find("config.toml: ");
  REQUIRE(message.starts_with("invalid: "));
  REQUIRE(at != std::string::npos);
  return message.substr(at + 13);
}

TEST_CASE("a missing file is the defaults") {
  const Scratch scratch;
  CHECK(load_config(scratch.path()) == Config{});
  CHECK(load("") == Config{});
}

TEST_CASE("the file that init writes is the defaults, its owner's alone, and never written over") {
  const Scratch scratch;
  write_default_config(scratch.path());
  CHECK(load_config(scratch.path()) == Config{});
  struct stat status {};
  stat((scratch / "config.toml").c_str(), &status);
  CHECK((status.st_mode & 0777U) == 0600);
  test::write_file(scratch / "config.toml", "endpoints = []\n");
  write_default_config(scratch.path());
  CHECK(test::read_file(scratch / "config.toml") == "endpoints = []\n");
}

TEST_CASE("what the default file shows in comments is the defaults and valid") {
  const Scratch scratch;
  write_default_config(scratch.path());
  std::string text = test::read_file(scratch / "config.toml");
  std::string uncommented;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find('\n', at);
    std::string line = text.substr(at, end - at);
    const bool is_setting = line.starts_with("# ") &&
                            (line.find(" = ") != std::string::npos || line.starts_with("# [["));
    uncommented += (is_setting ? line.substr(2) : line) + "\n";
    at = end + 1;
  }
  const Config config = load(uncommented);
  CHECK(config.map_octets_max == Config{}.map_octets_max);
  CHECK(config.journal_entries_max == Config{}.journal_entries_max);
  CHECK(config.endpoints.size() == 1);
  CHECK(config.segments.size() == 1);
}

TEST_CASE("every key is read") {
  const Config config = load(R"(
endpoints = ["ws://127.0.0.1:7701", "ws://127.0.0.1:7702"]
[store]
map_octets_max = 1048576
journal_entries_max = 0
[[segments]]
name = "team_notes"
scope = "shared"
kind = "set"
[[segments]]
name = "limits"
scope = "shared"
kind = "map"
governed = true
[[segments]]
name = "scratch"
scope = "private"
kind = "map"
governed = false
)");
  Config expected;
  expected.endpoints = {"ws://127.0.0.1:7701", "ws://127.0.0.1:7702"};
  expected.map_octets_max = 1'048'576;
  expected.journal_entries_max = 0;
  expected.segments = {{"team_notes", Scope::shared, Kind::set, false},
                       {"limits", Scope::shared, Kind::map, true},
                       {"scratch", Scope::priv, Kind::map, false}};
  CHECK(config == expected);
}

TEST_CASE("an unknown key is refused with its line") {
  CHECK(refusal("\n\nendpoint = []\n") == "line 3: endpoint: no such key");
  CHECK(refusal("[store]\nmap = 1\n") == "line 2: store.map: no such key");
  CHECK(refusal("[[segments]]\nname = \"a\"\ntype = 1\n") == "line 3: segments.type: no such key");
}

TEST_CASE("a wrong type is refused with its line") {
  CHECK(refusal("endpoints = 1\n") == "line 1: endpoints: not a list");
  CHECK(refusal("endpoints = [1]\n") == "line 1: endpoints: not a text");
  CHECK(refusal("store = 1\n") == "line 1: store: not a table");
  CHECK(refusal("[store]\nmap_octets_max = \"1\"\n") ==
        "line 2: store.map_octets_max: not an integer");
  CHECK(refusal("segments = [1]\n") == "line 1: segments: not a table");
  CHECK(refusal("[[segments]]\ngoverned = 1\n") == "line 2: segments.governed: not true or false");
}

TEST_CASE("a wrong value is refused with what is allowed") {
  CHECK(refusal("[[segments]]\nname = \"A b\"\n") == "line 2: segments.name: not a segment name");
  CHECK(refusal("[[segments]]\nscope = \"public\"\n") ==
        "line 2: segments.scope: not \"private\" or \"shared\"");
  CHECK(refusal("[[segments]]\nkind = \"list\"\n") ==
        "line 2: segments.kind: not \"set\" or \"map\"");
  CHECK(refusal("endpoints = [\"\"]\n") == "line 1: endpoints: an endpoint is 1 to 1024 octets");
  CHECK(refusal("[[segments]]\nname = \"a\"\nkind = \"set\"\n") ==
        "line 1: segments.scope: missing");
}

TEST_CASE("limits of connections go down only") {
  const ListenLimits limits = load(R"(hosts = ["hub.example.org", "HUB2"]
[limits]
strangers_max = 1
outbox_octets_max = 8388608
hello_ms = 250
)").limits;
  CHECK(limits.hosts == std::vector<std::string>{"hub.example.org", "hub2"});
  CHECK(limits.strangers_max == 1);
  CHECK(limits.link.outbox_octets_max == ListenLimits{}.link.outbox_octets_max);
  CHECK(limits.link.hello == std::chrono::milliseconds(250));
  CHECK(limits.link.tls == ListenLimits{}.link.tls);
  CHECK(refusal("limits.strangers_max = 65") == "line 1: limits.strangers_max: 65, must be 1 to 64");
  CHECK(refusal("limits.hello_ms = 10001") == "line 1: limits.hello_ms: 10001, must be 1 to 10000");
  CHECK(refusal("limits.hello_ms = 0") == "line 1: limits.hello_ms: 0, must be 1 to 10000");
  CHECK(refusal("limits.wait = 1") == "line 1: limits.wait: no such key");
  for (const char* host : {"hub:7700", "[::1]", "wss://hub", "", "me@hub", "h\\u00f6st"}) {
    CHECK(refusal("hosts = [\"" + std::string(host) + "\"]") == "line 1: hosts: not the name of a host");
  }
}

TEST_CASE("the map is at least 1 MiB") {
  CHECK(load("store.map_octets_max = 1048576").map_octets_max == 1'048'576);
  CHECK(refusal("store.map_octets_max = 1048575") ==
        "line 1: store.map_octets_max: 1048575, must be 1048576 to 70368744177664");
  CHECK(load("store.map_octets_max = 70368744177664").map_octets_max == 70'368'744'177'664);
  CHECK(refusal("store.map_octets_max = 70368744177665").find("must be") != std::string::npos);
  CHECK(refusal("store.journal_entries_max = -1").find("-1, must be 0 to") != std::string::npos);
}

TEST_CASE("broken TOML is refused with its line") {
  CHECK(refusal("endpoints = []\n[store\n").starts_with("line 2: "));
  CHECK(refusal("a = 1\na = 2\n").starts_with("line 2: "));
  CHECK(refusal("a = \"\xff\"\n").starts_with("line 1: "));
}

TEST_CASE("segments that cannot be together are refused when the file is read") {
  const std::string notes = "[[segments]]\nname = \"n\"\nscope = \"shared\"\nkind = \"set\"\n";
  CHECK(refusal(notes + notes) == "segment n: declared twice");
  CHECK(refusal(notes + "governed = true\n").find("only a shared map") != std::string::npos);
}

TEST_CASE("a file of 1 MiB is read, a larger one is refused") {
  std::string text = "# ";
  text.resize((1 << 20) - 1, 'x');
  text += "\n";
  CHECK(load(text) == Config{});
  CHECK(refusal("#" + text) == "over the limit of 1048576 octets");
}

TEST_CASE("a configuration that cannot be read is an error of the environment") {
  const Scratch scratch;
  std::filesystem::create_directory(scratch / "config.toml");
  CHECK(code_of([&] { load_config(scratch.path()); }) == ErrorCode::failed);
}

}  // namespace
}  // namespace loam
