#include "crdt/rules/condition.hpp"

#include <algorithm>
#include <array>
#include <compare>

namespace loam {
namespace {

constexpr std::array<std::string_view, 10> op_names{"equals",       "not_equals", "in",     "not_in",     "contains",
                                                    "greater_than", "less_than",  "exists", "not_exists", "unknown"};

Truth truth_of(bool holds) noexcept { return holds ? Truth::yes : Truth::no; }

Truth opposite(Truth truth) noexcept {
  if (truth == Truth::maybe) return truth;
  return truth_of(truth == Truth::no);
}

bool is_number(const Value& value) noexcept {
  return value.get<std::int64_t>() || value.get<std::uint64_t>() || value.get<double>();
}

std::partial_ordering compare_integer(double real, const Value& other) noexcept {
  // What a double cannot hold is compared as the nearest that it can: off by less than one part in 2^52.
  if (const auto* number = other.get<std::int64_t>()) return real <=> static_cast<double>(*number);
  if (const auto* number = other.get<std::uint64_t>()) return real <=> static_cast<double>(*number);
  return real <=> *other.get<double>();
}

// Of two numbers. An integer is held as unsigned only when it is greater than any signed one.
std::partial_ordering compare_numbers(const Value& left, const Value& right) noexcept {
  if (const auto* real = left.get<double>()) return compare_integer(*real, right);
  if (const auto* real = right.get<double>()) return 0 <=> compare_integer(*real, left);
  const auto* high_left = left.get<std::uint64_t>();
  const auto* high_right = right.get<std::uint64_t>();
  if (high_left && high_right) return *high_left <=> *high_right;
  if (high_left) return std::partial_ordering::greater;
  if (high_right) return std::partial_ordering::less;
  return *left.get<std::int64_t>() <=> *right.get<std::int64_t>();
}

bool is_same(const Value& left, const Value& right) noexcept {
  if (is_number(left) && is_number(right)) return compare_numbers(left, right) == 0;
  return left == right;
}

bool has_element(const Array& list, const Value& value) noexcept {
  return std::any_of(list.begin(), list.end(), [&](const Value& each) { return is_same(each, value); });
}

Truth is_in(const Value& found, const Value& list) noexcept {
  const Array* elements = list.get<Array>();
  return elements ? truth_of(has_element(*elements, found)) : Truth::maybe;
}

Truth does_contain(const Value& found, const Value& value) noexcept {
  if (const Array* list = found.get<Array>()) return truth_of(has_element(*list, value));
  const std::string* text = found.get<std::string>();
  const std::string* part = value.get<std::string>();
  return text && part ? truth_of(text->find(*part) != std::string::npos) : Truth::maybe;
}

Truth is_beyond(const Value& found, const Value& value, bool is_greater) noexcept {
  if (!is_number(found) || !is_number(value)) return Truth::maybe;
  const auto order = compare_numbers(found, value);
  return truth_of(is_greater ? order > 0 : order < 0);
}

}  // namespace

std::string_view name_of(Condition::Op op) noexcept { return op_names[static_cast<std::size_t>(op)]; }

std::optional<Condition::Op> parse_condition_op(std::string_view name) noexcept {
  const auto end = op_names.end() - 1;
  const auto at = std::find(op_names.begin(), end, name);
  if (at == end) return std::nullopt;
  return static_cast<Condition::Op>(at - op_names.begin());
}

Truth Condition::holds(const Map& context) const noexcept {
  const Value* found = find(context, field);
  const bool is_there = found != nullptr && !found->is_nil();
  if (op == Op::exists || op == Op::not_exists) return truth_of(is_there == (op == Op::exists));
  if (!is_there) return Truth::maybe;
  switch (op) {
    case Op::equals: return truth_of(is_same(*found, value));
    case Op::not_equals: return truth_of(!is_same(*found, value));
    case Op::in: return is_in(*found, value);
    case Op::not_in: return opposite(is_in(*found, value));
    case Op::contains: return does_contain(*found, value);
    case Op::greater_than: return is_beyond(*found, value, true);
    case Op::less_than: return is_beyond(*found, value, false);
    default: return Truth::maybe;
  }
}

}  // namespace loam
