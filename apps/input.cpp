#include "apps/input.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "crdt/error.hpp"

namespace loam::cli {
namespace {

constexpr std::size_t buffer_octets = 64 * 1024;

std::string name_of(const std::string& file) { return file == "-" ? "standard input" : file; }

[[noreturn]] void fail(const std::string& file, int number) {
  throw Error(ErrorCode::failed, name_of(file) + ": " + std::strerror(number));
}

int open_file(const std::string& file) {
  if (file == "-") return STDIN_FILENO;
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(file, errno);
  return descriptor;
}

std::uint64_t size_of(int descriptor) noexcept {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return 0;
  return static_cast<std::uint64_t>(status.st_size);
}

}  // namespace

LineReader::LineReader(const std::string& file, std::size_t octets_max)
    : file_(file),
      descriptor_(open_file(file)),
      octets_max_(octets_max),
      buffer_(buffer_octets),
      size_(size_of(descriptor_)) {}

LineReader::~LineReader() {
  if (descriptor_ != STDIN_FILENO) ::close(descriptor_);
}

/// Whether there are octets in the buffer now.
bool LineReader::fill() {
  if (begin_ < end_) return true;
  ssize_t count = -1;
  do {
    count = ::read(descriptor_, buffer_.data(), buffer_.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0) fail(file_, errno);
  begin_ = 0;
  end_ = static_cast<std::size_t>(count);
  read_ += end_;
  return count > 0;
}

std::optional<Line> LineReader::next() {
  if (!fill()) return std::nullopt;
  Line line{.number = ++number_};
  while (fill()) {
    const auto from = buffer_.begin() + static_cast<std::ptrdiff_t>(begin_);
    const auto until = buffer_.begin() + static_cast<std::ptrdiff_t>(end_);
    const auto line_end = std::find(from, until, '\n');
    const auto length = static_cast<std::size_t>(line_end - from);
    const std::size_t room = octets_max_ - line.text.size();
    line.text.append(&*from, std::min(length, room));
    if (length > room) line.is_too_long = true;
    begin_ += length;
    if (line_end == until) continue;
    ++begin_;
    break;
  }
  return line;
}

std::optional<double> LineReader::share() const noexcept {
  if (size_ == 0) return std::nullopt;
  return std::min(1.0, static_cast<double>(read_) / static_cast<double>(size_));
}

std::string read_whole(const std::string& file, std::size_t octets_max) {
  LineReader reader(file, octets_max);
  std::string whole;
  bool is_first = true;
  while (auto line = reader.next()) {
    if (!is_first) whole += '\n';
    is_first = false;
    whole += line->text;
    if (line->is_too_long || whole.size() > octets_max) {
      throw Error(ErrorCode::limit, name_of(file) + ": longer than the limit of " +
                                        std::to_string(octets_max) + " octets");
    }
  }
  return whole;
}

std::string text_argument(const std::string& argument) {
  return argument == "-" ? read_whole("-", line_octets_max) : argument;
}

}  // namespace loam::cli
