#include "lib/turns.hpp"

#include <algorithm>
#include <utility>

namespace loam {

void Turns::add(const InstanceId& peer, std::shared_ptr<SlicedWork> work) {
  const std::size_t slices = work->slices();
  lines_[peer].items.push_back({std::move(work), 0, slices});
  waiting_.insert(peer);
}

std::optional<Turns::Slice> Turns::next() {
  if (waiting_.empty()) return std::nullopt;
  auto turn = waiting_.upper_bound(last_);
  if (turn == waiting_.end()) turn = waiting_.begin();
  last_ = *turn;
  Line& line = lines_.at(last_);
  Item& item = line.items[line.given];
  Slice slice{last_, item.work, item.given++};
  if (item.given == item.work->slices() && ++line.given == line.items.size()) waiting_.erase(turn);
  return slice;
}

std::vector<std::shared_ptr<SlicedWork>> Turns::done(const Slice& slice) {
  const auto at = lines_.find(slice.peer);
  Line& line = at->second;
  const auto item = std::find_if(line.items.begin(), line.items.end(),
                                 [&](const Item& each) { return each.work == slice.work; });
  --item->left;
  std::vector<std::shared_ptr<SlicedWork>> ended;
  for (; !line.items.empty() && line.items.front().left == 0; line.items.pop_front(), --line.given) {
    ended.push_back(std::move(line.items.front().work));
  }
  if (line.items.empty()) lines_.erase(at);
  return ended;
}

}  // namespace loam
