#pragma once

#include <optional>
#include <vector>

#include "crdt/delta.hpp"

namespace loam {

/// One assignment of a register: a live dot of a key.
struct Assignment {
  Dot dot;
  Hlc stamp;
  std::optional<Bytes> value;  ///< absent: the key was erased

  bool operator==(const Assignment&) const = default;
};

/// The total order of concurrent assignments: by stamp, then actor, then counter.
bool loses_to(const Assignment& left, const Assignment& right) noexcept;

/// A register read from all live dots of its key.
struct Register {
  std::optional<Assignment> winner;   ///< absent when the key has no live dot
  std::vector<Assignment> siblings;   ///< the other assignments, the last loser first

  bool operator==(const Register&) const = default;
};

/// The fold: a pure function of the set of assignments, whatever their order.
Register fold(std::vector<Assignment> assignments);

}  // namespace loam
