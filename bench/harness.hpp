#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

/// What one measurement found. `name` says the work ("store/batches"), the same for every
/// implementation of it.
struct Sample {
  std::string name;
  std::map<std::string, std::uint64_t> sizes;  ///< how much work it was
  std::map<std::string, double> values;        ///< units are in the names: seconds, octets, per_s
  std::string result;  ///< a hash or a count of what came out: the same every time
};

/// One run of a program: its sizes, its scratch directories, and where its samples go.
class Run {
 public:
  Run(std::string implementation, bool smoke, std::filesystem::path dir)
      : implementation_(std::move(implementation)), smoke_(smoke), dir_(std::move(dir)) {}

  bool smoke() const noexcept { return smoke_; }

  /// The real size, or the one for a look whether it works at all.
  std::size_t size(std::size_t real, std::size_t small) const noexcept {
    return smoke_ ? small : real;
  }

  /// A directory that does not exist yet, below one that is removed at the end.
  std::filesystem::path fresh();

  /// Says on a terminal how far the work is.
  void progress(std::string_view what, std::uint64_t done, std::uint64_t all) const;

  /// Prints a sample as one JSON object in a line.
  void report(const Sample& sample) const;

 private:
  std::string implementation_;
  bool smoke_;
  std::filesystem::path dir_;
  int made_ = 0;
};

using Part = void (*)(Run&);

/// The main function of a program: runs all its parts once, or those that --only names.
///   PROGRAM [--smoke] [--dir DIRECTORY] [--only PART]… [--rounds N] [--list]
/// A part that throws, or that does not get what it must, ends the program with 1. `implementation`
/// is what is measured: "loam", or a peer.
int run_parts(int argc, char** argv, const std::string& implementation,
              const std::vector<std::pair<std::string, Part>>& parts);

/// Throws when what came out is wrong: a benchmark that skips the work measures nothing.
void require(bool condition, const std::string& what);

/// Wall clock seconds that an action takes.
double seconds(const std::function<void()>& action);

/// Processor seconds of this process so far, in all its threads.
double processor_seconds();

/// Memory of a process in octets. Pages of mapped files are the kernel's cache, and go when it
/// needs them; anonymous ones stay.
struct MemoryUse {
  std::uint64_t anonymous = 0;
  std::uint64_t resident = 0;
};
MemoryUse memory_of(pid_t process);

/// The value below which that share of the values lies: 0.5 is the median. Not of none.
double percentile(std::vector<double> values, double share);

/// A directory that does not exist yet, in memory rather than on a disk; removed at the end, by the process that made it.
class InMemory {
 public:
  InMemory();
  InMemory(const InMemory&) = delete;
  InMemory& operator=(const InMemory&) = delete;
  ~InMemory();
  std::filesystem::path path() const { return root_ / "dir"; }

 private:
  std::filesystem::path root_;
  pid_t process_;
};

/// Octets of a directory's files on the disk.
std::uint64_t octets_on_disk(const std::filesystem::path& dir);

}  // namespace bench
