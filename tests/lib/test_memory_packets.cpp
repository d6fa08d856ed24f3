#include <doctest/doctest.h>

#include "crdt/record.hpp"
#include "tests/lib/opened.hpp"

namespace loam {
namespace {

using test::code_of;
using test::Instances;
using test::message_of;
using test::texts;

PacketId packet_id(unsigned number) {
  PacketId id;
  id.bytes.fill(static_cast<std::byte>(number));
  return id;
}

PacketEnvelope packet(const std::string& segment, const std::string& text,
                      std::optional<PacketId> id = {}) {
  PacketEnvelope made;
  made.packet_id = id;
  made.packet_type = "event";
  made.segment = segment;
  made.payload = {{"text", text}};
  return made;
}

PacketEnvelope entry(const std::string& segment, const std::string& key, const Value& value,
                     std::optional<PacketId> id = {}) {
  PacketEnvelope made = packet(segment, "", id);
  made.payload = {{"key", key}, {"value", value}};
  return made;
}

TEST_CASE("a packet goes where the executor's rule says, whole") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  PacketEnvelope sent;
  sent.packet_type = "lesson";
  sent.payload = {{"text", "t"}, {"unknown", Map{{"kept", true}}}};
  sent.timestamp_ms = 1'600'000'000'000;
  sent.metadata = {{"agent", "a1"}, {"domain", "build"}};
  sent.provenance = {"parent", "source", "other-agent", "tool"};
  sent.lineage = {{"p1"}, "summary", 2};
  sent.tags = {"x"};
  const Receipt receipt = memory.write(sent);
  CHECK(receipt.segment == "lessons_learned");
  const auto record = memory.get(receipt.id);
  CHECK(record->payload == sent.payload);
  CHECK(record->metadata == sent.metadata);
  CHECK(record->created_ms == sent.timestamp_ms);
  CHECK(record->updated_ms == 1'700'000'000'000);
  CHECK(record->provenance.at(0).at_ms == sent.timestamp_ms);
  sent.packet_type = "anything";
  CHECK(memory.write(sent).segment == "project_history");
  sent.thread_id = "t";
  CHECK(memory.write(sent).segment == "task_traces");
  sent.shared = true;
  CHECK(code_of([&] { memory.write(sent); }) == ErrorCode::invalid);
}

TEST_CASE("a repeated packet id is a retry, in every kind of segment and across a restart") {
  const Instances instances;
  const std::vector<PacketEnvelope> packets{packet("lessons_learned", "shared", packet_id(1)),
                                            packet("project_history", "private", packet_id(2)),
                                            entry("governance_meta", "k", "shared", packet_id(3)),
                                            entry("session_context", "k", "private", packet_id(4))};
  std::vector<Receipt> first;
  {
    Memory memory = instances.open("alpha");
    first = memory.write(packets);
    for (std::size_t i = 0; i < packets.size(); ++i) {
      INFO(packets[i].segment);
      CHECK(!first[i].existing);
      const Receipt again = memory.write(packets[i]);
      CHECK(again.existing);
      CHECK(again.id == first[i].id);
    }
  }
  Memory memory = instances.open("alpha");
  const auto later = memory.write(packets);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    CHECK(later[i].existing);
    CHECK(later[i].id == first[i].id);
  }
  CHECK(texts(memory) == std::vector<std::string>{"private", "shared"});
}

TEST_CASE("a late retry neither overrules what was put since nor brings back what was removed") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  unsigned number = 0;
  for (const std::string segment : {"governance_meta", "session_context"}) {
    INFO(segment);
    const PacketEnvelope sent = entry(segment, "k", "old", packet_id(++number));
    memory.write(sent);
    memory.put(segment, "k", "new");
    CHECK(memory.write(sent).existing);
    CHECK(memory.value(segment, "k")->value == Value("new"));
    memory.erase(segment, "k");
    CHECK(memory.write(sent).existing);
    CHECK(!memory.value(segment, "k"));
  }
  for (const std::string segment : {"lessons_learned", "project_history", "task_traces"}) {
    INFO(segment);
    const PacketEnvelope sent = packet(segment, "gone", packet_id(++number));
    const std::string id = memory.write(sent).id;
    memory.forget(id);
    const Receipt retry = memory.write(sent);
    CHECK(retry.existing);
    CHECK(retry.id == id);
    CHECK(!memory.get(id));
  }
}

TEST_CASE("one packet id twice in one write is one packet") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  const std::vector<PacketEnvelope> packets{packet("project_history", "one", packet_id(1)),
                                            packet("project_history", "two", packet_id(1)),
                                            packet("lessons_learned", "three", packet_id(2)),
                                            packet("lessons_learned", "four", packet_id(2))};
  const auto receipts = memory.write(packets);
  CHECK(!receipts[0].existing);
  CHECK(receipts[1].existing);
  CHECK(receipts[1].id == receipts[0].id);
  CHECK(receipts[3].existing);
  CHECK(receipts[3].id == receipts[2].id);
  CHECK(texts(memory) == std::vector<std::string>{"one", "three"});
}

TEST_CASE("of several packets one bad one keeps all out, and is named") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  std::vector<PacketEnvelope> packets{
      packet("lessons_learned", "a"), packet("project_history", "b"),
      entry("session_context", "k", 1), packet("lessons_learned", "c")};
  packets[3].tags = {""};
  const std::string message = message_of([&] { memory.write(packets); });
  CHECK(message.find("packet 3") != std::string::npos);
  CHECK(code_of([&] { memory.write_async(packets); }) == ErrorCode::invalid);
  CHECK(texts(memory).empty());
  CHECK(!memory.value("session_context", "k"));
  packets[3].tags = {};
  const auto receipts = memory.write(packets);
  REQUIRE(receipts.size() == 4);
  CHECK(receipts[0].segment == "lessons_learned");
  CHECK(receipts[1].segment == "project_history");
  CHECK(receipts[2].id == "k");
  CHECK(memory.get(receipts[3].id)->text == "c");
}

