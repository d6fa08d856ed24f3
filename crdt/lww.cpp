#include "crdt/lww.hpp"

#include <algorithm>
#include <tuple>

namespace loam {

bool loses_to(const Assignment& left, const Assignment& right) noexcept {
  return std::tie(left.stamp, left.dot) < std::tie(right.stamp, right.dot);
}

Register fold(std::vector<Assignment> assignments) {
  Register result;
  std::sort(assignments.begin(), assignments.end(),
            [](const Assignment& left, const Assignment& right) { return loses_to(right, left); });
  if (assignments.empty()) return result;
  result.winner = std::move(assignments.front());
  assignments.erase(assignments.begin());
  result.siblings = std::move(assignments);
  return result;
}

}  // namespace loam
