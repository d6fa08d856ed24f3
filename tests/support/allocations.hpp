#pragma once

#include <cstddef>
#include <functional>

namespace test {

/// The size of the largest single allocation by `new` that an action makes, in octets.
std::size_t largest_allocation(const std::function<void()>& action);

}  // namespace test
