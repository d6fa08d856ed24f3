#include "tests/strong/history.hpp"

#include <algorithm>
#include <set>
#include <unordered_set>

namespace test {
namespace {

class Linearization {
 public:
  Linearization(std::vector<Operation> operations, std::size_t steps_max)
      : operations_(std::move(operations)), steps_left_(steps_max) {}

  // Whether the operations that are not done can follow.
  bool can_follow(std::uint64_t done, std::uint64_t written) {
    if (!seen_.insert(done).second) return false;
    if (steps_left_ == 0) return false;
    --steps_left_;
    // Nothing that has begun after another one's end comes before it.
    std::optional<std::uint64_t> first_end;
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      const Operation& each = operations_[i];
      if ((done >> i & 1) == 0 && each.ended && (!first_end || *each.ended < *first_end)) first_end = each.ended;
    }
    if (!first_end) return true;  // the others may never have happened
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      const Operation& each = operations_[i];
      if ((done >> i & 1) != 0 || each.begun > *first_end) continue;
      const bool is_read = each.kind == Operation::Kind::read;
      if (is_read && each.writes != written) continue;
      if (can_follow(done | std::uint64_t{1} << i, is_read ? written : written | each.writes)) return true;
    }
    return false;
  }

  bool has_run_out() const noexcept { return steps_left_ == 0; }

 private:
  std::vector<Operation> operations_;
  std::size_t steps_left_;
  std::unordered_set<std::uint64_t> seen_;
};

}  // namespace

std::optional<std::string> what_is_wrong(const std::vector<Operation>& history, std::size_t steps_max) {
  std::set<int> segments;
  for (const Operation& each : history) segments.insert(each.segment);
  for (const int segment : segments) {
    std::vector<Operation> of_segment;
    for (const Operation& each : history) {
      const bool is_lost_read = each.kind == Operation::Kind::read && !each.ended;
      if (each.segment == segment && !is_lost_read) of_segment.push_back(each);
    }
    if (of_segment.size() > 64) return "segment " + std::to_string(segment) + ": more than 64 operations";
    Linearization linearization(std::move(of_segment), steps_max);
    if (linearization.can_follow(0, 0)) continue;
    return "segment " + std::to_string(segment) +
           (linearization.has_run_out() ? ": not decided in time" : ": no order explains what was read");
  }
  return std::nullopt;
}

}  // namespace test
