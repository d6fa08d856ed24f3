#include <doctest/doctest.h>

#include <limits>

#include "lib/packet.hpp"
#include "tests/lib/scratch.hpp"

namespace loam {
namespace {

using test::code_of;
using test::message_of;

const Segment set_segment{"lessons_learned", Scope::shared, Kind::set, false};
const Segment map_segment{"session_context", Scope::priv, Kind::map, false};

PacketEnvelope event(Map payload = {}) {
  return {.packet_type = "event", .payload = std::move(payload)};
}

PacketEnvelope typed(std::string type, Map payload) {
  return {.packet_type = std::move(type), .payload = std::move(payload)};
}

std::string segment_name_of(const PacketEnvelope& packet) {
  return segment_of(packet, SegmentTable()).name;
}

// What check_packet says; empty when it is content.
std::string refusal(const PacketEnvelope& packet, const Segment& segment = set_segment) {
  const auto error = test::error_of([&] { check_packet(packet, segment); });
  return error ? error->what() : "";
}

std::string repeated(const char* text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

Value nested(std::size_t depth) {
  Value value(1);
  for (std::size_t i = 0; i < depth; ++i) value = Array{value};
  return value;
}

// --- the executor's rule ---------------------------------------------------------------------

TEST_CASE("the type of a packet decides its segment") {
  const auto of = [](const char* type) { return segment_name_of(typed(type, {})); };
  CHECK(of("lesson") == "lessons_learned");
  CHECK(of("pattern") == "org_patterns");
  CHECK(of("failure") == "common_failures");
  CHECK(of("approval_rule") == "approval_rules");
  CHECK(of("governance_meta") == "governance_meta");
  CHECK(of("memory_session_context") == "session_context");
  CHECK(of("memory_task_traces") == "task_traces");
}

TEST_CASE("everything else is private: a trace with a thread id, else history") {
  for (const char* type : {"event", "insight", "memory_write", "lessons", "Lesson", "memory", ""}) {
    CAPTURE(type);
    PacketEnvelope packet = typed(type, {});
    CHECK(segment_name_of(packet) == "project_history");
    packet.thread_id = "t1";
    CHECK(segment_name_of(packet) == "task_traces");
  }
}

TEST_CASE("the packet's own segment wins over its type, with hyphens too") {
  PacketEnvelope packet = typed("lesson", {});
  packet.segment = "org-patterns";
  CHECK(segment_name_of(packet) == "org_patterns");
}

TEST_CASE("a segment that is not declared is an error, never a default") {
  PacketEnvelope packet = event();
  packet.segment = "lesons_learned";
  CHECK(code_of([&] { segment_name_of(packet); }) == ErrorCode::unknown_segment);
  CHECK(code_of([&] { segment_name_of(typed("memory_nothing", {})); }) ==
        ErrorCode::unknown_segment);
  CHECK(code_of([&] { segment_name_of(typed("memory_", {})); }) == ErrorCode::unknown_segment);
}

TEST_CASE("shared, if given, must agree with the segment") {
  PacketEnvelope packet = event();
  packet.shared = true;
  CHECK(message_of([&] { segment_name_of(packet); }) ==
        "invalid: packet: shared is true but segment project_history is private");
  packet.shared = false;
  CHECK(segment_name_of(packet) == "project_history");
  packet.packet_type = "lesson";
  CHECK(message_of([&] { segment_name_of(packet); }) ==
        "invalid: packet: shared is false but segment lessons_learned is shared");
  packet.shared = true;
  CHECK(segment_name_of(packet) == "lessons_learned");
}

// --- check_packet ----------------------------------------------------------------------------

TEST_CASE("a packet with a type alone is content") { CHECK(refusal(event()) == ""); }

TEST_CASE("the type is 1 to 64 of a-z, 0-9 and underscore") {
  CHECK(refusal(typed("", {})) == "invalid: field packet_type: missing");
  CHECK(refusal(typed(std::string(64, 'a'), {})) == "");
  CHECK(refusal(typed(std::string(65, 'a'), {})) ==
        "limit: field packet_type: 65 octets, limit 64");
  for (const char* type : {"Event", "an event", "a-b", "\xc3\xa4"}) {
    CAPTURE(type);
    CHECK(refusal(typed(type, {})) ==
          "invalid: field packet_type: only a-z, 0-9 and _ are allowed");
  }
}

TEST_CASE("a text has up to 64,000 characters, however many octets they are") {
  CHECK(refusal(event({{"text", std::string(64'000, 'a')}})) == "");
  CHECK(refusal(event({{"text", std::string(64'001, 'a')}})) ==
        "limit: field text: 64001 characters, limit 64000");
  CHECK(refusal(event({{"text", repeated("\xc3\xa4", 64'000)}})) == "");
  CHECK(refusal(event({{"text", repeated("\xc3\xa4", 64'001)}})) ==
        "limit: field text: 64001 characters, limit 64000");
  CHECK(refusal(event({{"a", Map{{"b", Array{1, std::string(64'001, 'a')}}}}})) ==
        "limit: field a.b[1]: 64001 characters, limit 64000");
  PacketEnvelope packet = event();
  packet.metadata = {{"agent", std::string(64'001, 'a')}};
  CHECK(refusal(packet) == "limit: field metadata.agent: 64001 characters, limit 64000");
}

TEST_CASE("up to 64 tags of up to 64 characters, none empty") {
  PacketEnvelope packet = event();
  packet.tags.assign(64, repeated("\xe2\x82\xac", 64));
  CHECK(refusal(packet) == "");
  packet.tags.push_back("x");
  CHECK(refusal(packet) == "limit: field tags: 65 tags, limit 64");
  packet.tags = {"x", std::string(65, 'a')};
  CHECK(refusal(packet) == "limit: field tags[1]: 65 characters, limit 64");
  packet.tags = {"x", ""};
  CHECK(refusal(packet) == "invalid: field tags[1]: empty");
}

TEST_CASE("everything is UTF-8, keys too") {
  const std::string bad = "\xff";
  CHECK(refusal(event({{"text", bad}})) == "invalid: field text: not UTF-8");
  CHECK(refusal(event({{bad, 1}})) == "invalid: field (a key): not UTF-8");
  const auto refused = [&](auto&& change) {
    PacketEnvelope packet = event();
    change(packet);
    return refusal(packet).find("not UTF-8") != std::string::npos;
  };
  CHECK(refused([&](auto& packet) { packet.tags = {bad}; }));
  CHECK(refused([&](auto& packet) { packet.thread_id = bad; }));
  CHECK(refused([&](auto& packet) { packet.metadata = {{"x", bad}}; }));
  CHECK(refused([&](auto& packet) { packet.confidence = Confidence{1, bad}; }));
  CHECK(refused([&](auto& packet) { packet.provenance.parent_packet = bad; }));
  CHECK(refused([&](auto& packet) { packet.provenance.source = bad; }));
  CHECK(refused([&](auto& packet) { packet.provenance.source_agent = bad; }));
  CHECK(refused([&](auto& packet) { packet.provenance.tool = bad; }));
  CHECK(refused([&](auto& packet) { packet.lineage.parent_ids = {bad}; }));
  CHECK(refused([&](auto& packet) { packet.lineage.derivation_type = bad; }));
}

TEST_CASE("confidence is a number from 0 to 1") {
  const auto with = [](double score) {
    PacketEnvelope packet = event();
    packet.confidence = Confidence{score, ""};
    return refusal(packet);
  };
  CHECK(with(0) == "");
  CHECK(with(1) == "");
  const std::string refused = "invalid: field confidence.score: not a number from 0 to 1";
  CHECK(with(-0.001) == refused);
  CHECK(with(1.001) == refused);
  CHECK(with(std::numeric_limits<double>::quiet_NaN()) == refused);
}

TEST_CASE("the payload nests up to 8 deep") {
  CHECK(refusal(event({{"x", nested(7)}})) == "");
  CHECK(refusal(event({{"x", nested(8)}})).starts_with("limit: field x[0][0][0][0][0][0][0]: "));
}

TEST_CASE("a container has up to 4,096 elements, all together 32,768") {
  CHECK(refusal(event({{"x", Array(4'096)}})) == "");
  CHECK(refusal(event({{"x", Array(4'097)}})) == "limit: field x: 4097 elements, limit 4096");
  Map many;
  for (int i = 0; i < 4'097; ++i) many.emplace(std::to_string(i), nullptr);
  CHECK(refusal(event(many)) == "limit: field payload: 4097 elements, limit 4096");
  Array lists(7, Array(4'096));  // 28,672 and the 7, and x
  lists.push_back(Array(32'768 - 28'672 - 8 - 1));
  CHECK(refusal(event({{"x", lists}})) == "");
  lists.back() = Array(32'768 - 28'672 - 8);
  CHECK(refusal(event({{"x", lists}})) == "limit: field payload: 32769 elements, limit 32768");
}

TEST_CASE("a payload is up to 256 KiB encoded") {
  // A map of one key "x" and a list of 8: 1 + 2 + 1 octets, and 3 for each of the lengths.
  constexpr std::size_t each = (262'144 - 4) / 8 - 3;
  Array octets(8, Bytes(each));
  const std::size_t spare = 262'144 - 4 - 8 * (each + 3);
  octets.back() = Bytes(each + spare);
  CHECK(refusal(event({{"x", octets}})) == "");
  octets.back() = Bytes(each + spare + 1);
  CHECK(refusal(event({{"x", octets}})) == "limit: field payload: 262145 octets, limit 262144");
}

TEST_CASE("numbers are finite") {
  CHECK(refusal(event({{"x", Array{std::numeric_limits<double>::quiet_NaN()}}})) ==
        "invalid: field x[0]: not a finite number");
  CHECK(refusal(event({{"x", std::numeric_limits<double>::infinity()}})) ==
        "invalid: field x: not a finite number");
}

TEST_CASE("a thread id has up to 400 octets") {
  PacketEnvelope packet = event();
  packet.thread_id = std::string(400, 't');
  CHECK(refusal(packet) == "");
  packet.thread_id += "t";
  CHECK(refusal(packet) == "limit: field thread_id: 401 octets, limit 400");
}

TEST_CASE("expiry and generation are not negative") {
  PacketEnvelope packet = event();
  packet.expires_at_ms = -1;
  CHECK(refusal(packet) == "invalid: field expires_at_ms: negative");
  packet.expires_at_ms = 0;
  packet.lineage.generation = -1;
  CHECK(refusal(packet) == "invalid: field lineage.generation: negative");
}

TEST_CASE("a lesson needs a title or a text") {
  CHECK(refusal(typed("lesson", {{"title", "t"}})) == "");
  CHECK(refusal(typed("lesson", {{"text", "t"}})) == "");
  const std::string refused = "invalid: field payload: a lesson needs a title or a text";
  CHECK(refusal(typed("lesson", {})) == refused);
  CHECK(refusal(typed("lesson", {{"title", ""}, {"text", nullptr}})) == refused);
}

TEST_CASE("a pattern needs a name, a failure an error signature") {
  CHECK(refusal(typed("pattern", {{"name", "n"}})) == "");
  CHECK(refusal(typed("pattern", {{"name", ""}})) ==
        "invalid: field name: missing, a pattern needs one");
  CHECK(refusal(typed("failure", {{"error_signature", "e"}})) == "");
  CHECK(refusal(typed("failure", {{"text", "e"}})) ==
        "invalid: field error_signature: missing, a failure needs one");
}

TEST_CASE("known fields of a typed payload have their types, unknown ones are free") {
  const auto lesson = [](const char* field, Value value) {
    return refusal(typed("lesson", {{"title", "t"}, {field, std::move(value)}}));
  };
  CHECK(lesson("steps", Array{"a", "b"}) == "");
  CHECK(lesson("steps", Array{"a", 1}) == "invalid: field steps: not a list of texts");
  CHECK(lesson("steps", "a") == "invalid: field steps: not a list of texts");
  CHECK(lesson("severity", 3) == "invalid: field severity: not a text");
  CHECK(lesson("severity", nullptr) == "");
  CHECK(lesson("text", 3) == "invalid: field text: not a text");
  CHECK(lesson("anything", Map{{"x", 1}}) == "");
  CHECK(lesson("trigger", "x") == "invalid: field trigger: not a map");
  CHECK(lesson("trigger", Map{{"tools", "x"}}) ==
        "invalid: field trigger.tools: not a list of texts");
  CHECK(lesson("trigger", Map{{"error_signature", 1}}) ==
        "invalid: field trigger.error_signature: not a text");
  CHECK(lesson("trigger", Map{{"keywords", Array{"x"}}, {"other", 1}}) == "");
  CHECK(refusal(typed("pattern", {{"name", "n"}, {"anti_patterns", 1}})) ==
        "invalid: field anti_patterns: not a list of texts");
  CHECK(refusal(typed("failure", {{"error_signature", "e"}, {"prevention", 1}})) ==
        "invalid: field prevention: not a text");
  CHECK(refusal(event({{"steps", 1}, {"severity", 1}})) == "");
}

TEST_CASE("an entry needs a key, and its value is `value` or the rest of the payload") {
  const auto payload_of = [](Map payload) { return map_payload(event(std::move(payload))); };
  CHECK(payload_of({{"key", "k"}, {"value", 3}, {"other", 1}}) == MapPayload{"k", 3});
  CHECK(payload_of({{"key", "k"}, {"value", nullptr}}) == MapPayload{"k", nullptr});
  CHECK(payload_of({{"key", "k"}, {"a", 1}}) == MapPayload{"k", Map{{"a", 1}}});
  CHECK(payload_of({{"key", "k"}}) == MapPayload{"k", Map{}});
  CHECK(refusal(event({{"value", 1}}), map_segment) ==
        "invalid: field payload.key: missing, an entry of a map segment needs one");
  CHECK(refusal(event({{"key", 1}}), map_segment) ==
        "invalid: field payload.key: not a text, an entry of a map segment needs one");
  CHECK(refusal(event({{"key", ""}}), map_segment) == "invalid: key: empty");
  CHECK(refusal(event({{"key", std::string(400, 'k')}}), map_segment) == "");
  CHECK(refusal(event({{"key", std::string(401, 'k')}}), map_segment) ==
        "limit: key: 401 octets, limit 400");
  CHECK(refusal(event(), set_segment) == "");
}

// --- JSON ------------------------------------------------------------------------------------

TEST_CASE("an envelope with every field is read from JSON") {
  const auto packet = packet_from_json(R"({
    "packet_id": "00000000000000000000000001",
    "packet_type": "lesson", "segment": "lessons_learned", "shared": true,
    "payload": {"title": "t", "steps": ["a"], "unknown": {"x": [1, 2.5, null, true]}},
    "timestamp_ms": 1700000000000, "metadata": {"agent": "a"},
    "provenance": {"parent_packet": "p", "source": "s", "source_agent": "sa", "tool": "t"},
    "confidence": {"score": 0.5, "rationale": "r"}, "thread_id": "th",
    "lineage": {"parent_ids": ["x", "y"], "derivation_type": "d", "generation": 2},
    "tags": ["a", "b"], "expires_at_ms": 5})");
  PacketEnvelope expected;
  expected.packet_id = PacketId{};
  expected.packet_id->bytes[15] = std::byte{1};
  expected.packet_type = "lesson";
  expected.segment = "lessons_learned";
  expected.shared = true;
  expected.payload = {
      {"title", "t"}, {"steps", Array{"a"}}, {"unknown", Map{{"x", Array{1, 2.5, nullptr, true}}}}};
  expected.timestamp_ms = 1'700'000'000'000;
  expected.metadata = {{"agent", "a"}};
  expected.provenance = {"p", "s", "sa", "t"};
  expected.confidence = Confidence{0.5, "r"};
  expected.thread_id = "th";
  expected.lineage = {{"x", "y"}, "d", 2};
  expected.tags = {"a", "b"};
  expected.expires_at_ms = 5;
  CHECK(packet == expected);
}

TEST_CASE("null is absent") {
  const auto packet = packet_from_json(R"({"packet_id": null, "packet_type": "event",
    "segment": null, "shared": null, "payload": null, "timestamp_ms": null, "metadata": null,
    "provenance": null, "confidence": null, "thread_id": null, "lineage": null, "tags": null,
    "expires_at_ms": null})");
  CHECK(packet == event());
}

TEST_CASE("a packet id is base32, 32 hexadecimal digits or a UUID") {
  const auto id = [](const std::string& text) {
    return packet_from_json(R"({"packet_id": ")" + text + R"("})").packet_id->text();
  };
  const std::string expected = "014d2pf2dbsqqzxq5tk1v58cgg";
  CHECK(id(expected) == expected);
  CHECK(id("0123456789abcdefFEDCBA9876543210") == expected);
  CHECK(id("01234567-89ab-cdef-fedc-ba9876543210") == expected);
  for (const char* text :
       {"0", "0123456789abcdeffedcba987654321", "01234567-89ab-cdeffedc-ba98765432100",
        "g123456789abcdeffedcba9876543210", "01234567x89ab-cdef-fedc-ba9876543210"}) {
    CAPTURE(text);
    CHECK(code_of([&] { id(text); }) == ErrorCode::invalid);
  }
}

TEST_CASE("an unknown field of the envelope is named") {
  const auto message = [](const char* json) { return message_of([&] { packet_from_json(json); }); };
  CHECK(message(R"({"packet_typ": "x"})") ==
        "invalid: packet: field packet_typ: no such field of the envelope");
  CHECK(message(R"({"provenance": {"who": "x"}})") ==
        "invalid: packet: field provenance.who: no such field of the envelope");
  CHECK(message(R"({"lineage": {"x": null}})") ==
        "invalid: packet: field lineage.x: no such field of the envelope");
  CHECK(message(R"({"confidence": {"score": 1, "x": 1}})") ==
        "invalid: packet: field confidence.x: no such field of the envelope");
  CHECK(message(R"({"\u001b[31m": 1})") ==
        "invalid: packet: field (a key): no such field of the envelope");
}

TEST_CASE("a field of the wrong type is named") {
  const auto message = [](const char* json) { return message_of([&] { packet_from_json(json); }); };
  CHECK(message("[]") == "invalid: packet: not an object");
  CHECK(message(R"({"packet_type": 1})") == "invalid: packet: field packet_type: not a text");
  CHECK(message(R"({"shared": "yes"})") == "invalid: packet: field shared: not true or false");
  CHECK(message(R"({"payload": []})") == "invalid: packet: field payload: not an object");
  CHECK(message(R"({"timestamp_ms": 1.5})") ==
        "invalid: packet: field timestamp_ms: not an integer of 64 bits");
  CHECK(message(R"({"expires_at_ms": 9223372036854775808})") ==
        "invalid: packet: field expires_at_ms: not an integer of 64 bits");
  CHECK(message(R"({"tags": ["a", 1]})") == "invalid: packet: field tags[1]: not a text");
  CHECK(message(R"({"tags": "a"})") == "invalid: packet: field tags: not a list");
  CHECK(message(R"({"confidence": 0.5})") == "invalid: packet: field confidence: not an object");
  CHECK(message(R"({"confidence": {}})") == "invalid: packet: field confidence.score: missing");
  CHECK(message(R"({"confidence": {"score": "1"}})") ==
        "invalid: packet: field confidence.score: not a number");
  CHECK(message(R"({"lineage": {"generation": "1"}})") ==
        "invalid: packet: field lineage.generation: not an integer of 64 bits");
  CHECK(message(R"({"lineage": {"parent_ids": [1]}})") ==
        "invalid: packet: field lineage.parent_ids[0]: not a text");
  CHECK(message(R"({"provenance": {"tool": 1}})") ==
        "invalid: packet: field provenance.tool: not a text");
}

TEST_CASE("broken JSON is told by line and column") {
  CHECK(message_of([] { packet_from_json("{\"payload\":\n  {\"a\": 1, \"a\": 2}}"); }) ==
        "invalid: packet: line 2, column 14: this key stands twice in one object");
  CHECK(message_of([] { packet_from_json("{"); }).starts_with("invalid: packet: line 1, column 2"));
}

TEST_CASE("an envelope of 1 MiB is read, a larger one is not") {
  const std::string start = R"({"packet_type": "event", "payload": {"text": ")";
  const std::string end = R"("}})";
  std::string text(packet_json_octets_max - start.size() - end.size(), 'a');
  CHECK(packet_from_json(start + text + end).packet_type == "event");
  CHECK(code_of([&] { packet_from_json(start + text + "a" + end); }) == ErrorCode::limit);
}

TEST_CASE("an envelope that nests deeper than 32 is refused") {
  const auto nesting = [](std::size_t depth) {
    return R"({"packet_type": "event", "payload": {"x": )" + std::string(depth - 2, '[') +
           std::string(depth - 2, ']') + "}}";
  };
  packet_from_json(nesting(packet_json_depth_max));
  CHECK(code_of([&] { packet_from_json(nesting(packet_json_depth_max + 1)); }) == ErrorCode::limit);
}

}  // namespace
}  // namespace loam
