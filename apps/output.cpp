#include "apps/output.hpp"

#include <unistd.h>

#include <array>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "apps/text.hpp"

namespace loam::cli {
namespace {

constexpr std::size_t pending_max = 64 * 1024;
constexpr std::size_t complaints_max = 100;
constexpr std::chrono::milliseconds progress_every{100};

/// Writes everything; the error number of what went wrong, 0 when nothing did.
int write_all(int descriptor, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

void append_double(std::string& out, double number) {
  std::array<char, 32> text{};
  const auto [end, failure] = std::to_chars(text.data(), text.data() + text.size(), number);
  const std::string_view digits(text.data(), static_cast<std::size_t>(end - text.data()));
  if (digits.find_first_of("in") != std::string_view::npos) {  // inf, nan: JSON has neither
    out += number > 0 ? "1e99999" : "-1e99999";
    return;
  }
  out += digits;
  if (digits.find_first_of(".e") == std::string_view::npos) out += ".0";
}

void append_text(std::string& out, std::string_view text) {
  out += boost::json::serialize(boost::json::string(as_utf8(text)));
}

void append(std::string& out, const boost::json::value& value);

void append_object(std::string& out, const boost::json::object& object) {
  const char* separator = "{";
  for (const auto& [key, value] : object) {
    out += separator;
    append_text(out, key);
    out += ':';
    append(out, value);
    separator = ",";
  }
  out += object.empty() ? "{}" : "}";
}

void append_array(std::string& out, const boost::json::array& array) {
  const char* separator = "[";
  for (const auto& value : array) {
    out += separator;
    append(out, value);
    separator = ",";
  }
  out += array.empty() ? "[]" : "]";
}

void append(std::string& out, const boost::json::value& value) {
  switch (value.kind()) {
    case boost::json::kind::object: return append_object(out, value.get_object());
    case boost::json::kind::array: return append_array(out, value.get_array());
    case boost::json::kind::double_: return append_double(out, value.get_double());
    case boost::json::kind::string: return append_text(out, value.get_string());
    default: out += boost::json::serialize(value);
  }
}

/// `[######              ] 30 %`
std::string bar(double share) {
  constexpr std::size_t columns = 20;
  const auto full = static_cast<std::size_t>(share * columns);
  std::string out = "[" + std::string(full, '#') + std::string(columns - full, ' ') + "] ";
  return out + std::to_string(static_cast<int>(share * 100)) + " %";
}

std::string hint_of(const Error& error) {
  if (const auto* hinted = dynamic_cast<const HintedError*>(&error)) return hinted->hint();
  if (error.code() == ErrorCode::unknown_segment) return "`loam status` lists the segments";
  return {};
}

}  // namespace

void Output::write(std::string_view text) {
  pending_ += text;
  if (pending_.size() >= pending_max) flush();
}

void Output::flush() {
  const int failure = write_all(STDOUT_FILENO, pending_);
  pending_.clear();
  if (failure == EPIPE || failure == EBADF) throw OutputClosed();
  if (failure != 0) {
    throw Error(ErrorCode::failed, std::string("standard output: ") + std::strerror(failure));
  }
}

void Output::write_line(const boost::json::value& value) { write(serialized(value) + "\n"); }

std::string serialized(const boost::json::value& value) {
  std::string out;
  append(out, value);
  return out;
}

void ItemStream::add(std::string_view json) {
  out_.write(has_started_ ? "," : "{\"items\":[");
  out_.write(json);
  has_started_ = true;
}

void ItemStream::finish(const boost::json::object& rest) {
  out_.write(has_started_ ? "]" : "{\"items\":[]");
  for (const auto& [key, value] : rest) {
    std::string member = ",";
    append_text(member, key);
    member += ':';
    append(member, value);
    out_.write(member);
  }
  out_.write("}\n");
  has_started_ = true;
}

boost::json::object error_shape(const Error& error) {
  boost::json::object shape;
  shape["code"] = boost::json::string_view(code_name(error.code()));
  shape["message"] = as_utf8(error.message());
  shape["hint"] = as_utf8(hint_of(error));
  return shape;
}

void say(std::string_view text) { write_all(STDERR_FILENO, printable(text) + "\n"); }

void complain(const Error& error) {
  say(std::string("loam: ") + error.what());
  const std::string hint = hint_of(error);
  if (!hint.empty()) say("  hint: " + hint);
}

boost::json::array refused_shape(const Refused& refused) {
  boost::json::array out;
  for (const auto& [line, why] : refused) {
    out.push_back(boost::json::object{{"line", line}, {"error", why}});
  }
  return out;
}

void complain(const Refused& refused) {
  std::size_t said = 0;
  for (const auto& [line, why] : refused) {
    if (said++ == complaints_max) break;
    say("line " + std::to_string(line) + ": " + why);
  }
  if (refused.size() > complaints_max) {
    say("and " + std::to_string(refused.size() - complaints_max) + " more lines");
  }
}

Progress::Progress(std::string label)
    : label_(std::move(label)), is_shown_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (is_shown_ && last_ != std::chrono::steady_clock::time_point{}) {
    write_all(STDERR_FILENO, "\r\x1b[K");
  }
}

void Progress::at(std::uint64_t done, std::optional<double> share) {
  if (!is_shown_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < progress_every) return;
  last_ = now;
  std::string line = "\r\x1b[K" + label_ + " " + std::to_string(done);
  if (share) line += " " + bar(*share);
  write_all(STDERR_FILENO, line);
}

}  // namespace loam::cli
