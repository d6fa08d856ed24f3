#include <doctest/doctest.h>

#include <limits>

#include "crdt/record.hpp"
#include "tests/lib/opened.hpp"

namespace loam {
namespace {

using test::code_of;
using test::Instances;

const std::vector<std::string> map_segments{"governance_meta", "session_context"};

std::vector<std::string> all_keys(const Memory& memory, const std::string& segment,
                                  std::size_t limit = 1'000) {
  std::vector<std::string> keys;
  std::string cursor;
  while (true) {
    const KeyPage page = memory.keys(segment, cursor, limit);
    CHECK(page.items.size() <= limit);
    keys.insert(keys.end(), page.items.begin(), page.items.end());
    if (!page.next) return keys;
    CHECK(page.items.size() == limit);
    cursor = *page.next;
  }
}

TEST_CASE("a value of every kind is read as it was put, also after closing") {
  const Instances instances;
  const std::map<std::string, Value> values{{"nil", nullptr},
                                            {"yes", true},
                                            {"small", -1},
                                            {"large", std::uint64_t{0} - 1},
                                            {"real", 0.5},
                                            {"text", "é\n"},
                                            {"empty", ""},
                                            {"octets", Bytes(3)},
                                            {"array", Array{1, Array{}, Map{}}},
                                            {"map", Map{{"a", Map{{"b", 1}}}}}};
  {
    Memory memory = instances.open("alpha");
    for (const std::string& segment : map_segments) {
      for (const auto& [key, value] : values) {
        const Receipt receipt = memory.put(segment, key, value);
        CHECK(receipt.id == key);
        CHECK(receipt.segment == segment);
        CHECK(!receipt.existing);
      }
    }
  }
  const Memory memory = instances.open("alpha");
  for (const std::string& segment : map_segments) {
    CHECK(all_keys(memory, segment).size() == values.size());
    CHECK(memory.status().segments.at(segment).records == values.size());
    for (const auto& put : values) {
      INFO(segment, " ", put.first);
      const auto entry = memory.value(segment, put.first);
      REQUIRE(entry);
      CHECK(entry->value == put.second);
      CHECK(entry->author == "alpha");
      CHECK(entry->at_ms == 1'700'000'000'000);
      CHECK(memory.siblings(segment, put.first).empty());
    }
  }
}

TEST_CASE("the last value counts, even when the clock has gone back") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  for (const std::string& segment : map_segments) {
    memory.put(segment, "key", 1);
    *instances.clock.ms -= 1'000'000;
    CHECK(memory.put(segment, "key", 2).existing);
    CHECK(memory.value(segment, "key")->value == Value(2));
    CHECK(memory.siblings(segment, "key").empty());
    // Of a governed segment every assignment is kept.
    const bool is_governed = memory.segments().find(segment).governed;
    CHECK(memory.status().segments.at(segment).records == (is_governed ? 2 : 1));
  }
}

TEST_CASE("an erased key has no value, cannot be erased again, and can be put again") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  for (const std::string& segment : map_segments) {
    INFO(segment);
    CHECK(code_of([&] { memory.erase(segment, "key"); }) == ErrorCode::not_found);
    memory.put(segment, "key", 1);
    CHECK(memory.erase(segment, "key").existing);
    CHECK(!memory.value(segment, "key"));
    CHECK(all_keys(memory, segment).empty());
    CHECK(code_of([&] { memory.erase(segment, "key"); }) == ErrorCode::not_found);
    CHECK(!memory.put(segment, "key", 2).existing);
    CHECK(memory.value(segment, "key")->value == Value(2));
  }
}

TEST_CASE("keys come in order of their octets, page by page, when one is a prefix of another") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  std::vector<std::string> keys{
      "a",  "ab",  "abc", "a b", "a/b", "a\xc3\xa9",       "b", "ba", "~", "é", "0",
      "00", "000", "aa",  "zz",  "Z",   "\xf4\x8f\xbf\xbf"};
  for (const std::string& segment : map_segments) {
    for (const std::string& key : keys) memory.put(segment, key, 1);
    for (const char* gone : {"x", "a!", "ab!", "zzz"}) {
      memory.put(segment, gone, 1);
      memory.erase(segment, gone);
    }
    std::sort(keys.begin(), keys.end());
    for (std::size_t limit = 1; limit <= keys.size() + 1; ++limit) {
      INFO(segment, " limit ", limit);
      CHECK(all_keys(memory, segment, limit) == keys);
    }
    // From a place where no key is.
    CHECK(memory.keys(segment, "abb", 2).items == std::vector<std::string>{"abc", "a\xc3\xa9"});
    CHECK(memory.keys(segment, keys.back(), 2).items.empty());
  }
}

TEST_CASE("keys of one segment are not those of another") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  memory.put("approval_rules", "rule", Map{{"effect", "deny"}});
  memory.put("instance_config", "setting", 1);
  for (const std::string& segment : map_segments) {
    CHECK(all_keys(memory, segment).empty());
    CHECK(!memory.value(segment, "rule"));
    CHECK(!memory.value(segment, "setting"));
  }
}

