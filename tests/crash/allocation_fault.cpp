#include "tests/crash/allocation_fault.hpp"

#include <cerrno>
#include <cstddef>

namespace loam::test {
namespace {

struct State {
  std::uint64_t left = 0;  ///< until the one that fails, itself included; 0: none fails any more
  bool is_set = false;
  bool is_counting = false;
};

State state;

bool fails() noexcept {
  if (!state.is_counting || state.left == 0 || --state.left > 0) return false;
  errno = ENOMEM;
  return true;
}

}  // namespace

AllocationFault::AllocationFault(std::uint64_t number) noexcept { state = {number, true, false}; }
AllocationFault::~AllocationFault() { state = {}; }
bool AllocationFault::has_failed() const noexcept { return state.is_set && state.left == 0; }
void AllocationFault::set_counting(bool is_counting) noexcept { state.is_counting = is_counting; }

}  // namespace loam::test

extern "C" {

void* __libc_malloc(std::size_t size) noexcept;
void* __libc_calloc(std::size_t count, std::size_t size) noexcept;
void* __libc_realloc(void* old, std::size_t size) noexcept;
void* __libc_memalign(std::size_t alignment, std::size_t size) noexcept;

void* malloc(std::size_t size) noexcept {
  return loam::test::fails() ? nullptr : __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) noexcept {
  return loam::test::fails() ? nullptr : __libc_calloc(count, size);
}

void* realloc(void* old, std::size_t size) noexcept {
  return loam::test::fails() ? nullptr : __libc_realloc(old, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return loam::test::fails() ? nullptr : __libc_memalign(alignment, size);
}

int posix_memalign(void** to, std::size_t alignment, std::size_t size) noexcept {
  void* const at = loam::test::fails() ? nullptr : __libc_memalign(alignment, size);
  if (at == nullptr) return ENOMEM;
  *to = at;
  return 0;
}
}