TEST_CASE("no packets are no receipts") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  CHECK(memory.write(std::vector<PacketEnvelope>{}).empty());
  CHECK(memory.write_async(std::vector<PacketEnvelope>{}).get().empty());
}

TEST_CASE("an asynchronous write is durable when its future is ready, also while closing") {
  const Instances instances;
  std::vector<std::future<Receipt>> futures;
  std::future<std::vector<Receipt>> several;
  {
    Memory memory = instances.open("alpha");
    for (int i = 0; i < 200; ++i) {
      const char* segment = i % 2 == 0 ? "lessons_learned" : "project_history";
      futures.push_back(memory.write_async(packet(segment, std::to_string(i))));
    }
    several = memory.write_async(
        std::vector<PacketEnvelope>{packet("lessons_learned", "x"), packet("task_traces", "y")});
  }
  const Memory memory = instances.open("alpha");
  for (std::size_t i = 0; i < futures.size(); ++i) {
    CHECK(memory.get(futures[i].get().id)->text == std::to_string(i));
  }
  CHECK(several.get().size() == 2);
  CHECK(texts(memory).size() == 202);
}

// ---------------------------------------------------------------- limits

std::string repeated(const std::string& character, std::size_t times) {
  std::string text;
  for (; times > 0; --times) text += character;
  return text;
}

TEST_CASE("texts and tags fit up to their limits, of whatever octets, and not beyond") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  for (const std::string& character : {std::string("x"), std::string("\xf0\x9f\xa6\x80")}) {
    NewRecord record{.text = repeated(character, text_characters_max)};
    for (std::size_t i = 0; i < tags_max; ++i) {
      record.tags.push_back(repeated(character, tag_characters_max - 2) + std::to_string(10 + i));
    }
    if (character.size() > 1) record.tags.resize(16);  // 256 KiB for all of it
    const auto found = memory.get(memory.remember(record).id);
    CHECK(found->text == record.text);
    CHECK(found->tags == record.tags);
    NewRecord longer = record;
    longer.text += character;
    CHECK(code_of([&] { memory.remember(longer); }) == ErrorCode::limit);
    longer = record;
    longer.tags.front() += character;
    CHECK(code_of([&] { memory.remember(longer); }) == ErrorCode::limit);
  }
  NewRecord many{.text = "x"};
  for (std::size_t i = 0; i <= tags_max; ++i) many.tags.push_back(std::to_string(i));
  const std::string message = message_of([&] { memory.remember(many); });
  CHECK(message.find("tags") != std::string::npos);
  CHECK(message.find("65") != std::string::npos);
  CHECK(message.find("64") != std::string::npos);
}

TEST_CASE("a record fits up to 256 KiB and not an octet beyond, in both environments") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  for (const std::string segment : {"lessons_learned", "project_history"}) {
    INFO(segment);
    const auto sized = [&](std::size_t size) {
      PacketEnvelope made = packet(segment, "t");
      made.payload["blob"] = Bytes(size);
      return made;
    };
    std::size_t fits = 0;
    std::size_t beyond = record_octets_max;
    while (beyond - fits > 1) {
      const std::size_t middle = (fits + beyond) / 2;
      const auto error = test::error_of([&] { memory.write(sized(middle)); });
      if (error) REQUIRE(error->code() == ErrorCode::limit);
      (error ? beyond : fits) = middle;
    }
    CHECK(record_octets_max - fits < 128);
    const auto found = memory.get(memory.write(sized(fits)).id);
    CHECK(*found->payload.at("blob").get<Bytes>() == Bytes(fits));
  }
}

TEST_CASE("what a payload may hold at most is stored and read back") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  PacketEnvelope deep = packet("lessons_learned", "deep");
  Value nested(1);
  for (std::size_t i = 1; i < payload_depth_max; ++i) nested = Array{nested};
  deep.payload["nested"] = nested;
  CHECK(memory.get(memory.write(deep).id)->payload == deep.payload);
  deep.payload["nested"] = Array{nested};
  CHECK(code_of([&] { memory.write(deep); }) == ErrorCode::limit);

  PacketEnvelope wide = packet("lessons_learned", "wide");
  wide.payload["wide"] = Array(payload_container_max, Value(1));
  CHECK(memory.get(memory.write(wide).id)->payload == wide.payload);
  wide.payload["wide"] = Array(payload_container_max + 1, Value(1));
  CHECK(code_of([&] { memory.write(wide); }) == ErrorCode::limit);

  PacketEnvelope full = packet("lessons_learned", "full");
  for (int i = 0; i < 7; ++i) {
    full.payload["list" + std::to_string(i)] = Array(payload_container_max, Value(1));
    full.metadata["list" + std::to_string(i)] = Array(payload_container_max, Value(1));
  }
  full.payload["rest"] = Array(payload_container_max - 9 - 7, Value(1));
  const auto read = memory.get(memory.write(full).id);
  CHECK(read->payload == full.payload);
  CHECK(read->metadata == full.metadata);
}

TEST_CASE("a thread id fits up to 400 octets") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  const std::string longest(thread_id_octets_max, 't');
  CHECK(memory.get(memory.remember({.text = "x", .thread_id = longest}).id)->thread_id == longest);
  CHECK(code_of([&] { memory.remember({.text = "x", .thread_id = longest + "t"}); }) ==
        ErrorCode::limit);
}

}  // namespace
}  // namespace loam
