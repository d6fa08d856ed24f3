#pragma once

#include <filesystem>

namespace loam {

/// A directory that is made under another name beside its place, and appears there whole or not at all.
class Staging {
 public:
  /// Throws Error(invalid) when something other than an empty directory is at the place, Error(denied), Error(failed).
  explicit Staging(const std::filesystem::path& place);
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  /// Removes what has not appeared.
  ~Staging();

  const std::filesystem::path& path() const noexcept { return path_; }

  /// Copies a file into it, 0600 and durable; directories on the way are made, 0700. Returns its octets.
  std::uint64_t add(const std::filesystem::path& file, const std::filesystem::path& name) const;

  /// Lets it appear, durably. What is in it is durable already.
  void appear();

 private:
  std::filesystem::path place_;
  std::filesystem::path path_;
};

}  // namespace loam
