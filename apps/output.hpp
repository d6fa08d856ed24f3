#pragma once

#include <boost/json/fwd.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "crdt/error.hpp"

namespace loam::cli {

/// Whoever read standard output has gone: nothing is left to say.
class OutputClosed : public std::exception {
 public:
  const char* what() const noexcept override { return "standard output is closed"; }
};

/// An error with something that the user can do about it.
class HintedError : public Error {
 public:
  HintedError(const Error& error, std::string hint)
      : Error(error.code(), std::string(error.message())), hint_(std::move(hint)) {}

  const std::string& hint() const noexcept { return hint_; }

 private:
  std::string hint_;
};

/// Standard output, buffered and checked. One thread.
class Output {
 public:
  Output() = default;
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  /// Both throw OutputClosed, or Error(failed) when the text cannot be written (a full disk).
  void write(std::string_view text);
  void flush();

  /// One JSON value on a line of its own.
  void write_line(const boost::json::value& value);

 private:
  std::string pending_;
};

/// JSON of one line. Doubles stay doubles: 2.0, not 2.
std::string serialized(const boost::json::value& value);

/// One object `{"items": [ … ], …}` whose items are written as they come. `finish` makes it
/// well-formed also when the work breaks off.
class ItemStream {
 public:
  explicit ItemStream(Output& out) : out_(out) {}

  /// An item that is JSON text already.
  void add(std::string_view json);

  /// Whether anything has been written, so that an error must go into this object.
  bool has_started() const noexcept { return has_started_; }

  /// Closes the list and adds the other members.
  void finish(const boost::json::object& rest);

 private:
  Output& out_;
  bool has_started_ = false;
};

/// `{"code", "message", "hint"}` of an error.
boost::json::object error_shape(const Error& error);

/// One line for people on standard error, control characters escaped.
void say(std::string_view text);

/// An error for people on standard error, and its hint.
void complain(const Error& error);

/// Lines of an input that were not taken, from 1, and why: as ImportReport has them.
using Refused = std::vector<std::pair<std::uint64_t, std::string>>;

/// `[{"line", "error"}]`
boost::json::array refused_shape(const Refused& refused);

/// The same for people on standard error; the first hundred.
void complain(const Refused& refused);

/// What is done so far, on one line of standard error that is rewritten; nothing unless that is a
/// terminal. One thread.
class Progress {
 public:
  explicit Progress(std::string label);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  /// `share`, from 0 to 1, draws a bar.
  void at(std::uint64_t done, std::optional<double> share = {});

 private:
  std::string label_;
  bool is_shown_;
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace loam::cli
