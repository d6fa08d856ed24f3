#include <doctest/doctest.h>

#include "tests/lib/opened.hpp"

namespace loam {
namespace {

using test::code_of;
using test::Instances;

std::vector<std::string> found(const Memory& memory, const RecallQuery& query) {
  std::vector<std::string> texts;
  for (const Hit& hit : memory.recall(query).items) texts.push_back(hit.record.text);
  return texts;
}

using Texts = std::vector<std::string>;

TEST_CASE("a record is found by the words of its text, title, payload and tags") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  memory.remember({.text = "Retry with jitter", .title = "Backoff", .tags = {"http"}});
  memory.remember({.text = "Pin the toolchain", .payload = {{"steps", Array{"update lockfile"}}}});
  for (const char* query : {"jitter", "JITTER", "backoff", "http", "retry?", "nothing jitter"}) {
    INFO(query);
    CHECK(found(memory, {.text = query}) == Texts{"Retry with jitter"});
  }
  CHECK(found(memory, {.text = "lockfile"}) == Texts{"Pin the toolchain"});
  CHECK(found(memory, {.text = "absent"}).empty());
  CHECK(found(memory, {.text = "jit"}).empty());
}

TEST_CASE("the record that says more of the words comes first, rare words count more") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  memory.remember({.text = "cache cache invalidation"});
  memory.remember({.text = "cache"});
  memory.remember({.text = "naming"});
  CHECK(found(memory, {.text = "cache invalidation"}) ==
        Texts{"cache cache invalidation", "cache"});
  CHECK(found(memory, {.text = "cache naming"}).front() == "naming");
}

TEST_CASE("why a record was found is told when asked for") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  memory.remember({.text = "alpha beta"});
  const auto plain = memory.recall({.text = "alpha beta gamma"});
  const auto explained = memory.recall({.text = "alpha beta gamma", .explain = true});
  CHECK(plain.items.at(0).why.empty());
  const Map& why = explained.items.at(0).why;
  REQUIRE(why.size() == 2);
  const double sum = *why.at("alpha").get<double>() + *why.at("beta").get<double>();
  CHECK(sum == doctest::Approx(explained.items[0].score));
}

TEST_CASE("without words everything that passes the filters comes, newest first") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  for (const char* text : {"first", "second", "third"}) {
    *instances.clock.ms += 1;
    memory.remember({.segment = text[0] == 's' ? "task_traces" : "lessons_learned", .text = text});
  }
  CHECK(found(memory, {}) == Texts{"third", "second", "first"});
  CHECK(found(memory, {.text = " ?! "}) == Texts{"third", "second", "first"});
}

TEST_CASE("segments, tags, author and time narrow a search") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  const std::int64_t start = *instances.clock.ms;
  memory.remember({.text = "word one", .tags = {"a"}});
  *instances.clock.ms = start + 10;
  memory.remember({.segment = "org_patterns", .text = "word two", .tags = {"a", "b"}});
  *instances.clock.ms = start + 20;
  memory.remember({.segment = "project_history", .text = "word three", .tags = {"b"}});

  CHECK(found(memory, {.text = "word"}).size() == 3);
  CHECK(found(memory, {.text = "word", .segments = {"org-patterns"}}) == Texts{"word two"});
  CHECK(found(memory, {.text = "word", .segments = {"org_patterns", "org_patterns"}}).size() == 1);
  CHECK(found(memory, {.segments = {"project_history", "lessons_learned"}}) ==
        Texts{"word three", "word one"});
  CHECK(found(memory, {.tags = {"a"}}) == Texts{"word two", "word one"});
  CHECK(found(memory, {.tags = {"a", "b"}}) == Texts{"word two"});
  CHECK(found(memory, {.tags = {"c"}}).empty());
  CHECK(found(memory, {.author = "alpha"}).size() == 3);
  CHECK(found(memory, {.author = "beta"}).empty());
  CHECK(found(memory, {.since_ms = start + 10}) == Texts{"word three", "word two"});
  CHECK(found(memory, {.until_ms = start + 10}) == Texts{"word two", "word one"});
  CHECK(found(memory, {.since_ms = start + 10, .until_ms = start + 10}) == Texts{"word two"});
  CHECK(found(memory, {.since_ms = start + 21}).empty());
}

TEST_CASE("an expired record is not recalled, but it is there") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  const std::int64_t end = *instances.clock.ms + 100;
  for (const char* segment : {"lessons_learned", "project_history"}) {
    memory.remember({.segment = segment, .text = "short-lived", .expires_at_ms = end});
    memory.remember({.segment = segment, .text = "for ever"});
  }
  *instances.clock.ms = end - 1;
  CHECK(found(memory, {.text = "short"}).size() == 2);
  *instances.clock.ms = end;
  CHECK(found(memory, {.text = "short"}).empty());
  CHECK(found(memory, {}) == Texts{"for ever", "for ever"});
  CHECK(test::texts(memory).size() == 4);
}

TEST_CASE("pages of a search are together the whole answer, each record once") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  for (int i = 0; i < 17; ++i) {
    memory.remember({.text = "word number" + std::to_string(i % 4) + " " + std::to_string(i)});
  }
  const Texts whole = found(memory, {.text = "word number1", .limit = 1'000});
  REQUIRE(whole.size() == 17);
  for (std::size_t limit = 1; limit <= 18; ++limit) {
    INFO("limit ", limit);
    Texts pages;
    RecallQuery query{.text = "word number1", .limit = limit};
    while (true) {
      const RecallResult page = memory.recall(query);
      for (const Hit& hit : page.items) pages.push_back(hit.record.text);
      if (!page.next) break;
      CHECK(page.items.size() == limit);
      query.offset = std::stoul(*page.next);
    }
    CHECK(pages == whole);
  }
}

TEST_CASE("a removed or revised record is not found any more") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  const std::string one = memory.remember({.text = "word one"}).id;
  const std::string two = memory.remember({.segment = "task_traces", .text = "word two"}).id;
  memory.revise(one, "other one");
  memory.forget(two);
  CHECK(found(memory, {.text = "word"}).empty());
  CHECK(found(memory, {.text = "other"}) == Texts{"other one"});
}

TEST_CASE("an alone instance covers everything") {
  const Instances instances;
  const Memory memory = instances.open("alpha");
  const Coverage coverage = memory.recall({}).coverage;
  CHECK(coverage.peers_total == 0);
  CHECK(!coverage.partial);
  CHECK(coverage.unreachable.empty());
}

TEST_CASE("a search is refused beyond each of its limits, and not at them") {
  const Instances instances;
  const Memory memory = instances.open("alpha");
  const auto code = [&](const RecallQuery& query) {
    const auto error = test::error_of([&] { memory.recall(query); });
    return error ? std::optional(error->code()) : std::nullopt;
  };
  CHECK(!code({.limit = 1'000}));
  CHECK(code({.limit = 1'001}) == ErrorCode::limit);
  CHECK(code({.limit = 0}) == ErrorCode::invalid);
  CHECK(!code({.offset = 100'000}));
  CHECK(code({.offset = 100'001}) == ErrorCode::limit);
  CHECK(!code({.text = std::string(64 << 10, 'x')}));
  CHECK(code({.text = std::string((64 << 10) + 1, 'x')}) == ErrorCode::limit);
  CHECK(code({.segments = {"session_context"}}) == ErrorCode::invalid);
  CHECK(code({.segments = {"nowhere"}}) == ErrorCode::unknown_segment);
}

}  // namespace
}  // namespace loam
