#include "tests/crash/small_disk.hpp"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace loam::test {
namespace {

constexpr const char* ballast = "ballast";

[[noreturn]] void not_permitted(const char* what) {
  throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

void write_line(const char* file, const std::string& line) { std::ofstream(file) << line; }

// A view of the file systems of our own: as root, or as root of a name space of our own.
void leave_name_space() {
  const uid_t user = getuid();
  const gid_t group = getgid();
  if (unshare(CLONE_NEWNS) != 0) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) not_permitted("unshare");
    write_line("/proc/self/setgroups", "deny");
    write_line("/proc/self/uid_map", "0 " + std::to_string(user) + " 1");
    write_line("/proc/self/gid_map", "0 " + std::to_string(group) + " 1");
  }
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) not_permitted("mount /");
}

}  // namespace

SmallDisk::SmallDisk() {
  leave_name_space();
  std::string pattern = (std::filesystem::temp_directory_path() / "loam-disk.XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) not_permitted("mkdtemp");
  path_ = pattern;
  if (mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=4m,mode=0700") != 0) {
    const int code = errno;
    (void)rmdir(path_.c_str());
    errno = code;
    not_permitted("mount tmpfs");
  }
}

SmallDisk::~SmallDisk() {
  (void)umount2(path_.c_str(), MNT_DETACH);
  (void)rmdir(path_.c_str());
}

void SmallDisk::fill(std::uint64_t octets_left) const {
  const auto space = std::filesystem::space(path_);
  if (space.available <= octets_left) return;
  const std::string octets(space.available - octets_left, 'x');
  std::ofstream(path_ / ballast, std::ios::binary | std::ios::app) << octets;
}

void SmallDisk::empty() const { std::filesystem::remove(path_ / ballast); }

}  // namespace loam::test
