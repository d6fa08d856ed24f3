#pragma once

#include <lmdb.h>
#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "crdt/error.hpp"
#include "lib/lmdb.hpp"
#include "lib/lmdb_file.hpp"
#include "lib/lmdb_gate.hpp"
#include "lib/lmdb_marker.hpp"

namespace loam::lmdb {

/// Throws Error for a code of LMDB or errno; `what` is the thing and what was done to it.
[[noreturn]] void raise(int code, const std::string& what);

/// What stands behind an Env: the LMDB handle and the rules for its map. Transactions pass the gate
/// together; whoever moves the map passes it alone, because LMDB forbids moving a map in use. The
/// gate is not recursive, so transactions of one Env do not nest in one thread: that is asserted.
///
/// Any thread, except what says "writer only": that needs `writer` locked.
struct EnvState {
  EnvState(const EnvOptions& options, Descriptor directory);
  EnvState(const EnvState&) = delete;
  EnvState& operator=(const EnvState&) = delete;
  ~EnvState();

  /// Throws Error(wrong_process) after fork().
  void check_usable() const;

  /// Whether the map is gone, or a commit has failed: `reopen` comes before anything is written.
  bool needs_reopening() const;

  /// Closes the environment, opens it again, checks the whole structure of the file and makes its
  /// meta pages durable. Readers wait. When it throws, nothing can be written, and nothing be read
  /// either if it could not be opened; the next call tries again, unless the file is damaged: that
  /// stays. Throws Error(damaged), and as opening does. Writer only.
  void reopen();

  /// Throws unless the code is success.
  void check(int code, const char* doing) const;
  [[noreturn]] void raise(int code, const char* doing) const;

  /// Pass the gate with others; asserts that this thread is not inside already. Throws when there
  /// is no map any more, and says why.
  void enter() const;
  void leave() const noexcept;
  bool inside() const noexcept;

  MDB_envinfo info() const;
  std::uint64_t octets_used() const;

  /// A read transaction, with the gate passed. One that has ended is begun anew where there is one: making
  /// one costs as much as the lookups that it is for.
  MDB_txn* begin_read();
  void end_read(MDB_txn* txn) noexcept;

  enum class Outcome { committed, map_full, map_resized };

  /// Runs `body` in a write transaction once. Throws what it throws; a commit that the disk refuses
  /// marks the environment failed. Writer only.
  Outcome attempt(const std::function<void(MDB_txn*)>& body);

  /// Takes over the map size of another process.
  void adopt_map();

  /// Brings the map into this process's limits and doubles it when `used` is above 80 %. Writer
  /// only.
  void make_room(Space space);

  bool is_at_cap() const;

  /// Doubles the map. Throws Error(out_of_space) at the cap. Writer only.
  void grow(Space space);

  /// Makes the pages that the last commit freed usable: LMDB uses them from the second commit after
  /// it on, which a store that refuses writes would never reach. Commits one small entry, if need
  /// be in the space kept for removals. Says whether trying again makes sense: not when nothing was
  /// committed since the last time. Writer only.
  bool settle();

  /// Makes the map at least that large, as far as the cap allows. Writer only.
  void grow_to(std::uint64_t octets);

  /// Makes the mark that the store is written, unless it is made. Writer only.
  void mark();

  /// Clears the slots of dead readers, at most once a minute. Writer only.
  void clear_stale_readers();

  std::filesystem::path dir;
  std::vector<std::string> tables;
  std::vector<MDB_dbi> handles;
  std::uint64_t octets_max;
  std::mutex writer;
  Marker marker;                    ///< writer only
  bool map_full = false;            ///< a put of the running transaction found no room; writer only
  std::atomic<bool> failed{false};  ///< a commit failed, and it could not be reopened since
  std::atomic<std::uint64_t> refused{0};  ///< commits that the disk refused
  std::uint64_t reopenings = 0;           ///< calls of reopen(); changed alone at the gate
  pid_t process;
  MDB_env* env = nullptr;

 private:
  void open_handle(std::uint64_t map_octets);
  void open_tables(const EnvOptions& options);
  bool find_tables();
  void make_tables(const EnvOptions& options);
  void check_after_restart() const;
  bool is_given_up() const;
  void has_failed() noexcept;
  void close_handle() noexcept;
  int renew_idle(MDB_txn*& txn) noexcept;
  void open_verified();
  MDB_txn* begin_while_alone(unsigned flags);
  void close_and_verify();
  bool make_meta_durable();
  [[noreturn]] void refuse_older() const;
  void fill_file();
  void resize(std::uint64_t octets);
  std::uint64_t whole_pages(std::uint64_t octets) const;
  std::uint64_t cap(Space space) const;

  Descriptor directory_;  ///< keeps the inode number from being used again while this is open
  mutable Gate gate_;
  std::mutex idle_mutex_;
  std::array<MDB_txn*, 16> idle_{};  ///< read transactions that have ended: they see nothing and keep a reader's slot
  std::size_t idle_count_ = 0;
  std::optional<Error> lost_;  ///< why there is no map; absent: there is. Changed alone at the gate
  bool is_verified_ = true;    ///< the file was looked at since a commit failed; writer only
  std::uint64_t page_octets_ = 0;
  std::uint64_t settled_ = 0;  ///< the transaction that the last settle() committed
  std::chrono::steady_clock::time_point readers_checked_;
};

}  // namespace loam::lmdb
