#include "tests/support/allocations.hpp"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace {

std::size_t largest = 0;
std::uint64_t made = 0;
std::size_t in_use = 0;

void* allocate(std::size_t size) noexcept {
  ++made;
  largest = std::max(largest, size);
  void* memory = std::malloc(std::max<std::size_t>(size, 1));
  if (memory != nullptr) in_use += ::malloc_usable_size(memory);
  return memory;
}

void release(void* memory) noexcept {
  if (memory != nullptr) in_use -= ::malloc_usable_size(memory);
  std::free(memory);
}

void* allocate_or_throw(std::size_t size) {
  if (void* memory = allocate(size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return allocate_or_throw(size); }
void* operator new[](std::size_t size) { return allocate_or_throw(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { release(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { release(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { release(memory); }

namespace test {

std::size_t largest_allocation(const std::function<void()>& action) {
  largest = 0;
  action();
  return largest;
}

std::uint64_t allocations() { return made; }
std::size_t octets_in_use() { return in_use; }

}  // namespace test
