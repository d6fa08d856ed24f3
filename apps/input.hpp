#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace loam::cli {

/// The longest line of a batch, and the longest envelope, in octets.
inline constexpr std::size_t line_octets_max = std::size_t{1} << 20;

/// A line without its end, or the start of one that was longer than the reader takes.
struct Line {
  std::uint64_t number = 0;  ///< from 1
  std::string text;
  bool is_too_long = false;
};

/// A file, or standard input for "-". Throws Error(failed) when it cannot be opened or read. One
/// thread. Reads the lines in bounded memory: of a longer one it keeps `octets_max` octets and
/// skips the rest.
class LineReader {
 public:
  LineReader(const std::string& file, std::size_t octets_max);
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;
  ~LineReader();

  /// The next line; absent at the end. A last line may lack its end.
  std::optional<Line> next();

  /// How much of the file has been read, 0 to 1; absent when it has no size (a pipe).
  std::optional<double> share() const noexcept;

 private:
  bool fill();

  std::string file_;
  int descriptor_;
  std::size_t octets_max_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::uint64_t number_ = 0;
  std::uint64_t read_ = 0;  ///< octets
  std::uint64_t size_ = 0;  ///< octets; 0: unknown
};

/// The whole content of a file, or of standard input for "-". Throws Error(failed) as above,
/// Error(limit) when it is longer.
std::string read_whole(const std::string& file, std::size_t octets_max);

/// A TEXT argument: itself, or standard input without the last line end for "-".
std::string text_argument(const std::string& argument);

}  // namespace loam::cli
