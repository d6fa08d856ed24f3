#pragma once

#include <pthread.h>

namespace loam::lmdb {

/// Many pass at once, or one alone. Unlike std::shared_mutex under glibc, who wants to be alone is
/// not starved by a stream of others. Not recursive. Any thread.
class Gate {
 public:
  Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate();

  void lock();
  void unlock() noexcept;
  void lock_shared();
  void unlock_shared() noexcept;

 private:
  pthread_rwlock_t lock_;
};

}  // namespace loam::lmdb
