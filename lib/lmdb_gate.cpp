#include "lib/lmdb_gate.hpp"

#include <cassert>
#include <string>
#include <system_error>

#include "crdt/error.hpp"

namespace loam::lmdb {

Gate::Gate() {
  pthread_rwlockattr_t attributes;
  [[maybe_unused]] int code = pthread_rwlockattr_init(&attributes);
  assert(code == 0);
  code = pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  assert(code == 0);
  code = pthread_rwlock_init(&lock_, &attributes);
  assert(code == 0);
  (void)pthread_rwlockattr_destroy(&attributes);
}

Gate::~Gate() { (void)pthread_rwlock_destroy(&lock_); }

void Gate::lock() {
  if (const int code = pthread_rwlock_wrlock(&lock_); code != 0) {
    throw Error(ErrorCode::failed, std::string("gate of the store: ") + std::generic_category().message(code));
  }
}

void Gate::unlock() noexcept { (void)pthread_rwlock_unlock(&lock_); }

void Gate::lock_shared() {
  if (const int code = pthread_rwlock_rdlock(&lock_); code != 0) {
    throw Error(ErrorCode::failed, std::string("gate of the store: ") + std::generic_category().message(code));
  }
}

void Gate::unlock_shared() noexcept { (void)pthread_rwlock_unlock(&lock_); }

}  // namespace loam::lmdb
