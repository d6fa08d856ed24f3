#include <unistd.h>

#include <algorithm>

#include "crdt/error.hpp"
#include "lib/lmdb_check.hpp"
#include "lib/lmdb_state.hpp"
#include "lib/own_process.hpp"

// How an environment is opened: at first, and again after the disk has failed.
namespace loam::lmdb {

EnvState::EnvState(const EnvOptions& options, Descriptor directory)
    : dir(options.dir),
      tables(options.tables),
      octets_max(options.octets_max),
      marker(dir, boot_id()),
      process(own_pid()),
      directory_(std::move(directory)),
      readers_checked_(std::chrono::steady_clock::now()) {
  const auto start = std::min(options.octets_start, octets_max);
  make_data_file(dir, directory_, start);
  const bool was_left = marker.settle([this] { check_after_restart(); });
  const DataFile file = check_data_file(dir);
  try {
    open_handle(std::clamp(file.map_octets, start, octets_max));
    MDB_stat shape{};
    check(mdb_env_stat(env, &shape), "cannot look at it");
    page_octets_ = shape.ms_psize;
    octets_max = whole_pages(octets_max);
    // What was read must be what a power failure leaves, also where the last writer was in trouble.
    if (!was_left) {
      check(mdb_env_sync(env, 1), "cannot sync it");
    } else if (!make_meta_durable()) {
      refuse_older();
    }
    int dead = 0;
    check(mdb_reader_check(env, &dead), "cannot clear stale readers");
    open_tables(options);
  } catch (...) {
    close_handle();
    throw;
  }
}

EnvState::~EnvState() {
  close_handle();
  if (!failed) marker.clear();  // else whoever opens it next must know
}

// After a commit that the disk refused, the kernel may take for written what is not on the disk,
// and LMDB may have given the handle up. So everything is read anew, from the disk as far as the
// kernel forgets what it has, and looked at before anything is read through it or acknowledged
// again.
void EnvState::reopen() {
  const std::lock_guard alone(gate_);
  if (lost_ && lost_->code() == ErrorCode::damaged) throw Error(*lost_);
  ++reopenings;
  if (!lost_ && is_verified_) is_verified_ = make_meta_durable();
  if (lost_ || !is_verified_) {
    close_and_verify();
    if (!make_meta_durable()) refuse_older();
  }
  failed = false;
}

void EnvState::close_and_verify() {
  lost_.emplace(ErrorCode::failed, "store " + dir.string() + ": closed after a commit failed");
  close_handle();
  try {
    open_verified();
  } catch (const Error& error) {
    close_handle();
    lost_.emplace(error);
    throw;
  } catch (...) {
    close_handle();
    throw;
  }
  lost_.reset();
  is_verified_ = true;
}

// The lock file, which lives as long as any process has it open, knows of a later commit.
void EnvState::refuse_older() const {
  raise(EIO, "has lost its newest commit; it can be written again when no process has it open");
}

void EnvState::close_handle() noexcept {
  while (idle_count_ > 0) mdb_txn_abort(idle_[--idle_count_]);
  mdb_env_close(env);
  env = nullptr;
}

void EnvState::open_verified() {
  const auto path = dir / "data.mdb";
  forget_cached(path);
  open_handle(std::min(check_data_file(dir).map_octets, octets_max));
  for (;;) {
    MDB_txn* const txn = begin_while_alone(MDB_RDONLY);
    // Another process may go on writing: the snapshot keeps what is looked at as it is.
    const auto report =
        check_file(path, {.transaction = mdb_txn_id(txn), .values = false, .findings_max = 1});
    int code = report ? 0 : MDB_NOTFOUND;
    for (std::size_t i = 0; code == 0 && report->is_sound() && i < tables.size(); ++i) {
      code = mdb_dbi_open(txn, tables[i].c_str(), 0, &handles[i]);
    }
    const std::uint64_t seen = mdb_txn_id(txn);
    code == 0 ? (void)mdb_txn_commit(txn) : mdb_txn_abort(txn);  // a commit keeps the handles
    if (!report) {
      if (check_data_file(dir).transaction < seen) refuse_older();
      continue;  // two commits have overtaken the snapshot
    }
    if (!report->is_sound()) {
      throw Error(ErrorCode::damaged, path.string() + ": damaged after a commit failed: " +
                                          report->findings.at(0).text +
                                          "; `loam doctor` says more");
    }
    return check(code, "cannot open its tables");
  }
}

// A transaction of whoever has passed the gate alone, or has the environment to itself.
MDB_txn* EnvState::begin_while_alone(unsigned flags) {
  for (;;) {
    MDB_txn* txn = nullptr;
    const int code = mdb_txn_begin(env, nullptr, flags, &txn);
    if (code == MDB_SUCCESS) return txn;
    if (code != MDB_MAP_RESIZED) raise(code, "cannot begin a transaction");
    check(mdb_env_set_mapsize(env, 0), "cannot move its map");
  }
}

// A meta page that the disk was said to have refused may be on it all the same, or not be on it
// although the kernel takes it for written. Both are written again as they are, so that they are on
// the disk as everybody reads them. Nobody else writes meanwhile: the transaction excludes it. False:
// the disk has brought back what stood there before the newest commit.
bool EnvState::make_meta_durable() {
  MDB_txn* const txn = begin_while_alone(0);
  int file = -1;
  bool is_there = false;
  try {
    check(mdb_env_get_fd(env, &file), "has no descriptor");
    is_there = rewrite_meta_pages(file, dir / "data.mdb", page_octets_, mdb_txn_id(txn) - 1);
  } catch (...) {
    mdb_txn_abort(txn);
    throw;
  }
  mdb_txn_abort(txn);
  return is_there;
}

// What the kernel held of the file when the machine went down may be there in part. A process that
// was killed leaves no such damage: the kernel still has all that it wrote.
void EnvState::check_after_restart() const {
  const CheckReport report =
      check_still_file(dir / "data.mdb", {.values = false, .findings_max = 1});
  if (report.is_sound()) return;
  throw Error(
      ErrorCode::damaged,
      (dir / "data.mdb").string() +
          ": was open when the machine went down, and is damaged: " + report.findings.at(0).text +
          "; `loam doctor` says more, `loam doctor --fix` sets " + "it aside and begins anew");
}

// Whoever opens the file looks whether it ends early.
void EnvState::fill_file() {
  int file = -1;
  if (mdb_env_get_fd(env, &file) == MDB_SUCCESS) make_longer(file, octets_used());
}

void EnvState::open_handle(std::uint64_t map_octets) {
  make_lock_file(dir);
  check(mdb_env_create(&env), "cannot make a handle");
  check(mdb_env_set_mapsize(env, map_octets), "cannot set the map size");
  check(mdb_env_set_maxreaders(env, readers_max), "cannot set the number of readers");
  check(mdb_env_set_maxdbs(env, static_cast<MDB_dbi>(tables.size())), "cannot set the tables");
  // MDB_NOTLS only. A flag that weakens syncing or locking loses acknowledged data (storage.md).
  check(mdb_env_open(env, dir.c_str(), MDB_NOTLS, 0600), "cannot open it");
}

// Looks first: a start that only reads does not wait for a writer of another process.
void EnvState::open_tables(const EnvOptions& options) {
  handles.resize(tables.size());
  if (!find_tables()) make_tables(options);
}

bool EnvState::find_tables() {
  MDB_txn* const txn = begin_read();
  int code = 0;
  for (std::size_t i = 0; i < tables.size() && code == 0; ++i) {
    code = mdb_dbi_open(txn, tables[i].c_str(), 0, &handles[i]);
  }
  if (code == 0) {
    // Ending by commit keeps the handles.
    code = mdb_txn_commit(txn);
    leave();
  } else {
    end_read(txn);
  }
  if (code != 0 && code != MDB_NOTFOUND) raise(code, "cannot open its tables");
  return code == 0;
}

void EnvState::make_tables(const EnvOptions& options) {
  const std::lock_guard only_writer(writer);
  const auto open_all = [&](MDB_txn* txn) {
    std::vector<std::string> added;
    for (std::size_t i = 0; i < tables.size(); ++i) {
      int code = mdb_dbi_open(txn, tables[i].c_str(), 0, &handles[i]);
      if (code == MDB_NOTFOUND) {
        added.push_back(tables[i]);
        code = mdb_dbi_open(txn, tables[i].c_str(), MDB_CREATE, &handles[i]);
      }
      if (code == MDB_MAP_FULL) map_full = true;
      check(code, "cannot make its tables");
    }
    if (added.empty() || added.size() == tables.size()) return;
    if (!options.upgrade) {
      throw Error(ErrorCode::damaged,
                  "store " + dir.string() + ": table " + added[0] + " is missing");
    }
    WriteTxn changes(*this, txn);
    options.upgrade(changes, added);
  };
  for (Outcome outcome{}; (outcome = attempt(open_all)) != Outcome::committed;) {
    outcome == Outcome::map_full ? grow(Space::normal) : adopt_map();
  }
}

}  // namespace loam::lmdb
