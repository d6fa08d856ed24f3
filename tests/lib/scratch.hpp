#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>

#include "crdt/error.hpp"

namespace loam::test {

/// A directory, 0700, that is gone at the end of its scope.
class Scratch {
 public:
  explicit Scratch(const std::filesystem::path& inside = std::filesystem::temp_directory_path()) {
    std::string pattern = (inside / "loam.XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no scratch directory");
    path_ = pattern;
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::filesystem::path operator/(const char* name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return {};
  std::string content(static_cast<std::size_t>(in.tellg()), '\0');
  in.seekg(0).read(content.data(), static_cast<std::streamsize>(content.size()));
  return content;
}

inline void write_file(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

/// The error that an action throws; absent when it throws none.
template <class Action>
std::optional<Error> error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

/// The kind of that error. Throws when there is none: the test fails.
template <class Action>
ErrorCode code_of(Action&& action) {
  const auto error = error_of(action);
  if (!error) throw std::runtime_error("nothing was thrown");
  return error->code();
}

template <class Action>
std::string message_of(Action&& action) {
  const auto error = error_of(action);
  if (!error) throw std::runtime_error("nothing was thrown");
  return error->what();
}

}  // namespace loam::test
