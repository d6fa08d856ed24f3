#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace test {

/// The size of the largest single allocation by `new` that an action makes, in octets.
std::size_t largest_allocation(const std::function<void()>& action);

/// How many allocations `new` has made in this process, which has one thread.
std::uint64_t allocations();

/// Octets that are allocated by `new` in this process now, as the allocator rounds them.
std::size_t octets_in_use();

}  // namespace test
