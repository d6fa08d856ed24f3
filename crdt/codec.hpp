#pragma once

#include "crdt/fingerprint.hpp"
#include "crdt/value.hpp"

namespace loam {

/// What a decoder accepts. Nothing is reserved by a declared length.
struct DecodeLimits {
  std::size_t octets_max = std::size_t{1} << 20;
  std::size_t depth_max = 16;
  std::size_t container_max = 4'096;
  std::size_t elements_max = 65'536;
};

/// Appends canonical msgpack to a buffer: shortest integers and headers. The caller declares
/// containers before their elements and writes map keys in sorted order.
class Writer {
 public:
  explicit Writer(Bytes& out) : out_(out) {}

  Writer& nil();
  Writer& boolean(bool value);
  Writer& number(std::uint64_t value);
  Writer& integer(std::int64_t value);
  Writer& real(double value);
  Writer& text(std::string_view value);
  Writer& octets(BytesView value);
  Writer& array(std::size_t elements);
  Writer& map(std::size_t entries);
  Writer& value(const Value& value);

 private:
  Bytes& out_;
};

/// The canonical encoding: equal values have equal bytes. Throws Error(invalid) for what canonical
/// msgpack cannot hold: NaN, text or keys that are not UTF-8, more than 2^32 − 1 elements.
Bytes encode(const Value& value);
Bytes encode(const Map& map);

/// The value of canonical msgpack. Throws Error(invalid) for anything else: other than one value,
/// longer forms than needed, unsorted or repeated keys, keys that are not text, invalid UTF-8, NaN,
/// the negative zero, 32-bit floats, extension types; Error(limit) beyond the limits.
Value decode(BytesView bytes, const DecodeLimits& limits = {});

/// Throws exactly as `decode` does, without building the value.
void check_canonical(BytesView bytes, const DecodeLimits& limits = {});

/// Whether the text is well-formed UTF-8 (Unicode 15, table 3-7: no surrogates, no overlong forms).
bool is_utf8(std::string_view text) noexcept;

/// Typed reading of a decoded value; each throws Error(invalid) naming `what` when the value is of
/// another type or out of range.
const Array& as_array(const Value& value, const char* what);
const Map& as_map(const Value& value, const char* what);
std::uint64_t as_number(const Value& value, const char* what);
const std::string& as_text(const Value& value, const char* what);
const Bytes& as_octets(const Value& value, const char* what);

template <class IdType>
IdType as_id(const Value& value, const char* what);

}  // namespace loam