TEST_CASE("a key is 1 to 400 octets of UTF-8 without control characters") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  const std::string longest(key_octets_max, 'k');
  for (const std::string& segment : map_segments) {
    memory.put(segment, longest, 1);
    CHECK(memory.value(segment, longest)->value == Value(1));
    CHECK(memory.keys(segment).items == std::vector<std::string>{longest});
    CHECK(memory.keys(segment, longest).items.empty());
    const std::string longer = longest + "k";
    CHECK(code_of([&] { memory.put(segment, longer, 1); }) == ErrorCode::limit);
    CHECK(code_of([&] { memory.value(segment, longer); }) == ErrorCode::limit);
    for (const std::string& bad : {std::string(), std::string("a\nb"), std::string(1, '\0'),
                                   std::string("\x7f"), std::string("\xc3")}) {
      INFO(segment, " ", bad.size());
      CHECK(code_of([&] { memory.put(segment, bad, 1); }) == ErrorCode::invalid);
      CHECK(code_of([&] { memory.value(segment, bad); }) == ErrorCode::invalid);
    }
  }
}

TEST_CASE("a value fits up to its limit and not beyond, and the longest key still fits beside it") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  constexpr std::size_t header = 5;  // of an octet string of that size
  const std::size_t largest = record_octets_max - key_octets_max - 32 - header;
  const std::string key(key_octets_max, 'k');
  for (const std::string& segment : map_segments) {
    // Beside a value of governance_meta stands which assignments it takes the place of: at first none, then one.
    const std::size_t beside = segment == "governance_meta" ? 72 : 0;
    const std::size_t fits = largest - beside;
    memory.put(segment, key, Bytes(fits));
    memory.put(segment, key, Bytes(fits));
    CHECK(memory.value(segment, key)->value == Value(Bytes(fits)));
    CHECK(code_of([&] { memory.put(segment, key, Bytes(fits + 50)); }) == ErrorCode::limit);
    CHECK(memory.value(segment, key)->value == Value(Bytes(fits)));
  }
}

TEST_CASE("what canonical msgpack cannot hold is refused") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  Value deep(1);
  for (int i = 0; i < 20; ++i) deep = Array{deep};
  for (const std::string& segment : map_segments) {
    CHECK(code_of([&] { memory.put(segment, "k", std::numeric_limits<double>::quiet_NaN()); }) ==
          ErrorCode::invalid);
    CHECK(code_of([&] { memory.put(segment, "k", "\xff"); }) == ErrorCode::invalid);
    CHECK(code_of([&] { memory.put(segment, "k", deep); }) == ErrorCode::limit);
    CHECK(!memory.value(segment, "k"));
  }
}

TEST_CASE("limits of a page of keys") {
  const Instances instances;
  const Memory memory = instances.open("alpha");
  CHECK(code_of([&] { memory.keys("session_context", "", 0); }) == ErrorCode::limit);
  CHECK(code_of([&] { memory.keys("session_context", "", 10'001); }) == ErrorCode::limit);
  CHECK(memory.keys("session_context", "", 10'000).items.empty());
  CHECK(code_of([&] { memory.keys("lessons_learned"); }) == ErrorCode::invalid);
}

TEST_CASE("concurrent values are siblings on both sides until one is put that has seen them") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  alpha.put("governance_meta", "owner", "ops");
  *instances.clock.ms += 10;
  beta.put("governance_meta", "owner", "dev");
  const std::string endpoint = test::listen(alpha);
  REQUIRE(test::sync(beta, endpoint).converged);
  for (const Memory* memory : {&alpha, &beta}) {
    const auto winner = memory->value("governance_meta", "owner");
    CHECK(winner->value == Value("dev"));  // the later stamp
    CHECK(winner->author == "beta");
    const auto siblings = memory->siblings("governance_meta", "owner");
    REQUIRE(siblings.size() == 1);
    CHECK(siblings[0].value == Value("ops"));
    CHECK(siblings[0].author == "alpha");
    CHECK(all_keys(*memory, "governance_meta") == std::vector<std::string>{"owner"});
  }
  alpha.put("governance_meta", "owner", "both");
  REQUIRE(test::sync(beta, endpoint).converged);
  CHECK(beta.siblings("governance_meta", "owner").empty());
  CHECK(beta.value("governance_meta", "owner")->value == Value("both"));
}

TEST_CASE("erasing competes like any other value") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  alpha.put("governance_meta", "owner", "ops");
  const std::string endpoint = test::listen(alpha);
  REQUIRE(test::sync(beta, endpoint).converged);
  alpha.put("governance_meta", "owner", "kept");
  *instances.clock.ms += 10;
  beta.erase("governance_meta", "owner");
  REQUIRE(test::sync(beta, endpoint).converged);
  for (const Memory* memory : {&alpha, &beta}) {
    CHECK(!memory->value("governance_meta", "owner"));  // erased later
    const auto siblings = memory->siblings("governance_meta", "owner");
    REQUIRE(siblings.size() == 1);
    CHECK(siblings[0].value == Value("kept"));
    CHECK(all_keys(*memory, "governance_meta").empty());
  }
}

}  // namespace
}  // namespace loam
