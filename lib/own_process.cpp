#include "lib/own_process.hpp"

#include <sys/mman.h>

#include <atomic>

namespace loam {
namespace {

// A page that the kernel zeroes in a forked child; null where it cannot.
std::atomic<pid_t>* wiped_on_fork() noexcept {
  constexpr std::size_t octets = 4'096;
  void* const page = ::mmap(nullptr, octets, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return nullptr;
  if (::madvise(page, octets, MADV_WIPEONFORK) != 0) {
    (void)::munmap(page, octets);
    return nullptr;
  }
  return new (page) std::atomic<pid_t>(0);
}

}  // namespace

pid_t own_pid() noexcept {
  static_assert(std::atomic<pid_t>::is_always_lock_free);
  static std::atomic<pid_t>* const known = wiped_on_fork();
  if (known == nullptr) return ::getpid();
  pid_t id = known->load(std::memory_order_relaxed);
  if (id == 0) {
    id = ::getpid();
    known->store(id, std::memory_order_relaxed);
  }
  return id;
}

}  // namespace loam
