#pragma once

#include <optional>
#include <string>

#include "crdt/value.hpp"

namespace loam {

/// What is known of whether something holds. Ordered: `no` < `maybe` < `yes`.
enum class Truth : std::uint8_t { no, maybe, yes };

/// One thing that a rule asks of the context of a request.
struct Condition {
  enum class Op : std::uint8_t {
    equals,
    not_equals,
    in,            ///< the field is one of a list
    not_in,
    contains,      ///< a text has the value in it, or a list has it as an element
    greater_than,  ///< of numbers
    less_than,
    exists,
    not_exists,
    unknown,       ///< of a later version, or malformed: `maybe`, always
  };

  std::string field;
  Op op = Op::unknown;
  std::string op_name;  ///< as it was written
  Value value;          ///< not of `exists` and `not_exists`

  bool operator==(const Condition&) const = default;

  /// Whether it holds in a context. `maybe`: the field is not there, or is of a kind that the operator does not
  /// compare.
  Truth holds(const Map& context) const noexcept;
};

std::string_view name_of(Condition::Op op) noexcept;
std::optional<Condition::Op> parse_condition_op(std::string_view name) noexcept;

}  // namespace loam
