#include "tests/crash/disk_watch.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <utility>

#include "tests/support/gen.hpp"

namespace loam::test {
namespace {

constexpr std::string_view data_file = "data.mdb";

std::atomic<DiskWatch*> active{nullptr};
std::atomic<int> one_identity{0};

ssize_t plain_pwrite(int file, const void* octets, std::size_t size, std::uint64_t offset) {
  return syscall(SYS_pwrite64, file, octets, size, offset);
}

Bytes joined(std::span<const iovec> parts) {
  Bytes all;
  for (const iovec& part : parts) {
    const auto* const from = static_cast<const std::byte*>(part.iov_base);
    all.insert(all.end(), from, from + part.iov_len);
  }
  return all;
}

bool is_flushed(int file) { return (fcntl(file, F_GETFL) & O_DSYNC) != 0; }

}  // namespace

DiskWatch::DiskWatch(const std::filesystem::path& dir, const Fault& fault)
    : dir_(std::filesystem::canonical(dir)), fault_(fault) {
  [[maybe_unused]] DiskWatch* const other = active.exchange(this);
  assert(other == nullptr);
}

DiskWatch::~DiskWatch() { active = nullptr; }

void DiskWatch::mark(DiskEvent::Kind kind, const std::string& environment, std::uint64_t number) {
  note({.kind = kind, .environment = environment, .number = number});
}

void DiskWatch::fail(const Fault& fault) noexcept {
  fault_ = fault;
  calls_ = 0;
  put_back_fails_ = false;
}

std::optional<std::string> DiskWatch::environment_of(const char* path) const {
  const std::filesystem::path file(path);
  const auto inside = file.lexically_relative(dir_);
  if (inside.empty() || *inside.begin() == ".." || *inside.begin() == ".") return std::nullopt;
  const bool is_directory = std::distance(inside.begin(), inside.end()) == 1;
  if (!is_directory && file.filename() != data_file) return std::nullopt;
  return inside.begin()->string();
}

std::optional<std::string> DiskWatch::environment_of(int file) {
  struct stat status {};
  if (fstat(file, &status) != 0) return std::nullopt;
  if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) return std::nullopt;
  const std::pair key{status.st_dev, status.st_ino};
  const auto known = files_.find(key);
  if (known != files_.end()) return known->second;
  std::array<char, 4096> path{};
  const std::string name = "/proc/self/fd/" + std::to_string(file);
  const ssize_t size = readlink(name.c_str(), path.data(), path.size() - 1);
  const auto environment = size > 0 ? environment_of(path.data()) : std::nullopt;
  files_.emplace(key, environment);
  return environment;
}

bool DiskWatch::fails(Fault::Call call) noexcept {
  if (fault_.call != call) return false;
  ++calls_;
  const bool is_due = fault_.lasts ? calls_ >= fault_.number : calls_ == fault_.number;
  if (is_due) ++failures_;
  return is_due;
}

// LMDB tries to take a meta page back that the disk refused.
bool DiskWatch::may_not_put_back(std::uint64_t offset) noexcept {
  constexpr std::uint64_t meta_octets = 2 * 4'096;
  if (fault_.call != Fault::Call::meta_lost || offset >= meta_octets) return false;
  return fault_.lasts ? put_back_fails_ : std::exchange(put_back_fails_, false);
}

ssize_t DiskWatch::write(int file, const std::string& environment, std::span<const iovec> parts,
                         std::uint64_t offset, bool moves) {
  Bytes octets = joined(parts);
  const bool flushes = is_flushed(file);
  if (!flushes && may_not_put_back(offset)) {
    errno = EIO;
    return -1;
  }
  if (fails(flushes ? Fault::Call::meta_write : Fault::Call::write)) {
    if (fault_.code != 0) {
      errno = fault_.code;
      return -1;
    }
    octets.resize(octets.size() / 2);
  }
  const ssize_t written = plain_pwrite(file, octets.data(), octets.size(), offset);
  if (written < 0) return written;
  octets.resize(static_cast<std::size_t>(written));
  if (moves) (void)lseek(file, static_cast<off_t>(offset) + written, SEEK_SET);
  const bool loses = flushes && (fails(Fault::Call::meta_sync) || fails(Fault::Call::meta_lost));
  note({flushes && !loses ? DiskEvent::Kind::flushed_write : DiskEvent::Kind::write, environment,
        offset, std::move(octets)});
  if (!loses) return written;
  put_back_fails_ = true;
  note({DiskEvent::Kind::failed_sync, environment});
  errno = fault_.code;
  return -1;
}

