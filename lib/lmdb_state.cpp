#include "lib/lmdb_state.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <utility>

#include "crdt/error.hpp"
#include "lib/own_process.hpp"

namespace loam::lmdb {
namespace {

constexpr int failures_waited_for_max = 100;
constexpr auto stale_reader_interval = std::chrono::minutes(1);

// The environments whose gate this thread has passed: seldom more than one.
// Without a destructor, which would have to be registered, and that can fail.
constexpr std::size_t passed_max = 16;
thread_local std::array<const EnvState*, passed_max> passed;
thread_local std::size_t passed_count = 0;

ErrorCode code_of(int code) {
  switch (code) {
    case MDB_MAP_FULL: return ErrorCode::out_of_space;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE: return ErrorCode::damaged;
    case MDB_READERS_FULL:
    case MDB_TXN_FULL:
    case MDB_BAD_VALSIZE: return ErrorCode::limit;
    default: return code_of_errno(code);
  }
}

}  // namespace

void raise(int code, const std::string& what) {
  throw Error(code_of(code), what + ": " + mdb_strerror(code));
}

void EnvState::check_usable() const {
  if (own_pid() == process) return;
  throw Error(ErrorCode::wrong_process, "store " + dir.string() + ": opened by process " +
                                            std::to_string(process) + ", used by its child " +
                                            std::to_string(own_pid()) + "; open it again there");
}

bool EnvState::needs_reopening() const {
  if (failed) return true;
  gate_.lock_shared();
  const bool is_lost = lost_.has_value();
  gate_.unlock_shared();
  return is_lost;
}

void EnvState::check(int code, const char* doing) const {
  if (code != MDB_SUCCESS) raise(code, doing);
}

void EnvState::raise(int code, const char* doing) const {
  lmdb::raise(code, "store " + dir.string() + ": " + doing);
}

bool EnvState::inside() const noexcept {
  const auto end = passed.begin() + passed_count;
  return std::find(passed.begin(), end, this) != end;
}

void EnvState::enter() const {
  assert(!inside() && "transactions of one environment do not nest in a thread");
  assert(passed_count < passed_max);
  gate_.lock_shared();
  if (lost_) {
    const Error why = *lost_;
    gate_.unlock_shared();
    throw why;
  }
  passed[passed_count++] = this;
}

void EnvState::leave() const noexcept {
  gate_.unlock_shared();
  const auto end = passed.begin() + passed_count;
  std::copy(std::find(passed.begin(), end, this) + 1, end, std::find(passed.begin(), end, this));
  --passed_count;
}

MDB_envinfo EnvState::info() const {
  const bool is_inside = inside();
  if (!is_inside) enter();
  MDB_envinfo info{};
  const int code = mdb_env_info(env, &info);
  if (!is_inside) leave();
  check(code, "cannot look at it");
  return info;
}

std::uint64_t EnvState::octets_used() const { return (info().me_last_pgno + 1) * page_octets_; }

MDB_txn* EnvState::begin_read() {
  int waits_left = failures_waited_for_max;
  for (;;) {
    enter();
    MDB_txn* txn = nullptr;
    const int code = renew_idle(txn);
    if (code == MDB_SUCCESS) return txn;
    leave();
    if (code == MDB_PANIC && waits_left-- > 0) {
      // The disk has refused a meta page; whoever wrote it is about to open the environment again. It
      // may be refused another one before we come to read.
      const std::lock_guard until_then(writer);
    } else if (code == MDB_MAP_RESIZED) {
      adopt_map();
    } else {
      raise(code, "cannot begin to read");
    }
  }
}

// Or makes one. Returns LMDB's code.
int EnvState::renew_idle(MDB_txn*& txn) noexcept {
  {
    const std::lock_guard lock(idle_mutex_);
    if (idle_count_ > 0) txn = idle_[--idle_count_];
  }
  if (txn != nullptr) {
    const int code = mdb_txn_renew(txn);
    if (code == MDB_SUCCESS) return code;
    mdb_txn_abort(std::exchange(txn, nullptr));
  }
  return mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn);
}

void EnvState::end_read(MDB_txn* txn) noexcept {
  // In a forked child the slot of the reader still belongs to the parent.
  if (own_pid() == process) {
    mdb_txn_reset(txn);
    const std::lock_guard lock(idle_mutex_);
    if (idle_count_ < idle_.size()) {
      idle_[idle_count_++] = txn;
    } else {
      mdb_txn_abort(txn);
    }
  }
  leave();
}

EnvState::Outcome EnvState::attempt(const std::function<void(MDB_txn*)>& body) {
  struct Inside {
    EnvState& state;
    explicit Inside(EnvState& outer) : state(outer) { state.enter(); }
    ~Inside() { state.leave(); }
  };
  const Inside held(*this);
  MDB_txn* txn = nullptr;
  const int begun = mdb_txn_begin(env, nullptr, 0, &txn);
  if (begun == MDB_MAP_RESIZED) return Outcome::map_resized;
  if (begun == MDB_PANIC) has_failed();
  check(begun, "cannot begin to write");

  map_full = false;
  try {
    body(txn);
  } catch (...) {
    mdb_txn_abort(txn);
    if (map_full) return Outcome::map_full;
    throw;
  }
  if (map_full) {  // the body swallowed the error
    mdb_txn_abort(txn);
    return Outcome::map_full;
  }
  const int code = mdb_txn_commit(txn);
  if (code == MDB_SUCCESS) {
    fill_file();
    return Outcome::committed;
  }
  if (code == MDB_MAP_FULL) return Outcome::map_full;
  // A full disk is met while data pages are written, before anything points at them; or at the meta
  // page, and then LMDB gives the handle up. Any other failure of the disk (above 0: errno) may
  // have lost pages that the kernel now believes are clean.
  const bool is_full = code_of(code) == ErrorCode::out_of_space;
  if (is_full ? is_given_up() : code > 0) has_failed();
  raise(code, "cannot commit");
}

// LMDB says so only of a new transaction.
bool EnvState::is_given_up() const {
  MDB_txn* txn = nullptr;
  const int code = mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn);
  if (code == MDB_SUCCESS) mdb_txn_abort(txn);
  return code == MDB_PANIC;
}

void EnvState::has_failed() noexcept {
  failed = true;
  ++refused;
  is_verified_ = false;
}

// A full disk must not keep records from being removed: then there is no mark.
void EnvState::mark() {
  try {
    marker.set();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::out_of_space) throw;
  }
}

void EnvState::clear_stale_readers() {
  const auto now = std::chrono::steady_clock::now();
  if (now - readers_checked_ < stale_reader_interval) return;
  readers_checked_ = now;
  int dead = 0;
  check(mdb_reader_check(env, &dead), "cannot clear stale readers");
}

}  // namespace loam::lmdb
