#include "apps/signals.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "crdt/error.hpp"

namespace loam::cli {
namespace {

sigset_t stopping_signals() noexcept {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

[[noreturn]] void fail(const char* what) {
  throw Error(ErrorCode::failed, std::string(what) + ": " + std::strerror(errno));
}

}  // namespace

StopSignals::StopSignals() {
  const sigset_t stopping = stopping_signals();
  signals_ = ::signalfd(-1, &stopping, SFD_CLOEXEC);
  if (signals_ < 0) fail("signalfd");
  wakes_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wakes_ < 0) {
    ::close(signals_);
    fail("eventfd");
  }
  ::pthread_sigmask(SIG_BLOCK, &stopping, &before_);
}

StopSignals::~StopSignals() {
  // A second signal that came while the first was obeyed has nothing left to do.
  const sigset_t stopping = stopping_signals();
  const timespec now{};
  while (::sigtimedwait(&stopping, nullptr, &now) > 0) {
  }
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  ::close(signals_);
  ::close(wakes_);
}

StopSignals::Event StopSignals::wait(std::optional<std::chrono::milliseconds> at_most) {
  std::array<pollfd, 2> events{pollfd{signals_, POLLIN, 0}, pollfd{wakes_, POLLIN, 0}};
  const int time_out = at_most ? static_cast<int>(at_most->count()) : -1;
  const int ready = ::poll(events.data(), events.size(), time_out);
  if (ready < 0 && errno != EINTR) fail("poll");
  if (ready <= 0) return Event::time_out;
  if (events[0].revents != 0) return Event::stop;
  eventfd_t count = 0;
  ::eventfd_read(wakes_, &count);
  return Event::woken;
}

void StopSignals::wake() noexcept { ::eventfd_write(wakes_, 1); }

}  // namespace loam::cli
