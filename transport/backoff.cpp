#include "transport/backoff.hpp"

#include <algorithm>
#include <cassert>

namespace loam {

std::chrono::milliseconds Backoff::next(double random) noexcept {
  assert(random >= 0 && random < 1);
  const auto pause =
      static_cast<std::chrono::milliseconds::rep>(random * static_cast<double>(bound_.count()));
  bound_ = std::min(bound_ * 2, backoff_max);
  return std::chrono::milliseconds{pause};
}

void Backoff::ended(std::chrono::milliseconds established) noexcept {
  if (established >= backoff_settled) bound_ = backoff_base;
}

}  // namespace loam
