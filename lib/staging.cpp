#include "lib/staging.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "crdt/error.hpp"
#include "lib/descriptor.hpp"

namespace loam {
namespace {

namespace fs = std::filesystem;

// As given, but without a slash at the end, which would leave it no name.
fs::path named(const fs::path& place) {
  fs::path whole = fs::absolute(place).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

void require_free(const fs::path& place) {
  struct stat status {};
  if (::lstat(place.c_str(), &status) != 0) {
    if (errno == ENOENT) return;
    throw_errno(errno, place.string() + ": cannot be looked at");
  }
  std::error_code failure;
  const bool is_free = S_ISDIR(status.st_mode) && fs::is_empty(place, failure);
  if (failure) throw_errno(failure.value(), place.string() + ": cannot be looked at");
  if (!is_free) throw Error(ErrorCode::invalid, place.string() + ": is not an empty directory");
}

}  // namespace

Staging::Staging(const fs::path& place) : place_(named(place)) {
  require_free(place_);
  std::string made = (place_.parent_path() / ".loam-staging-XXXXXX").string();
  if (::mkdtemp(made.data()) == nullptr) {
    throw_errno(errno, place_.parent_path().string() + ": cannot make a directory in it");
  }
  path_ = made;
}

Staging::~Staging() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

std::uint64_t Staging::add(const fs::path& file, const fs::path& name) const {
  const fs::path target = path_ / name;
  if (target.parent_path() != path_ && ::mkdir(target.parent_path().c_str(), S_IRWXU) != 0 && errno != EEXIST) {
    throw_errno(errno, target.parent_path().string() + ": cannot make it");
  }
  const Descriptor from(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (from.number() < 0) throw_errno(errno, file.string() + ": cannot read it");
  struct stat status {};
  if (::fstat(from.number(), &status) != 0) throw_errno(errno, file.string() + ": cannot read it");
  if (!S_ISREG(status.st_mode)) throw Error(ErrorCode::denied, file.string() + ": is not a file");
  const Descriptor to(::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
  if (to.number() < 0) throw_errno(errno, target.string() + ": cannot make it");
  std::array<char, 1 << 16> octets;
  std::uint64_t copied = 0;
  for (;;) {
    const auto got = ::read(from.number(), octets.data(), octets.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno(errno, file.string() + ": cannot read it");
    if (got == 0) break;
    for (std::size_t done = 0; done < static_cast<std::size_t>(got);) {
      const auto wrote = ::write(to.number(), octets.data() + done, static_cast<std::size_t>(got) - done);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) throw_errno(errno, target.string() + ": cannot write it");
      done += static_cast<std::size_t>(wrote);
    }
    copied += static_cast<std::uint64_t>(got);
  }
  sync(to, target);
  sync_directory(target.parent_path());
  return copied;
}

void Staging::appear() {
  sync_directory(path_);
  if (::rename(path_.c_str(), place_.c_str()) != 0) {
    if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR) {
      throw Error(ErrorCode::invalid, place_.string() + ": is not an empty directory");
    }
    throw_errno(errno, place_.string() + ": cannot make it");
  }
  path_.clear();
  sync_directory(place_.parent_path());
}

}  // namespace loam
