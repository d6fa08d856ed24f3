#include "crdt/value.hpp"

#include <limits>

namespace loam {

Value::Value(std::uint64_t value) {
  if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    data = static_cast<std::int64_t>(value);
  } else {
    data = value;
  }
}

const Value* find(const Map& map, std::string_view key) noexcept {
  const auto at = map.find(key);
  return at == map.end() ? nullptr : &at->second;
}

std::string_view text_at(const Map& map, std::string_view key) noexcept {
  const Value* value = find(map, key);
  const std::string* text = value ? value->get<std::string>() : nullptr;
  return text ? std::string_view(*text) : std::string_view();
}

const Value* Value::find(std::string_view key) const noexcept {
  const Map* map = get<Map>();
  return map ? loam::find(*map, key) : nullptr;
}

std::string_view Value::text(std::string_view key) const noexcept {
  const Map* map = get<Map>();
  return map ? text_at(*map, key) : std::string_view();
}

}  // namespace loam
