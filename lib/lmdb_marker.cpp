#include "lib/lmdb_marker.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace loam::lmdb {
namespace {

constexpr const char* file_name = "open";

std::string read_all(int file) {
  std::array<char, 256> octets{};
  const auto got = ::pread(file, octets.data(), octets.size(), 0);
  return got > 0 ? std::string(octets.data(), static_cast<std::size_t>(got)) : std::string();
}

// Whether the name still stands for the file: whoever cleared the mark before us has taken it away.
bool is_named(const Descriptor& file, const std::filesystem::path& path) {
  struct stat ours {};
  struct stat named {};
  return ::fstat(file.number(), &ours) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

}  // namespace

std::string boot_id() {
  const Descriptor file(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  if (file.number() < 0) return {};
  std::array<char, 64> octets{};
  const auto got = ::read(file.number(), octets.data(), octets.size());
  return got > 0 ? std::string(octets.data(), static_cast<std::size_t>(got)) : std::string();
}

Marker::Marker(std::filesystem::path dir, std::string boot)
    : dir_(std::move(dir)), boot_(std::move(boot)) {}

// The file, with a lock of that kind; absent when there is none and it is not to be made, or when it
// cannot be had without waiting and the lock says so.
std::optional<Descriptor> Marker::locked(int flags, int lock) const {
  const auto path = dir_ / file_name;
  for (;;) {
    Descriptor file(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.number() < 0) {
      if (errno == ENOENT) return std::nullopt;
      throw_errno(errno, path.string() + ": cannot open it");
    }
    while (::flock(file.number(), lock) != 0) {
      if (errno == EWOULDBLOCK) return std::nullopt;
      if (errno != EINTR) throw_errno(errno, path.string() + ": cannot lock it");
    }
    if (is_named(file, path)) return file;
  }
}

bool Marker::settle(const std::function<void()>& check) {
  const auto path = dir_ / file_name;
  {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (file.number() < 0) return false;
    if (read_all(file.number()) == boot_) return locked(O_RDWR, LOCK_EX | LOCK_NB).has_value();
  }
  const auto file = locked(O_RDWR, LOCK_EX);
  if (!file || read_all(file->number()) == boot_) return false;
  check();
  (void)::unlink(path.c_str());
  return false;
}

void Marker::set() {
  if (held_) return;
  auto file = locked(O_RDWR | O_CREAT, LOCK_SH);
  const auto path = dir_ / file_name;
  const auto wrote = ::pwrite(file->number(), boot_.data(), boot_.size(), 0);
  if (wrote != static_cast<ssize_t>(boot_.size())) {
    throw_errno(wrote < 0 ? errno : ENOSPC, path.string() + ": cannot write it");
  }
  sync(*file, path);
  sync_directory(dir_);
  held_.emplace(std::move(*file));
}

void Marker::clear() noexcept {
  if (!held_) return;
  const bool is_last = ::flock(held_->number(), LOCK_EX | LOCK_NB) == 0;
  if (is_last) (void)::unlink((dir_ / file_name).c_str());
  held_.reset();
}

}  // namespace loam::lmdb
