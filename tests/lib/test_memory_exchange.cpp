#include <doctest/doctest.h>

#include "lib/base64.hpp"
#include "lib/signed_record.hpp"
#include "tests/lib/opened.hpp"
#include "tests/support/gen.hpp"

namespace loam {
namespace {

using test::code_of;
using test::Instances;
using test::texts;

using Lines = std::vector<std::string>;

Lines exported(const Memory& memory, const ExportQuery& query = {}) {
  Lines lines;
  const ExportReport report =
      memory.export_records(query, [&](std::string_view line) { lines.emplace_back(line); });
  CHECK(report.written == lines.size());
  CHECK(report.damaged == 0);
  return lines;
}

ImportReport import(Memory& memory, const Lines& lines, bool dry_run = false) {
  std::size_t next = 0;
  return memory.import_records(
      [&]() -> std::optional<std::string> {
        if (next == lines.size()) return std::nullopt;
        return lines[next++];
      },
      dry_run);
}

// An instance with something in every kind of segment.
Memory filled(const Instances& instances, const std::string& name) {
  Memory memory = instances.open(name);
  memory.remember({.text = "lesson \xc3\xa9 \"quoted\" \n",
                   .title = "t",
                   .tags = {"a", "b"},
                   .payload = {{"octets", Bytes{std::byte{0}, std::byte{255}}}, {"real", 0.1}},
                   .thread_id = "th",
                   .agent = "agent",
                   .source = "source",
                   .confidence = Confidence{0.5, "why"},
                   .expires_at_ms = 1'900'000'000'000});
  memory.remember({.segment = "org_patterns", .text = "pattern", .title = "name"});
  memory.remember({.segment = "project_history", .text = "private event"});
  memory.put("governance_meta", "owner", Map{{"name", "ops"}, {"octets", Bytes(2)}});
  memory.put("governance_meta", "gone", 1);
  memory.erase("governance_meta", "gone");
  memory.put("session_context", "goal", "private goal");
  return memory;
}

TEST_CASE("an export has the shared segments without the registry, private ones when asked for") {
  const Instances instances;
  const Memory memory = filled(instances, "alpha");
  CHECK(exported(memory).size() == 3);
  for (const std::string& line : exported(memory)) CHECK(line.find("private") == line.npos);
  CHECK(exported(memory, {.include_private = true}).size() == 5);
  CHECK(exported(memory, {.segments = {"lessons-learned"}}).size() == 1);
  CHECK(exported(memory, {.segments = {"instance_registry"}}).size() == 1);
  CHECK(exported(memory, {.segments = {"session_context"}, .include_private = true}).size() == 1);
  CHECK(code_of([&] { exported(memory, {.segments = {"session_context"}}); }) == ErrorCode::denied);
  CHECK(code_of([&] { exported(memory, {.segments = {"nowhere"}}); }) ==
        ErrorCode::unknown_segment);
}

TEST_CASE("what was exported is imported as it was, by its authors where they are known, else by the importer") {
  const Instances instances;
  const Memory alpha = filled(instances, "alpha");
  const Instances others;
  bool is_known = false;
  SUBCASE("in one federation") { is_known = true; }
  SUBCASE("in another") {}
  Memory beta = (is_known ? instances : others).open("beta");
  *instances.clock.ms += 5'000;
  const Lines lines = exported(alpha, {.include_private = true});
  const ImportReport report = import(beta, lines);
  CHECK(report.written == 5);
  CHECK(report.existing == 0);
  CHECK(report.refused.empty());
  CHECK(texts(beta) == texts(alpha));
  for (const Record& before : alpha.list({}).items) {
    INFO(before.segment);
    const auto after = beta.get(before.id);  // the same id: the same content
    REQUIRE(after);
    CHECK(after->segment == before.segment);
    CHECK(after->type == before.type);
    CHECK(after->payload == before.payload);
    CHECK(after->title == before.title);
    CHECK(after->tags == before.tags);
    CHECK(after->metadata == before.metadata);
    CHECK(after->thread_id == before.thread_id);
    CHECK(after->confidence == before.confidence);
    CHECK(after->created_ms == before.created_ms);
    CHECK(after->expires_at_ms == before.expires_at_ms);
    const bool is_signed = is_known && alpha.segments().find(before.segment).scope == Scope::shared;
    CHECK(after->authors == std::vector<std::string>{is_signed ? "alpha" : "beta"});
    const std::string& source = before.provenance.at(0).source;
    CHECK(after->provenance.at(0).source == (source.empty() && !is_signed ? "alpha" : source));
  }
  CHECK(beta.value("governance_meta", "owner")->value ==
        alpha.value("governance_meta", "owner")->value);
  CHECK(beta.value("session_context", "goal")->value == Value("private goal"));
  CHECK(!beta.value("governance_meta", "gone"));
}

// What was signed in a line, with one octet of its record changed.
std::string altered(const std::string& line) {
  const std::string before = "\"signed\":\"";
  const auto at = line.find(before) + before.size();
  const auto end = line.find('"', at);
  DeltaFrame frame = parse_signed_text(line.substr(at, end - at));
  Bytes& record = frame.delta.live.begin()->second;
  record[record.size() / 2] ^= std::byte{1};
  return line.substr(0, at) + base64_of(encode_frame(frame)) + line.substr(end);
}

TEST_CASE("records of one batch come in together, in any order, and one that is not as it was signed alone stays out") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  std::vector<PacketEnvelope> packets;
  for (int i = 0; i < 300; ++i) {
    packets.push_back({.packet_type = "lesson", .payload = {{"text", "lesson " + std::to_string(i)}}});
  }
  alpha.write(packets);
  Lines lines = exported(alpha);
  REQUIRE(lines.size() == 300);
  ::test::Gen gen(3);
  for (std::size_t i = lines.size(); i > 1; --i) std::swap(lines[i - 1], lines[gen.index(i)]);
  const std::string whole = alpha.digest("lessons_learned").at("lessons_learned");
  Memory beta = instances.open("beta");
  CHECK(import(beta, lines).written == 300);
  CHECK(beta.digest("lessons_learned").at("lessons_learned") == whole);
  CHECK(beta.verify({.deep = true}).is_sound());
  lines[7] = altered(lines[7]);
  lines.push_back(lines[8]);  // twice
  Memory gamma = instances.open("gamma");
  const ImportReport report = import(gamma, lines);
  CHECK(report.refused.empty());
  CHECK(texts(gamma) == texts(alpha));
  std::size_t own = 0;
  for (const Record& record : gamma.list({.segment = "lessons_learned", .limit = 1'000, .cursor = {}}).items) {
    own += record.authors == std::vector<std::string>{"gamma"} ? 1 : 0;
  }
  CHECK(own == 1);
  CHECK(gamma.verify({.deep = true}).is_sound());
}

TEST_CASE("entries keep the authors that have signed them, also where the importer may not write them") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  alpha.put("governance_meta", "owner", "ops");
  alpha.put("governance_meta", "owner", "security");
  alpha.put("approval_rules", "deploy", Map{{"effect", "deny"}});
  alpha.grant("beta", {.permissions = {{"governance_meta", "r"}, {"approval_rules", "r"}}, .role = "member"});
  REQUIRE(test::sync(beta, test::listen(alpha)).converged);
  alpha.put("governance_meta", "owner", "everybody");
  alpha.put("approval_rules", "delete", Map{{"effect", "notify"}});
  const Lines lines = exported(alpha);
  REQUIRE(lines.size() == 3);
  const ImportReport report = import(beta, lines);
  CHECK(report.refused.empty());
  CHECK(report.written == 2);
  CHECK(report.existing == 1);
  CHECK(beta.value("governance_meta", "owner")->value == Value("everybody"));
  CHECK(beta.value("governance_meta", "owner")->author == "alpha");
  CHECK(beta.value("approval_rules", "delete")->author == "alpha");
  CHECK(beta.siblings("governance_meta", "owner").empty());
  CHECK(beta.verify({.deep = true}).is_sound());
  Lines forged = exported(alpha, {.segments = {"approval_rules"}});
  for (std::string& line : forged) line = altered(line);
  Memory gamma = instances.open("gamma");
  CHECK(import(gamma, forged).written == 2);  // as its own, which it may
  CHECK(gamma.value("approval_rules", "delete")->author == "gamma");
}

TEST_CASE("importing again writes nothing") {
  const Instances instances;
  const Memory alpha = filled(instances, "alpha");
  Memory beta = instances.open("beta");
  const Lines lines = exported(alpha, {.include_private = true});
  import(beta, lines);
  const auto digest = beta.digest();
  const ImportReport again = import(beta, lines);
  CHECK(again.written == 0);
  CHECK(again.existing == 5);
  CHECK(beta.digest() == digest);
  CHECK(texts(beta).size() == 3);
}

TEST_CASE("a dry run says what would happen and writes nothing") {
  const Instances instances;
  const Memory alpha = filled(instances, "alpha");
  Memory beta = instances.open("beta");
  Lines lines = exported(alpha, {.include_private = true});
  lines.push_back("{}");
  const ImportReport report = import(beta, lines, true);
  CHECK(report.written == 5);
  CHECK(report.refused.size() == 1);
  CHECK(texts(beta).empty());
  CHECK(!beta.value("session_context", "goal"));
}

TEST_CASE(
    "an old export does not overrule what was decided since, nor bring back what was erased") {
  const Instances instances;
  Memory memory = filled(instances, "alpha");
  const Lines lines = exported(memory);
  memory.put("governance_meta", "owner", "newer");
  CHECK(import(memory, lines).written == 0);
  CHECK(memory.value("governance_meta", "owner")->value == Value("newer"));
  memory.erase("governance_meta", "owner");
  CHECK(import(memory, lines).written == 0);
  CHECK(!memory.value("governance_meta", "owner"));
}

TEST_CASE("bad lines are refused by their number, the others are written") {
  const Instances instances;
  Memory memory = instances.open("alpha");
  const ImportReport report = import(
      memory, {R"({"packet": {"packet_type": "lesson", "payload": {"text": "good"}}})", "",
               "not JSON", "[]", R"({"key": "k", "segment": "governance_meta"})",
               R"({"key": "k", "segment": "lessons_learned", "value": 1})",
               R"({"key": "", "segment": "governance_meta", "value": 1})",
               R"({"packet": {"packet_type": "lesson", "segment": "nowhere", "payload": {}}})",
               R"({"packet_type": "event", "payload": {"text": "a plain envelope"}})"});
  CHECK(report.written == 2);
  std::vector<std::uint64_t> lines;
  for (const auto& [line, why] : report.refused) {
    lines.push_back(line);
    CHECK(!why.empty());
  }
  CHECK(lines == std::vector<std::uint64_t>{3, 4, 5, 6, 7, 8});
  CHECK(texts(memory) == std::vector<std::string>{"a plain envelope", "good"});
}

TEST_CASE("a record of the greatest size survives export and import, whatever its characters") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  // A control character is six characters of JSON.
  const std::string text(text_characters_max, '\x01');
  const std::string id =
      alpha
          .remember(
              {.text = text, .payload = {{"problem", text}, {"solution", text}, {"outcome", text}}})
          .id;
  Memory beta = instances.open("beta");
  const ImportReport report = import(beta, exported(alpha));
  CHECK(report.refused.empty());
  CHECK(beta.get(id).has_value());
}

TEST_CASE("thousands of lines are imported in groups, with progress") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  std::vector<PacketEnvelope> packets;
  for (int i = 0; i < 2'500; ++i) {
    PacketEnvelope packet;
    packet.packet_type = "lesson";
    packet.payload = {{"text", "number " + std::to_string(i)}};
    packets.push_back(std::move(packet));
  }
  alpha.write(packets);
  const Lines lines = exported(alpha);
  REQUIRE(lines.size() == 2'500);
  Memory beta = instances.open("beta");
  std::size_t next = 0;
  std::vector<std::uint64_t> progress;
  const ImportReport report = beta.import_records(
      [&]() -> std::optional<std::string> {
        return next < lines.size() ? std::optional(lines[next++]) : std::nullopt;
      },
      false, [&](std::uint64_t done) { progress.push_back(done); });
  CHECK(report.written == 2'500);
  CHECK(progress == std::vector<std::uint64_t>{1'000, 2'000, 2'500});
  CHECK(texts(beta) == texts(alpha));
  CHECK(import(beta, lines).existing == 2'500);
}

}  // namespace
}  // namespace loam
