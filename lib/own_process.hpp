#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <string>

#include "crdt/error.hpp"

namespace loam {

/// The process that made this value. In a forked child the threads behind it do not exist, and a
/// lock may be held for ever. Any thread.
class OwnProcess {
 public:
  bool is_left() const noexcept { return getpid() != id_; }

  /// Throws Error(wrong_process) in a forked child; `what` is what it used.
  void check(const std::string& what) const {
    if (!is_left()) return;
    throw Error(ErrorCode::wrong_process, what + ": opened by process " + std::to_string(id_) +
                                              ", used by its child " + std::to_string(getpid()) +
                                              "; open it again there");
  }

 private:
  pid_t id_ = getpid();
};

}  // namespace loam
