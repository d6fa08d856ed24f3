#pragma once

#include <sys/types.h>

#include <functional>
#include <stdexcept>
#include <string>

namespace bench {

/// The other process has ended.
struct Ended : std::runtime_error {
  Ended() : std::runtime_error("the other process has ended") {}
};

/// Lines between a process and its child.
class Lines {
 public:
  Lines(int in, int out) : in_(in), out_(out) {}
  Lines(Lines&& other) noexcept : in_(other.in_), out_(other.out_), rest_(std::move(other.rest_)) {
    other.in_ = other.out_ = -1;
  }
  Lines& operator=(Lines&&) = delete;
  ~Lines();

  /// Throws Ended.
  void say(const std::string& line);
  std::string hear();

 private:
  int in_;
  int out_;
  std::string rest_;
};

/// An action in a process of its own: another agent. Made before this process has threads. When it
/// waits for a line that never comes, it ends.
class Child {
 public:
  explicit Child(const std::function<void(Lines&)>& action);
  Child(Child&&) noexcept;
  Child& operator=(Child&&) = delete;

  /// Lets it end, and waits for that: it hears nothing more. Kills it after a minute.
  ~Child();

  Lines& lines() noexcept { return lines_; }
  pid_t id() const noexcept { return id_; }

 private:
  explicit Child(std::pair<pid_t, Lines> made);

  pid_t id_;
  Lines lines_;
};

}  // namespace bench
