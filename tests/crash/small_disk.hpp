#pragma once

#include <filesystem>
#include <string>

namespace loam::test {

/// A file system of 4 MiB in memory, mounted where only this process sees it; gone with the
/// process.
class SmallDisk {
 public:
  /// Mounts it. Throws std::runtime_error, saying why, where that is not permitted.
  SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk();

  const std::filesystem::path& path() const noexcept { return path_; }

  /// Takes all of the space but about that many octets.
  void fill(std::uint64_t octets_left) const;

  /// Gives it back.
  void empty() const;

 private:
  std::filesystem::path path_;
};

}  // namespace loam::test
