#include "bench/child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <iostream>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>

namespace bench {
namespace {

constexpr auto end_within = std::chrono::minutes(1);
constexpr auto look_every = std::chrono::milliseconds(5);

std::array<int, 2> made_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  return ends;
}

// The ends of this process's lines to its children: another child must not keep them open.
std::set<int>& own_ends() {
  static std::set<int> ends;
  return ends;
}

std::pair<pid_t, Lines> forked(const std::function<void(Lines&)>& action) {
  const auto down = made_pipe();
  const auto up = made_pipe();
  const pid_t id = ::fork();
  if (id < 0) throw std::runtime_error("no process");
  if (id > 0) {
    ::close(down[0]);
    ::close(up[1]);
    own_ends().insert({up[0], down[1]});
    return {id, Lines(up[0], down[1])};
  }
  ::close(down[1]);
  ::close(up[0]);
  for (const int end : std::exchange(own_ends(), {})) ::close(end);
  int code = 0;
  try {
    Lines lines(down[0], up[1]);
    action(lines);
  } catch (const Ended&) {
  } catch (const std::exception& error) {
    std::cerr << "child: " << error.what() << std::endl;
    code = 1;
  }
  ::_exit(code);
}

}  // namespace

Lines::~Lines() {
  for (const int end : {in_, out_}) {
    if (end < 0) continue;
    own_ends().erase(end);
    ::close(end);
  }
}

void Lines::say(const std::string& line) {
  const std::string all = line + "\n";
  for (std::size_t done = 0; done < all.size();) {
    const auto wrote = ::write(out_, all.data() + done, all.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) throw Ended();
    done += static_cast<std::size_t>(wrote);
  }
}

std::string Lines::hear() {
  for (;;) {
    if (const auto end = rest_.find('\n'); end != std::string::npos) {
      std::string line = rest_.substr(0, end);
      rest_.erase(0, end + 1);
      return line;
    }
    std::array<char, 4'096> more{};
    const auto got = ::read(in_, more.data(), more.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw Ended();
    rest_.append(more.data(), static_cast<std::size_t>(got));
  }
}

Child::Child(const std::function<void(Lines&)>& action) : Child(forked(action)) {}

Child::Child(std::pair<pid_t, Lines> made) : id_(made.first), lines_(std::move(made.second)) {}

Child::Child(Child&& other) noexcept : id_(other.id_), lines_(std::move(other.lines_)) {
  other.id_ = -1;
}

Child::~Child() {
  if (id_ < 0) return;
  { const Lines closed(std::move(lines_)); }
  const auto begun = std::chrono::steady_clock::now();
  while (::waitpid(id_, nullptr, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() - begun > end_within) ::kill(id_, SIGKILL);
    std::this_thread::sleep_for(look_every);
  }
}

}  // namespace bench
