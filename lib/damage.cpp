#include "lib/damage.hpp"

#include <utility>

namespace loam {

void DamageLog::note(std::uint64_t sequence) {
  std::function<void()> told;
  {
    const std::lock_guard lock(mutex_);
    if (noted_.insert(sequence).second) told = told_;
  }
  if (told) told();
}

std::set<std::uint64_t> DamageLog::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(noted_, {});
}

void DamageLog::listen(std::function<void()> told) {
  const std::lock_guard lock(mutex_);
  told_ = std::move(told);
}

}  // namespace loam
