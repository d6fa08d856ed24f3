// The frame decoder: what it accepts is a frame, whose bytes decode to the same frame again.
#include "tests/fuzz/require.hpp"
#include "transport/frame.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const loam::BytesView bytes{reinterpret_cast<const std::byte*>(data), size};
  try {
    const loam::Frame frame = loam::decode_frame(bytes);
    const loam::Bytes again = loam::encode_frame(frame);
    test::require(loam::decode_frame(again) == frame, "a frame is not what its bytes decode to");
    test::require(again.size() <= size, "a frame has a longer form than the one it came from");
  } catch (const loam::Error&) {
  }
  return 0;
}
