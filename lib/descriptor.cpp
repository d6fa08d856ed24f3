#include "lib/descriptor.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace loam {

ErrorCode code_of_errno(int code) noexcept {
  switch (code) {
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP: return ErrorCode::denied;  // ELOOP: O_NOFOLLOW met a symlink
    case ENOSPC:
    case EDQUOT: return ErrorCode::out_of_space;
    default: return ErrorCode::failed;
  }
}

void throw_errno(int code, const std::string& what) {
  throw Error(code_of_errno(code), what + ": " + std::strerror(code));
}

Descriptor::~Descriptor() {
  if (number_ >= 0) (void)close(number_);
}

void sync(const Descriptor& file, const std::filesystem::path& path) {
  if (fsync(file.number()) != 0) throw_errno(errno, path.string() + ": cannot make it durable");
}

void sync_directory(const std::filesystem::path& dir) {
  const Descriptor directory(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.number() < 0) throw_errno(errno, dir.string() + ": cannot open it");
  sync(directory, dir);
}

}  // namespace loam
