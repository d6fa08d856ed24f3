#include "lib/apply_pieces.hpp"

#include <utility>

#include "crdt/registry.hpp"

namespace loam {
namespace {

std::size_t size_of(const Apply& change) {
  std::size_t batches = 0;
  for (const auto& [actor, parts] : change.batches) batches += parts.size();
  return change.delta.live.size() + piece_records_of_batch * batches;
}

// Cuts pieces off a change, which keeps what is left.
class Cutting {
 public:
  explicit Cutting(Apply change) : left_(std::move(change)) {}

  std::vector<Apply> cut() {
    Context covered = std::exchange(left_.delta.context, {});
    for (auto& [actor, parts] : std::exchange(left_.batches, {})) {
      RangeSet brought;
      for (BatchPart& part : parts) {
        brought.insert(part.here);
        take(actor, std::move(part));
      }
      brought_.insert(actor, brought);
    }
    end_piece();
    for (const auto& [actor, counters] : covered) {
      const RangeSet others = counters.minus(brought_.of(actor));
      if (!others.empty()) left_.delta.context.insert(actor, others);
    }
    // Its ticket ends with it, whether anything is left or not: the position has to come last.
    if (left_.position || !left_.delta.empty() || pieces_.empty()) pieces_.push_back(std::move(left_));
    return std::move(pieces_);
  }

 private:
  void take(const ActorId& actor, BatchPart part) {
    const std::size_t more = part.here.count() + piece_records_of_batch;
    if (size_ > 0 && size_ + more > piece_records_max) end_piece();
    size_ += more;
    for (const Range& range : part.here) {
      for (std::uint64_t counter = range.first; counter <= range.last; ++counter) {
        piece_.delta.live.insert(piece_.delta.live.end(), left_.delta.live.extract({actor, counter}));
      }
    }
    piece_.delta.context.insert(actor, part.here);
    if (const auto claim = left_.authors.find(actor); claim != left_.authors.end()) piece_.authors.insert(*claim);
    piece_.batches[actor].push_back(std::move(part));
  }

  void end_piece() {
    if (size_ == 0) return;
    piece_.ticket = left_.ticket;
    piece_.segment = left_.segment;
    pieces_.push_back(std::exchange(piece_, {}));
    size_ = 0;
  }

  Apply left_;
  Apply piece_;
  std::size_t size_ = 0;
  Context brought_;
  std::vector<Apply> pieces_;
};

}  // namespace

std::vector<Apply> pieces_of(Apply change) {
  if (change.segment != registry_name && size_of(change) > piece_records_max) return Cutting(std::move(change)).cut();
  std::vector<Apply> pieces;
  pieces.push_back(std::move(change));
  return pieces;
}

}  // namespace loam
