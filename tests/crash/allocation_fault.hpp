#pragma once

#include <cstdint>

namespace loam::test {

/// Lets one allocation fail: malloc, calloc, realloc, posix_memalign or aligned_alloc by anything
/// in this process, operator new included, counted only while a call runs inside
/// `AllocationFault::count`. Works because the executable defines those functions itself. One at a
/// time; one thread.
class AllocationFault {
 public:
  /// The number of the allocation that fails, from 1.
  explicit AllocationFault(std::uint64_t number) noexcept;
  AllocationFault(const AllocationFault&) = delete;
  AllocationFault& operator=(const AllocationFault&) = delete;
  ~AllocationFault();

  /// Whether it has come to that.
  bool has_failed() const noexcept;

  template <class Call>
  void count(Call&& call) {
    struct Counting {
      Counting() noexcept { set_counting(true); }
      ~Counting() { set_counting(false); }
    } counting;
    call();
  }

 private:
  static void set_counting(bool is_counting) noexcept;
};

}  // namespace loam::test