int DiskWatch::sync(int file, const std::string& environment, long call) {
  struct stat status {};
  const bool is_directory = fstat(file, &status) == 0 && S_ISDIR(status.st_mode);
  if (fails(Fault::Call::sync)) {
    if (!is_directory) note({DiskEvent::Kind::failed_sync, environment});
    errno = fault_.code;
    return -1;
  }
  const auto result = static_cast<int>(syscall(call, file));
  if (result == 0) {
    note({is_directory ? DiskEvent::Kind::sync_directory : DiskEvent::Kind::sync, environment});
  }
  return result;
}

// Room at the end of a file reads as zeros.
int DiskWatch::extend(int file, const std::string& environment, std::uint64_t offset,
                      std::uint64_t octets) {
  const auto result = static_cast<int>(syscall(SYS_fallocate, file, 0, offset, octets));
  if (result == 0) note({DiskEvent::Kind::write, environment, offset, Bytes(octets)});
  return result;
}

void DiskWatch::link(const std::string& environment) { note({DiskEvent::Kind::link, environment}); }

OneFileIdentity::OneFileIdentity() { ++one_identity; }
OneFileIdentity::~OneFileIdentity() { --one_identity; }

namespace {

::test::Gen& random_octets() {
  static ::test::Gen gen(0);
  return gen;
}

const char* random_name_of_source() { return "seeded"; }
std::uint32_t random_number() { return static_cast<std::uint32_t>(random_octets().bits()); }
void random_fill(void* to, std::size_t size) {
  auto* const octets = static_cast<std::byte*>(to);
  for (std::size_t i = 0; i < size; ++i) octets[i] = static_cast<std::byte>(random_number());
}

}  // namespace

void seed_random_octets(std::uint64_t seed) {
  static randombytes_implementation source{random_name_of_source, random_number, nullptr, nullptr,
                                           random_fill,           nullptr};
  random_octets() = ::test::Gen(seed);
  (void)randombytes_set_implementation(&source);
}

namespace {

// What replaces one of the functions that write.
ssize_t watched_write(int file, std::span<const iovec> parts, std::optional<off_t> offset,
                      ssize_t (*plain)(int, std::span<const iovec>, off_t)) {
  DiskWatch* const watch = active;
  if (watch != nullptr) {
    if (const auto environment = watch->environment_of(file)) {
      const off_t at = offset ? *offset : lseek(file, 0, SEEK_CUR);
      return watch->write(file, *environment, parts, static_cast<std::uint64_t>(at), !offset);
    }
  }
  return plain(file, parts, offset.value_or(0));
}

int watched_sync(int file, long call) {
  DiskWatch* const watch = active;
  if (watch != nullptr) {
    if (const auto environment = watch->environment_of(file)) {
      return watch->sync(file, *environment, call);
    }
  }
  return static_cast<int>(syscall(call, file));
}

ssize_t watched_pwrite(int file, const void* octets, std::size_t size, off_t offset) {
  const iovec part{const_cast<void*>(octets), size};
  return watched_write(file, {&part, 1}, offset,
                       [](int to, std::span<const iovec> parts, off_t at) -> ssize_t {
                         return syscall(SYS_pwrite64, to, parts[0].iov_base, parts[0].iov_len, at);
                       });
}

ssize_t watched_pwritev(int file, const iovec* parts, int count, off_t offset) {
  return watched_write(file, {parts, static_cast<std::size_t>(count)}, offset,
                       [](int to, std::span<const iovec> all, off_t at) -> ssize_t {
                         return syscall(SYS_pwritev, to, all.data(), all.size(), at, 0);
                       });
}

int watched_fallocate(int file, int mode, off_t offset, off_t octets) {
  DiskWatch* const watch = active;
  if (watch != nullptr && mode == 0) {
    if (const auto environment = watch->environment_of(file)) {
      return watch->extend(file, *environment, static_cast<std::uint64_t>(offset),
                           static_cast<std::uint64_t>(octets));
    }
  }
  return static_cast<int>(syscall(SYS_fallocate, file, mode, offset, octets));
}

}  // namespace

