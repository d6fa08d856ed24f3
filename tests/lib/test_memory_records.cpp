#include <doctest/doctest.h>

#include <set>

#include "tests/lib/opened.hpp"

namespace loam {
namespace {

using test::code_of;
using test::Instances;
using test::message_of;
using test::texts;

TEST_CASE("a record is read as it was remembered") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  NewRecord record;
  record.segment = "lessons-learned";
  record.text = "Retry 429 with jitter";
  record.title = "Retries";
  record.tags = {"retry", "http"};
  record.payload = {{"severity", "high"}, {"custom", Array{1, "two", Bytes{std::byte{3}}}}};
  record.thread_id = "thread-1";
  record.agent = "builder";
  record.source = "postmortem";
  record.confidence = Confidence{0.75, "seen twice"};
  record.expires_at_ms = 1'800'000'000'000;
  const Receipt receipt = memory.remember(record);
  CHECK(receipt.segment == "lessons_learned");
  CHECK(receipt.scope == Scope::shared);
  CHECK(receipt.target == TargetKind::shared_replica);
  CHECK(!receipt.existing);

  const auto found = memory.get(receipt.id);
  REQUIRE(found);
  CHECK(found->id == receipt.id);
  CHECK(found->segment == "lessons_learned");
  CHECK(found->type == "lesson");
  CHECK(found->text == record.text);
  CHECK(found->title == "Retries");
  CHECK(found->tags == std::vector<std::string>{"http", "retry"});
  CHECK(found->payload.at("custom") == record.payload.at("custom"));
  CHECK(found->authors == std::vector<std::string>{"alpha"});
  CHECK(found->support == 1);
  CHECK(found->created_ms == 1'700'000'000'000);
  CHECK(found->updated_ms == 1'700'000'000'000);
  CHECK(found->expires_at_ms == record.expires_at_ms);
  CHECK(found->thread_id == "thread-1");
  CHECK(found->confidence == record.confidence);
  CHECK(!found->retracted);
  CHECK(found->supersedes.empty());
  REQUIRE(found->provenance.size() == 1);
  CHECK(found->provenance[0].author == "alpha");
  CHECK(found->provenance[0].agent == "builder");
  CHECK(found->provenance[0].source == "postmortem");
}

TEST_CASE("a record survives closing, in every set segment") {
  const Instances instances;
  std::map<std::string, std::string> ids;
  const std::vector<std::string> segments{"lessons_learned", "org_patterns", "common_failures",
                                          "project_history", "task_traces"};
  {
    Memory memory = instances.open("alpha");
    for (const std::string& segment : segments) {
      const Receipt receipt = memory.remember({.segment = segment, .text = "in " + segment});
      CHECK((receipt.target == TargetKind::private_store) == (receipt.scope == Scope::priv));
      ids[segment] = receipt.id;
    }
  }
  const Memory memory = instances.open("alpha");
  for (const std::string& segment : segments) {
    INFO(segment);
    const auto found = memory.get(ids.at(segment));
    REQUIRE(found);
    CHECK(found->segment == segment);
    CHECK(found->text == "in " + segment);
  }
  CHECK(memory.status().segments.at("task_traces").records == 1);
  CHECK(memory.status().segments.at("org_patterns").records == 1);
}

TEST_CASE("the same content is one record; what its author said last counts") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  const Receipt first = memory.remember({.text = "once", .tags = {"a"}});
  *instances.clock.ms += 1'000;
  const Receipt second = memory.remember({.text = "once", .tags = {"b"}});
  CHECK(second.id == first.id);
  CHECK(second.existing);
  const auto found = memory.get(first.id);
  CHECK(found->tags == std::vector<std::string>{"b"});
  CHECK(found->support == 1);
  CHECK(found->provenance.size() == 1);
  CHECK(memory.status().segments.at("lessons_learned").records == 1);
}

TEST_CASE("two sessions of one instance are one author") {
  const Instances instances;
  Memory one = instances.open("alpha");
  Memory other = instances.open("alpha");
  const std::string id = one.remember({.text = "once"}).id;
  CHECK(other.remember({.text = "once"}).existing);
  CHECK(one.get(id)->support == 1);
  CHECK(one.get(id)->provenance.size() == 1);
}

