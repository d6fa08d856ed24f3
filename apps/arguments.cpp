#include "apps/arguments.hpp"

#include <charconv>

#include "crdt/error.hpp"
#include "lib/json_value.hpp"

namespace loam::cli {
namespace {

[[noreturn]] void refuse(std::string_view option, const std::string& why) {
  throw Error(ErrorCode::invalid, std::string(option) + ": " + why);
}

template <class Number>
bool read_whole_number(std::string_view text, Number& number) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failure == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::uint64_t parse_number(std::string_view option, std::string_view text, Bounds bounds) {
  std::uint64_t number = 0;
  if (read_whole_number(text, number) && number >= bounds.least && number <= bounds.most) {
    return number;
  }
  refuse(option, "\"" + std::string(text) + "\" is not a number from " +
                     std::to_string(bounds.least) + " to " + std::to_string(bounds.most));
}

void add_allowed(std::map<std::string, std::string>& allowed, std::string_view text) {
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view one = text.substr(0, comma);
    const std::size_t equals = one.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      refuse("--allow", "\"" + std::string(one) + "\" is not SEGMENT=LETTERS");
    }
    allowed[std::string(one.substr(0, equals))] = std::string(one.substr(equals + 1));
    if (comma == std::string_view::npos) return;
    text.remove_prefix(comma + 1);
  }
}

double parse_score(std::string_view option, std::string_view text) {
  double score = -1;
  if (read_whole_number(text, score) && score >= 0 && score <= 1) return score;
  refuse(option, "\"" + std::string(text) + "\" is not a number from 0 to 1");
}

std::pair<std::string, Value> parse_field(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    refuse("--field", "\"" + std::string(text) + "\" is neither K=TEXT nor K:=JSON");
  }
  const std::string_view value = text.substr(equals + 1);
  if (text[equals - 1] != ':') return {std::string(text.substr(0, equals)), value};
  if (equals == 1) refuse("--field", "\"" + std::string(text) + "\" has no name before :=");
  return {std::string(text.substr(0, equals - 1)), parse_json(value)};
}

}  // namespace loam::cli
