// The stored, hashed and sent bytes of crdt version 1.
#include "crdt/codec.hpp"
#include "crdt/memory_store.hpp"
#include "crdt/range_codec.hpp"
#include "tests/golden/golden.hpp"

using loam::Bytes;
using loam::Hlc;
using loam::Map;
using loam::Value;

namespace {

constexpr std::int64_t now_ms = 1'700'000'000'000;

loam::ActorId counting_actor() {
  loam::ActorId actor;
  for (std::size_t i = 0; i < 16; ++i) actor.bytes[i] = static_cast<std::byte>(i);
  return actor;
}

const loam::Dot dot{counting_actor(), 5};
const Hlc stamp{Hlc::at_ms(now_ms).value + 1};

const loam::SetRecord set_record{
    stamp, loam::encode(Map{{"type", "lesson"}, {"text", "Flush before rename."}}),
    loam::encode(Map{{"confidence", 0.9}, {"tags", loam::Array{"io", "\u00e9"}}})};
const loam::MapRecord map_record{stamp, "risk_classes/deploy", loam::encode(Value("high"))};
const loam::MapRecord erased_map_record{Hlc{stamp.value + 1}, "risk_classes/deploy", std::nullopt};

loam::RangeSet ranges() {
  loam::RangeSet result(loam::Range{1, 3});
  result.insert(5);
  return result;
}

loam::MemoryStore state() {
  loam::Delta delta;
  delta.context.insert(dot.actor, ranges());
  delta.live[dot] = encode(set_record);
  loam::MemoryStore store("lessons_learned", loam::Kind::set);
  apply(store, delta);
  return store;
}

Bytes octets_of(const std::array<std::byte, 16>& octets) { return {octets.begin(), octets.end()}; }

std::map<std::string, Bytes> computed() {
  const Bytes record = encode(set_record);
  const loam::ContentHash content = loam::content_hash(record);
  const loam::Roots roots{context_term(dot.actor, ranges()), live_term(dot, content)};
  return {
      {"set_record", record},
      {"map_record", encode(map_record)},
      {"erased_map_record", encode(erased_map_record)},
      {"element_id", octets_of(loam::element_of("lessons_learned", set_record.content).bytes)},
      {"content_hash", octets_of(content.bytes)},
      {"ranges", loam::encode_ranges(ranges())},
      {"context_term", octets_of(roots.context.bytes())},
      {"live_term", octets_of(roots.live.bytes())},
      {"digest", test::from_hex(loam::digest_text(roots))},
      {"state", state().canonical()},
  };
}

}  // namespace

TEST_CASE("version 1 of records, hashes and states has the golden bytes") {
  const auto golden = test::read_golden("crdt-v1.txt");
  const auto now = computed();
  CHECK(golden.size() == now.size());
  for (const auto& entry : now) {
    CAPTURE(entry.first);
    REQUIRE(golden.contains(entry.first));
    CHECK(loam::to_hex(golden.at(entry.first)) == loam::to_hex(entry.second));
  }
}

TEST_CASE("the golden bytes of version 1 are decoded") {
  const auto golden = test::read_golden("crdt-v1.txt");
  CHECK(loam::decode_set_record(golden.at("set_record")) == set_record);
  CHECK(loam::decode_map_record(golden.at("map_record")) == map_record);
  CHECK(loam::decode_map_record(golden.at("erased_map_record")) == erased_map_record);
  CHECK(loam::decode_ranges(golden.at("ranges")) == ranges());
  CHECK(loam::ElementId::from(golden.at("element_id")).has_value());
  CHECK(state().dots_of(*loam::ElementId::from(golden.at("element_id"))) ==
        std::vector<loam::Dot>{dot});
  CHECK(loam::decode(golden.at("state")).get<loam::Array>()->size() == 2);
}

TEST_CASE("the golden state of version 1 has the golden digest") {
  const auto golden = test::read_golden("crdt-v1.txt");
  CHECK(loam::digest_text(state().roots()) == loam::to_hex(golden.at("digest")));
}
