#pragma once

#include <doctest/doctest.h>

#include <optional>

#include "crdt/codec.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/hex.hpp"

namespace test {

/// What the decoder says of some octets: absent when it accepts them. Both decoders must agree.
inline std::optional<loam::ErrorCode> verdict(loam::BytesView bytes,
                                              const loam::DecodeLimits& limits = {}) {
  const auto decoded = error_of([&] { (void)loam::decode(bytes, limits); });
  const auto checked = error_of([&] { loam::check_canonical(bytes, limits); });
  REQUIRE(decoded == checked);
  return decoded;
}

inline std::optional<loam::ErrorCode> verdict_of_hex(std::string_view hex) {
  return verdict(from_hex(hex));
}

/// An array with `depth` containers inside one another, itself included.
inline loam::Value nested(unsigned depth) {
  return depth == 1 ? loam::Value(loam::Array{}) : loam::Value(loam::Array{nested(depth - 1)});
}

/// A value with every type and, but for the 32-bit ones, every form of the encoding.
inline loam::Value rich_value() {
  using loam::Array;
  using loam::Map;
  using loam::Value;
  const Array numbers{0,
                      127,
                      128,
                      255,
                      256,
                      65'535,
                      -1,
                      -32,
                      -33,
                      -128,
                      -129,
                      -32'768,
                      65'536,
                      4'294'967'296,
                      ~std::uint64_t{0},
                      -2'147'483'649};
  return Map{
      {"", nullptr},
      {"\u00e9\u20ac\U0001f600", Array{true, false, 0.5, -1.0e300}},
      {"array", numbers},
      {"map", Map{{"a", Map{}}, {"b", Map{{"deep", Array{Array{}}}}}}},
      {"octets", from_hex("00ff80c1")},
      {"text", std::string(40, 't')},
  };
}

}  // namespace test
