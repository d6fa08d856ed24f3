#pragma once

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "crdt/bytes.hpp"

namespace loam {

struct Value;
using Array = std::vector<Value>;

/// Keys are UTF-8 text, sorted by octets: the canonical order.
using Map = std::map<std::string, Value, std::less<>>;

/// One value of the msgpack data model, without extension types: nil, boolean, integer, double,
/// UTF-8 text, octets, array, map. An integer is held as `std::uint64_t` only when it does not fit
/// into `std::int64_t`, so equal numbers compare equal.
struct Value {
  using Data = std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string,
                            Bytes, Array, Map>;
  Data data;

  Value() = default;
  Value(std::nullptr_t) {}
  Value(bool value) : data(value) {}
  Value(int value) : data(std::int64_t{value}) {}
  Value(std::int64_t value) : data(value) {}
  Value(std::uint64_t value);
  Value(double value) : data(value) {}
  Value(const char* value) : data(std::string(value)) {}
  Value(std::string_view value) : data(std::string(value)) {}
  Value(std::string value) : data(std::move(value)) {}
  Value(Bytes value) : data(std::move(value)) {}
  Value(Array value) : data(std::move(value)) {}
  Value(Map value) : data(std::move(value)) {}

  bool operator==(const Value&) const = default;

  bool is_nil() const noexcept { return std::holds_alternative<std::monostate>(data); }

  /// The alternative of type T, or null when the value is of another type.
  template <class T>
  const T* get() const noexcept {
    return std::get_if<T>(&data);
  }

  /// The entry of a map; null when this is no map or has no such key.
  const Value* find(std::string_view key) const noexcept;

  /// The text under a key; empty when it is absent or not text.
  std::string_view text(std::string_view key) const noexcept;
};

/// The entry of a map; null when there is no such key.
const Value* find(const Map& map, std::string_view key) noexcept;

/// The text under a key; empty when it is absent or not text.
std::string_view text_at(const Map& map, std::string_view key) noexcept;

}  // namespace loam
