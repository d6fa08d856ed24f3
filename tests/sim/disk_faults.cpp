#include "tests/sim/disk_faults.hpp"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

namespace loam::sim {
namespace {

constexpr std::size_t page_octets = 4'096;

std::optional<DiskFault> fault;
bool has_failed = false;

bool fails() {
  if (!fault) return false;
  if (fault->after > 0) {
    --fault->after;
    return false;
  }
  if (fault->failures == 0) return false;
  --fault->failures;
  has_failed = true;
  errno = fault->error;
  return true;
}

}  // namespace

void break_disk(const DiskFault& next) {
  fault = next;
  has_failed = false;
}

bool mend_disk() {
  fault.reset();
  return std::exchange(has_failed, false);
}

}  // namespace loam::sim

using namespace loam::sim;

// The plain name: headers give the call another one where files may be large.
extern "C" ssize_t replaced_pwrite(int file, const void* from, size_t size,
                                   off_t offset) __asm__("pwrite");

extern "C" ssize_t replaced_pwrite(int file, const void* from, size_t size, off_t offset) {
  if (!fails()) return syscall(SYS_pwrite64, file, from, size, offset);
  if (fault->is_torn && size >= page_octets) {
    (void)!syscall(SYS_pwrite64, file, from, size / 2, offset);
    errno = fault->error;
  }
  return -1;
}

extern "C" ssize_t writev(int file, const iovec* parts, int count) {
  if (!fails()) return syscall(SYS_writev, file, parts, count);
  if (fault->is_torn && count > 1) {
    (void)!syscall(SYS_writev, file, parts, count / 2);
    errno = fault->error;
  }
  return -1;
}

extern "C" int fdatasync(int file) {
  if (fails()) return -1;
  return static_cast<int>(syscall(SYS_fdatasync, file));
}
