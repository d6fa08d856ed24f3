// Both record decoders: accepted records encode to the bytes that they came from.
#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "crdt/record.hpp"
#include "crdt/rules/heads.hpp"
#include "crdt/rules/rule.hpp"
#include "tests/fuzz/require.hpp"

namespace {

void try_set_record(loam::BytesView bytes) {
  try {
    const loam::SetRecord record = loam::decode_set_record(bytes);
    test::require(loam::equal(encode(record), bytes), "a set record has two encodings");
    const loam::SetRecordView view = loam::view_set_record(bytes);
    test::require(view.stamp == record.stamp, "a view has another stamp");
    test::require(loam::equal(view.content, record.content), "a view has another content");
    test::require(loam::equal(view.meta, record.meta), "a view has another meta");
  } catch (const loam::Error&) {
  }
}

void try_map_record(loam::BytesView bytes) {
  try {
    const loam::MapRecord record = loam::decode_map_record(bytes);
    test::require(loam::equal(encode(record), bytes), "a map record has two encodings");
    if (!record.value) return;
    if (const auto assignment = loam::decode_rule_assignment(*record.value)) {
      test::require(loam::decode_rule_assignment(encode(*assignment)) == assignment, "an assignment is read as another");
    }
    const loam::Value value = loam::decode(*record.value);
    const loam::Rule rule = loam::read_rule(value);
    test::require(rule.defects.empty() || !rule.lifts(), "a rule that cannot be read lifts something");
    if (rule.defects.empty()) test::require(loam::read_rule(map_of(rule)) == rule, "a rule is written as another");
  } catch (const loam::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const loam::BytesView bytes{reinterpret_cast<const std::byte*>(data), size};
  try_set_record(bytes);
  try_map_record(bytes);
  return 0;
}
