#include "lib/json_value.hpp"

#include <algorithm>
#include <array>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>

#include "crdt/error.hpp"

namespace loam {
namespace {

namespace json = boost::json;

constexpr std::string_view octets_key = "$octets";

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr const char* bad_octets = "$octets: not a text of hexadecimal digits in pairs";

// The map itself, or the octets that it stands for; absent when it stands for none.
std::optional<Value> unwrapped(Map map) {
  if (map.size() != 1 || map.begin()->first != octets_key) return map;
  const std::string* hex = map.begin()->second.get<std::string>();
  auto octets = hex ? from_hex(*hex) : std::nullopt;
  if (!octets) return std::nullopt;
  return Value(std::move(*octets));
}

struct ToJson {
  json::value operator()(std::monostate) const { return nullptr; }
  json::value operator()(bool value) const { return value; }
  json::value operator()(std::int64_t value) const { return value; }
  json::value operator()(std::uint64_t value) const { return value; }
  json::value operator()(double value) const {
    return std::isfinite(value) ? json::value(value) : json::value(nullptr);
  }
  json::value operator()(const std::string& value) const { return json::string(value); }
  json::value operator()(const Bytes& value) const {
    return json::object{{json::string_view(octets_key), to_hex(value)}};
  }
  json::value operator()(const Array& value) const {
    json::array array;
    array.reserve(value.size());
    for (const Value& entry : value) array.push_back(to_json(entry));
    return array;
  }
  json::value operator()(const Map& value) const { return to_json(value); }
};

// An integer that fits into no 64-bit type, or a number with a point or an exponent. Boost's own
// conversion may be off by one in the last place.
std::optional<double> real_of(std::string_view text) {
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (text.find_first_of(".eE") != std::string_view::npos) return value;
  std::array<char, 400> exact{};
  const int size = std::snprintf(exact.data(), exact.size(), "%.0f", value);
  if (std::string_view(exact.data(), static_cast<std::size_t>(size)) != text) return std::nullopt;
  return value;
}

/// Builds a Value while Boost.JSON walks a text; refuses what Boost would let pass. One thread.
class Builder {
 public:
  static constexpr std::size_t max_object_size = ~std::size_t{0};
  static constexpr std::size_t max_array_size = ~std::size_t{0};
  static constexpr std::size_t max_key_size = ~std::size_t{0};
  static constexpr std::size_t max_string_size = ~std::size_t{0};

  Value take() { return std::move(root_); }
  const std::string& why() const { return why_; }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }

  bool on_object_begin(json::error_code&) {
    open_.push_back({Map{}, {}});
    return true;
  }
  bool on_object_end(std::size_t, json::error_code& code) {
    Map map = std::move(std::get<Map>(open_.back().value.data));
    open_.pop_back();
    auto value = unwrapped(std::move(map));
    return value ? add(std::move(*value)) : refuse(bad_octets, code);
  }
  bool on_array_begin(json::error_code&) {
    open_.push_back({Array{}, {}});
    return true;
  }
  bool on_array_end(std::size_t, json::error_code&) {
    Value array = std::move(open_.back().value);
    open_.pop_back();
    return add(std::move(array));
  }

  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    text_.append(part);
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code& code) {
    text_.append(part);
    Open& object = open_.back();
    object.key = std::exchange(text_, {});
    if (std::get<Map>(object.value.data).contains(object.key)) {
      return refuse("this key stands twice in one object", code);
    }
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) {
    text_.append(part);
    return true;
  }
  bool on_string(json::string_view part, std::size_t, json::error_code&) {
    text_.append(part);
    return add(std::exchange(text_, {}));
  }
  bool on_number_part(json::string_view part, json::error_code&) {
    text_.append(part);
    return true;
  }
  bool on_int64(std::int64_t value, json::string_view, json::error_code&) {
    text_.clear();
    return add(value);
  }
  bool on_uint64(std::uint64_t value, json::string_view, json::error_code&) {
    text_.clear();
    return add(value);
  }
  bool on_double(double, json::string_view part, json::error_code& code) {
    text_.append(part);
    const auto value = real_of(std::exchange(text_, {}));
    if (!value) return refuse("a number out of range, or one that no double holds exactly", code);
    return add(*value);
  }
  bool on_bool(bool value, json::error_code&) { return add(value); }
  bool on_null(json::error_code&) { return add(nullptr); }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  struct Open {
    Value value;
    std::string key;
  };

  bool add(Value value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (auto* array = std::get_if<Array>(&open_.back().value.data)) {
      array->push_back(std::move(value));
    } else {
      std::get<Map>(open_.back().value.data).emplace(std::move(open_.back().key), std::move(value));
    }
    return true;
  }

  bool refuse(std::string why, json::error_code& code) {
    why_ = std::move(why);
    code = json::error::syntax;
    return false;
  }

  Value root_;
  std::vector<Open> open_;
  std::string text_;
  std::string why_;
};

std::string position(std::string_view text, std::size_t at) {
  const std::string_view before = text.substr(0, at);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const auto start = before.rfind('\n');
  const std::size_t column = start == std::string_view::npos ? at : at - start - 1;
  return "line " + std::to_string(line) + ", column " + std::to_string(column + 1);
}

}  // namespace

std::optional<Bytes> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  Bytes octets;
  octets.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = digit_of(hex[i]);
    const int low = digit_of(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    octets.push_back(static_cast<std::byte>(high * 16 + low));
  }
  return octets;
}

json::value to_json(const Value& value) { return std::visit(ToJson{}, value.data); }

json::object to_json(const Map& map) {
  json::object object;
  object.reserve(map.size());
  for (const auto& [key, value] : map) object.emplace(key, to_json(value));
  return object;
}

Value from_json(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return {};
    case json::kind::bool_: return value.get_bool();
    case json::kind::int64: return value.get_int64();
    case json::kind::uint64: return value.get_uint64();
    case json::kind::double_: return value.get_double();
    case json::kind::string: return std::string(value.get_string());
    case json::kind::array: {
      Array array;
      array.reserve(value.get_array().size());
      for (const json::value& entry : value.get_array()) array.push_back(from_json(entry));
      return array;
    }
    case json::kind::object: break;
  }
  Map map;
  for (const auto& entry : value.get_object()) {
    map.emplace(std::string(entry.key()), from_json(entry.value()));
  }
  auto unwrapped_value = unwrapped(std::move(map));
  if (!unwrapped_value) throw Error(ErrorCode::invalid, std::string("json: ") + bad_octets);
  return std::move(*unwrapped_value);
}

Value parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.octets_max) {
    throw Error(ErrorCode::limit, "json: " + std::to_string(text.size()) + " octets, limit " +
                                      std::to_string(limits.octets_max));
  }
  json::parse_options options;
  options.max_depth = limits.depth_max;
  json::basic_parser<Builder> parser(options);
  json::error_code code;
  std::size_t read = parser.write_some(false, text.data(), text.size(), code);
  if (!code && read < text.size()) code = json::error::extra_data;
  if (!code) return parser.handler().take();
  if (code == json::error::too_deep) {
    throw Error(ErrorCode::limit, "json: " + position(text, read) + ": nested deeper than " +
                                      std::to_string(limits.depth_max));
  }
  const std::string& why = parser.handler().why();
  throw Error(ErrorCode::invalid,
              "json: " + position(text, read) + ": " + (why.empty() ? code.message() : why));
}

}  // namespace loam