TEST_CASE("the same content in another segment, or of another type, is another record") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  const std::string id = memory.remember({.text = "x"}).id;
  CHECK(memory.remember({.segment = "common_failures", .text = "x"}).id != id);
  CHECK(memory.remember({.type = "insight", .text = "x"}).id != id);
  // What happened privately happened twice.
  const NewRecord event{.segment = "project_history", .text = "x"};
  CHECK(memory.remember(event).id != memory.remember(event).id);
}

TEST_CASE("an id is accepted in either case and by a unique prefix of 6 characters") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  const std::string id = memory.remember({.text = "x"}).id;
  std::string upper = id;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  CHECK(memory.get(upper)->id == id);
  CHECK(memory.get(id.substr(0, 6))->id == id);
  CHECK(code_of([&] { memory.get(id.substr(0, 5)); }) == ErrorCode::invalid);
  CHECK(code_of([&] { memory.get(id + "0"); }) == ErrorCode::invalid);
  CHECK(code_of([&] { memory.get("not-an-id"); }) == ErrorCode::invalid);
  CHECK(!memory.get("777777"));
}

TEST_CASE("a prefix that fits two records is refused, naming both") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  // Ids of private records begin with their millisecond.
  const std::string one = memory.remember({.segment = "project_history", .text = "1"}).id;
  const std::string two = memory.remember({.segment = "task_traces", .text = "2"}).id;
  REQUIRE(one.substr(0, 8) == two.substr(0, 8));
  const std::string message = message_of([&] { memory.get(one.substr(0, 8)); });
  CHECK(message.find(one) != std::string::npos);
  CHECK(message.find(two) != std::string::npos);
  CHECK(memory.get(one)->text == "1");
}

TEST_CASE("a list has every record once, newest first, at every page size") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  std::vector<std::string> shared;
  std::vector<std::string> history;
  for (int i = 0; i < 23; ++i) {
    *instances.clock.ms += 1;
    const std::string segment = i % 3 == 0   ? "project_history"
                                : i % 2 == 0 ? "org_patterns"
                                             : "lessons_learned";
    const auto id = memory.remember({.segment = segment, .text = std::to_string(i)}).id;
    (segment == "project_history" ? history : shared).push_back(id);
  }
  std::vector<std::string> expected(shared.rbegin(), shared.rend());
  expected.insert(expected.end(), history.rbegin(), history.rend());
  for (std::size_t limit = 1; limit <= 24; ++limit) {
    INFO("limit ", limit);
    std::vector<std::string> found;
    ListQuery query{{}, limit, {}};
    while (true) {
      const RecordPage page = memory.list(query);
      CHECK(page.items.size() <= limit);
      for (const Record& record : page.items) found.push_back(record.id);
      if (!page.next) break;
      CHECK(page.items.size() == limit);
      query.cursor = *page.next;
    }
    CHECK(found == expected);
  }
  CHECK(memory.list({"project-history", 50, {}}).items.size() == history.size());
  CHECK(memory.list({"task_traces", 50, {}}).items.empty());
}

TEST_CASE("a listing goes on where it was while records come and go") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  std::vector<std::string> ids;
  for (int i = 0; i < 10; ++i) ids.push_back(memory.remember({.text = std::to_string(i)}).id);
  const RecordPage first = memory.list({"lessons_learned", 4, {}});
  memory.forget(ids[5]);
  memory.forget(ids[9]);
  memory.remember({.text = "new"});
  const RecordPage rest = memory.list({"lessons_learned", 50, *first.next});
  std::vector<std::string> found;
  for (const Record& record : rest.items) found.push_back(record.text);
  CHECK(found == std::vector<std::string>{"4", "3", "2", "1", "0"});
}