// The names are given by hand, because the headers rename some of these functions.
extern "C" {

ssize_t loam_test_write(int file, const void* octets, std::size_t size) __asm__("write");
ssize_t loam_test_writev(int file, const iovec* parts, int count) __asm__("writev");
ssize_t loam_test_pwrite(int file, const void* octets, std::size_t size,
                         off_t offset) __asm__("pwrite");
ssize_t loam_test_pwrite64(int file, const void* octets, std::size_t size,
                           off_t offset) __asm__("pwrite64");
ssize_t loam_test_pwritev(int file, const iovec* parts, int count, off_t offset) __asm__("pwritev");
ssize_t loam_test_pwritev64(int file, const iovec* parts, int count,
                            off_t offset) __asm__("pwritev64");
int loam_test_fsync(int file) __asm__("fsync");
int loam_test_fdatasync(int file) __asm__("fdatasync");
int loam_test_link(const char* from, const char* to) __asm__("link");
int loam_test_fallocate(int file, int mode, off_t offset, off_t octets) __asm__("fallocate");
int loam_test_fallocate64(int file, int mode, off_t offset, off_t octets) __asm__("fallocate64");
int loam_test_statx(int dir, const char* path, int flags, unsigned mask,
                    struct statx* status) __asm__("statx");

ssize_t loam_test_write(int file, const void* octets, std::size_t size) {
  const iovec part{const_cast<void*>(octets), size};
  return watched_write(file, {&part, 1}, std::nullopt,
                       [](int to, std::span<const iovec> parts, off_t) -> ssize_t {
                         return syscall(SYS_write, to, parts[0].iov_base, parts[0].iov_len);
                       });
}

ssize_t loam_test_writev(int file, const iovec* parts, int count) {
  return watched_write(file, {parts, static_cast<std::size_t>(count)}, std::nullopt,
                       [](int to, std::span<const iovec> all, off_t) -> ssize_t {
                         return syscall(SYS_writev, to, all.data(), all.size());
                       });
}

ssize_t loam_test_pwrite(int file, const void* octets, std::size_t size, off_t offset) {
  return watched_pwrite(file, octets, size, offset);
}

ssize_t loam_test_pwrite64(int file, const void* octets, std::size_t size, off_t offset) {
  return watched_pwrite(file, octets, size, offset);
}

ssize_t loam_test_pwritev(int file, const iovec* parts, int count, off_t offset) {
  return watched_pwritev(file, parts, count, offset);
}

ssize_t loam_test_pwritev64(int file, const iovec* parts, int count, off_t offset) {
  return watched_pwritev(file, parts, count, offset);
}

int loam_test_fsync(int file) { return watched_sync(file, SYS_fsync); }

int loam_test_fdatasync(int file) { return watched_sync(file, SYS_fdatasync); }

int loam_test_link(const char* from, const char* to) {
  const auto result = static_cast<int>(syscall(SYS_link, from, to));
  DiskWatch* const watch = active;
  if (result == 0 && watch != nullptr) {
    if (const auto environment = watch->environment_of(to)) watch->link(*environment);
  }
  return result;
}

int loam_test_fallocate(int file, int mode, off_t offset, off_t octets) {
  return watched_fallocate(file, mode, offset, octets);
}

int loam_test_fallocate64(int file, int mode, off_t offset, off_t octets) {
  return watched_fallocate(file, mode, offset, octets);
}

int loam_test_statx(int dir, const char* path, int flags, unsigned mask, struct statx* status) {
  const auto result = static_cast<int>(syscall(SYS_statx, dir, path, flags, mask, status));
  if (result != 0 || one_identity == 0 || !std::string_view(path).ends_with(data_file)) {
    return result;
  }
  status->stx_mask |= STATX_BTIME;
  status->stx_ino = 1;
  status->stx_btime.tv_sec = 1;
  status->stx_btime.tv_nsec = 1;
  return result;
}
}

}  // namespace loam::test
