#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <string>

#include "crdt/error.hpp"

namespace loam {

/// The id of this process, as getpid() says, but without asking the kernel every time: each read of a
/// store looks at it. Any thread.
pid_t own_pid() noexcept;

/// The process that made this value. In a forked child the threads behind it do not exist, and a
/// lock may be held for ever. Any thread.
class OwnProcess {
 public:
  bool is_left() const noexcept { return own_pid() != id_; }

  /// Throws Error(wrong_process) in a forked child; `what` is what it used.
  void check(const std::string& what) const {
    if (!is_left()) return;
    throw Error(ErrorCode::wrong_process, what + ": opened by process " + std::to_string(id_) +
                                              ", used by its child " + std::to_string(own_pid()) +
                                              "; open it again there");
  }

 private:
  pid_t id_ = own_pid();
};

}  // namespace loam