TEST_CASE("what is no cursor, and limits out of range, are refused") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  memory.remember({.text = "x"});
  for (const char* cursor : {"x", "s", "s0", "q0.1", "s0.x", "s0.1x", "p0.short", "sx.1"}) {
    INFO(cursor);
    CHECK(code_of([&] { memory.list({{}, 5, cursor}); }) == ErrorCode::invalid);
  }
  CHECK(code_of([&] { memory.list({{}, 0, {}}); }) == ErrorCode::limit);
  CHECK(code_of([&] { memory.list({{}, 10'001, {}}); }) == ErrorCode::limit);
  CHECK(memory.list({{}, 10'000, {}}).items.size() == 1);
  CHECK(code_of([&] { memory.list({"session_context", 5, {}}); }) == ErrorCode::invalid);
  CHECK(code_of([&] { memory.list({"nowhere", 5, {}}); }) == ErrorCode::unknown_segment);
}

TEST_CASE("a revision takes the place of its record and says which that was") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  for (const char* segment : {"lessons_learned", "project_history"}) {
    INFO(segment);
    const std::string old =
        memory.remember({.segment = segment, .text = "old", .tags = {"t"}, .thread_id = "th"}).id;
    const Receipt receipt = memory.revise(old, "new");
    CHECK(receipt.id != old);
    CHECK(receipt.segment == segment);
    CHECK(!memory.get(old));
    const auto found = memory.get(receipt.id);
    CHECK(found->text == "new");
    CHECK(found->tags == std::vector<std::string>{"t"});
    CHECK(found->thread_id == "th");
    CHECK(found->supersedes == std::vector<std::string>{old});
    CHECK(code_of([&] { memory.revise(old, "again"); }) == ErrorCode::not_found);
    CHECK(texts(memory, segment) == std::vector<std::string>{"new"});
  }
  CHECK(memory.status().segments.at("lessons_learned").records == 1);
  CHECK(memory.status().segments.at("project_history").records == 1);
}

TEST_CASE("a revision to a text that is there joins it, to its own text changes nothing") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  const std::string one = memory.remember({.text = "one"}).id;
  const std::string two = memory.remember({.text = "two"}).id;
  const Receipt joined = memory.revise(one, "two");
  CHECK(joined.id == two);
  CHECK(joined.existing);
  CHECK(texts(memory) == std::vector<std::string>{"two"});
  CHECK(memory.get(two)->supersedes == std::vector<std::string>{one});
  const Receipt same = memory.revise(two, "two");
  CHECK(same.id == two);
  CHECK(same.existing);
  CHECK(memory.get(two)->support == 1);
}

TEST_CASE("a forgotten record is gone, also after closing, and may be learnt again") {
  const Instances instances;
  std::string id;
  {
    Memory memory = instances.open("alpha");
    id = memory.remember({.text = "x"}).id;
    const std::string history = memory.remember({.segment = "project_history", .text = "y"}).id;
    CHECK(memory.forget(history).scope == Scope::priv);
    CHECK(memory.forget(id.substr(0, 8)).id == id);
    CHECK(code_of([&] { memory.forget(id); }) == ErrorCode::not_found);
    CHECK(code_of([&] { memory.forget(history); }) == ErrorCode::not_found);
  }
  Memory memory = instances.open("alpha");
  CHECK(!memory.get(id));
  CHECK(texts(memory).empty());
  const Receipt again = memory.remember({.text = "x"});
  CHECK(again.id == id);
  CHECK(!again.existing);
  CHECK(memory.status().segments.at("lessons_learned").records == 1);
  CHECK(memory.status().segments.at("project_history").records == 0);
  CHECK(memory.status().segments.at("project_history").bytes == 0);
}

TEST_CASE("several records are forgotten together, or none when one is not there") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  const std::string one = memory.remember({.text = "1"}).id;
  const std::string two = memory.remember({.segment = "task_traces", .text = "2"}).id;
  const std::vector<std::string> with_missing{one, two, "77777777"};
  CHECK(code_of([&] { memory.forget(with_missing); }) == ErrorCode::not_found);
  CHECK(texts(memory).size() == 2);
  const std::vector<std::string> both{one, two, one};
  CHECK(memory.forget(both).size() == 3);
  CHECK(texts(memory).empty());
}

TEST_CASE("records and entries are not mixed up, and unknown segments are errors") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  CHECK(code_of([&] { memory.remember({.segment = "session_context", .text = "x"}); }) ==
        ErrorCode::invalid);
  CHECK(code_of([&] { memory.put("lessons_learned", "key", 1); }) == ErrorCode::invalid);
  CHECK(code_of([&] { memory.remember({.segment = "lessons", .text = "x"}); }) ==
        ErrorCode::unknown_segment);
  CHECK(code_of([&] { memory.remember({.segment = "lessons_learned"}); }) == ErrorCode::invalid);
  CHECK(texts(memory).empty());
}

TEST_CASE("typed records get the fields they need from the title, then the text") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  const auto pattern =
      memory.get(memory.remember({.segment = "org_patterns", .text = "t", .title = "n"}).id);
  CHECK(pattern->payload.at("name") == Value("n"));
  const auto failure =
      memory.get(memory.remember({.segment = "common_failures", .text = "boom"}).id);
  CHECK(failure->payload.at("error_signature") == Value("boom"));
  CHECK(failure->type == "failure");
}

}  // namespace
}  // namespace loam
