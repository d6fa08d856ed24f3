#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "crdt/value.hpp"

namespace loam {

/// What `parse_json` accepts.
struct JsonLimits {
  std::size_t octets_max = std::size_t{1} << 20;
  std::size_t depth_max = 32;
};

/// The octets of pairs of hexadecimal digits, either case; absent when the text is anything else.
std::optional<Bytes> from_hex(std::string_view hex);

/// The JSON of a value. Octets become `{"$octets": "hex"}`; a double that is not finite becomes
/// null.
boost::json::value to_json(const Value& value);
boost::json::object to_json(const Map& map);

/// The value of a JSON value: an object with the one key `$octets` becomes octets. Throws
/// Error(invalid) when that is not hexadecimal text.
Value from_json(const boost::json::value& json);

/// The value of a JSON text, read strictly: exactly one value, UTF-8, every key of an object once,
/// no number out of range. Integers beyond 64 bits become doubles when that is exact. Throws
/// Error(invalid) with line and column, Error(limit).
Value parse_json(std::string_view text, const JsonLimits& limits = {});

}  // namespace loam
