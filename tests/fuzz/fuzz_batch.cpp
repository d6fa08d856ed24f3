// What is signed: accepted batches and entries of the registry encode to the bytes that they came from.
#include "crdt/batch.hpp"
#include "crdt/error.hpp"
#include "crdt/registry_entry.hpp"
#include "tests/fuzz/require.hpp"

namespace {

void try_batch(loam::BytesView bytes) {
  try {
    const loam::Batch batch = loam::decode_batch(bytes);
    test::require(loam::equal(encode(batch), bytes), "a batch has two encodings");
    test::require(loam::is_true_of(batch.actor, batch.claim), "an actor is not its author's");
    test::require(batch.has({batch.actor, batch.first}), "a batch lacks its first dot");
  } catch (const loam::Error&) {
  }
}

void try_entry(loam::BytesView bytes) {
  try {
    const auto entry = loam::decode_instance_entry(bytes);
    if (!entry) return;
    test::require(loam::decode_instance_entry(encode(*entry)) == entry, "an entry does not survive its encoding");
  } catch (const loam::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const loam::BytesView bytes{reinterpret_cast<const std::byte*>(data), size};
  try_batch(bytes);
  try_entry(bytes);
  return 0;
}
