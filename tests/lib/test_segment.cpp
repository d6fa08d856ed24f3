#include <doctest/doctest.h>

#include <algorithm>

#include "lib/segment.hpp"
#include "tests/lib/scratch.hpp"

namespace loam {
namespace {

using test::code_of;
using test::message_of;

Segment shared_set(std::string name) { return {std::move(name), Scope::shared, Kind::set, false}; }

TEST_CASE("the built-in segments have the scope and kind of the product page") {
  const SegmentTable table;
  struct Row {
    const char* name;
    Scope scope;
    Kind kind;
    bool governed;
  };
  const std::vector<Row> rows = {
      {"instance_registry", Scope::shared, Kind::map, true},
      {"approval_rules", Scope::shared, Kind::map, true},
      {"common_failures", Scope::shared, Kind::set, false},
      {"governance_meta", Scope::shared, Kind::map, true},
      {"instance_config", Scope::priv, Kind::map, false},
      {"lessons_learned", Scope::shared, Kind::set, false},
      {"org_patterns", Scope::shared, Kind::set, false},
      {"project_history", Scope::priv, Kind::set, false},
      {"session_context", Scope::priv, Kind::map, false},
      {"task_traces", Scope::priv, Kind::set, false},
  };
  REQUIRE(table.all().size() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Segment expected{rows[i].name, rows[i].scope, rows[i].kind, rows[i].governed};
    CHECK(table.all()[i] == expected);
    CHECK(table.find(rows[i].name) == expected);
  }
}

TEST_CASE("hyphens count as underscores, when a segment is asked for and when it is declared") {
  CHECK(SegmentTable().find("lessons-learned").name == "lessons_learned");
  const SegmentTable table({shared_set("team-notes")});
  CHECK(table.find("team_notes").name == "team_notes");
  CHECK(table.find("team-notes").name == "team_notes");
}

TEST_CASE("declared segments stand among the others by name, the registry first") {
  const SegmentTable table({shared_set("zebra"), shared_set("aardvark")});
  CHECK(table.all().front().name == "instance_registry");
  CHECK(std::is_sorted(
      table.all().begin() + 1, table.all().end(),
      [](const Segment& left, const Segment& right) { return left.name < right.name; }));
  CHECK(table.find("zebra") == shared_set("zebra"));
}

TEST_CASE("an unknown segment is an error that lists the known ones") {
  const SegmentTable table;
  CHECK(code_of([&] { table.find("lessons"); }) == ErrorCode::unknown_segment);
  const auto message = message_of([&] { table.find("lessons"); });
  CHECK(message.find("segment lessons: not declared; there are instance_registry, ") !=
        std::string::npos);
  CHECK(code_of([&] { table.find(""); }) == ErrorCode::unknown_segment);
}

TEST_CASE("what is no name is not repeated in the message") {
  const SegmentTable table;
  const auto message = message_of([&] { table.find("a\x1b[31m"); });
  CHECK(message == "unknown_segment: segment: not a segment name");
}

TEST_CASE("a name declared twice refuses to start, also under another spelling or scope") {
  CHECK(code_of([] { SegmentTable({shared_set("a"), shared_set("a")}); }) == ErrorCode::invalid);
  CHECK(code_of([] {
          SegmentTable({shared_set("a-b"), shared_set("a_b")});
        }) == ErrorCode::invalid);
  CHECK(code_of([] { SegmentTable({shared_set("task_traces")}); }) == ErrorCode::invalid);
  CHECK(message_of([] { SegmentTable({shared_set("task-traces")}); }) ==
        "invalid: segment task_traces: declared twice");
}

TEST_CASE("only a shared map can be governed") {
  const auto governed = [](Scope scope, Kind kind) {
    return SegmentTable({Segment{"x", scope, kind, true}});
  };
  CHECK(governed(Scope::shared, Kind::map).find("x").governed);
  CHECK(code_of([&] { governed(Scope::shared, Kind::set); }) == ErrorCode::invalid);
  CHECK(code_of([&] { governed(Scope::priv, Kind::map); }) == ErrorCode::invalid);
}

TEST_CASE("a name has 1 to 63 characters of a small alphabet") {
  CHECK(is_name("a"));
  CHECK(is_name("0-_z"));
  CHECK(is_name(std::string(63, 'a')));
  CHECK_FALSE(is_name(std::string(64, 'a')));
  for (const char* text : {"", "_a", "-a", "A", "a b", "a.b", "a/b", "\xc3\xa4"}) {
    CAPTURE(text);
    CHECK_FALSE(is_name(text));
  }
  CHECK(code_of([] { SegmentTable({shared_set("A")}); }) == ErrorCode::invalid);
}

TEST_CASE("256 segments are allowed, 257 are not") {
  std::vector<Segment> declared;
  const std::size_t room = segments_max - SegmentTable().all().size();
  for (std::size_t i = 0; i < room; ++i) declared.push_back(shared_set("s" + std::to_string(i)));
  CHECK(SegmentTable(declared).all().size() == segments_max);
  declared.push_back(shared_set("more"));
  CHECK(code_of([&] { SegmentTable{declared}; }) == ErrorCode::limit);
}

}  // namespace
}  // namespace loam
