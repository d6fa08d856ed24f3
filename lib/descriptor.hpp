#pragma once

#include <filesystem>
#include <string>

#include "crdt/error.hpp"

namespace loam {

/// The kind of error that an errno is: denied, out_of_space or failed.
ErrorCode code_of_errno(int code) noexcept;

/// Throws Error for an errno; `what` is the thing and what was done to it.
[[noreturn]] void throw_errno(int code, const std::string& what);

/// A file descriptor that is closed at the end of its scope. One thread at a time.
class Descriptor {
 public:
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.number_) { other.number_ = -1; }
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor();

  int number() const noexcept { return number_; }

 private:
  int number_;
};

/// Makes what was written durable. `path` is its name. Throws Error(failed), Error(out_of_space).
void sync(const Descriptor& file, const std::filesystem::path& path);

/// Makes the names in a directory durable. Throws as `sync`, and Error(denied).
void sync_directory(const std::filesystem::path& dir);

}  // namespace loam
