// The decoder of canonical msgpack never crashes, and accepts nothing that has another encoding. The walker
// of checked octets agrees with it, and never reads past the end of others.
#include "crdt/checked_reader.hpp"
#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "tests/fuzz/require.hpp"

namespace {

bool is_canonical(loam::BytesView bytes) {
  try {
    loam::check_canonical(bytes);
    return true;
  } catch (const loam::Error&) {
    return false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const loam::BytesView bytes{reinterpret_cast<const std::byte*>(data), size};
  try {
    loam::CheckedReader(bytes).skip();
  } catch (const loam::Error&) {
  }
  loam::Value value;
  try {
    value = loam::decode(bytes);
  } catch (const loam::Error&) {
    test::require(!is_canonical(bytes), "only one decoder rejects");
    return 0;
  }
  test::require(is_canonical(bytes), "only one decoder accepts");
  test::require(loam::equal(loam::encode(value), bytes), "a value has two encodings");
  test::require(loam::CheckedReader(bytes).value() == value, "the walker reads another value");
  return 0;
}
