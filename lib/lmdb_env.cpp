#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <condition_variable>
#include <map>

#include "crdt/error.hpp"
#include "lib/lmdb_state.hpp"
#include "lib/own_process.hpp"

namespace loam::lmdb {
namespace {

struct DirectoryKey {
  dev_t device;
  ino_t inode;
  auto operator<=>(const DirectoryKey&) const = default;
};

struct OpenEnvironment {
  std::weak_ptr<Env> env;
  const Env* address;
  pid_t process;
};

/// The environments that this process has open. The one static of the library: LMDB forbids to open
/// one twice in a process, whoever asks (its locks belong to the process). An entry stays until its
/// environment is closed, so that nobody opens it again in between.
struct OpenEnvironments {
  std::mutex mutex;
  std::condition_variable closed;
  std::map<DirectoryKey, OpenEnvironment> entries;
};

OpenEnvironments& open_environments() {
  // Never destroyed: an Env of a static object may close after the end of main.
  static auto& environments = *new OpenEnvironments;
  return environments;
}

DirectoryKey key_of(const Descriptor& directory, const std::filesystem::path& dir) {
  struct stat status {};
  if (fstat(directory.number(), &status) != 0)
    throw_errno(errno, dir.string() + ": cannot look at it");
  return {status.st_dev, status.st_ino};
}

void check_same_tables(const EnvState& state, const EnvOptions& options) {
  if (state.tables == options.tables) return;
  throw Error(ErrorCode::failed,
              "store " + state.dir.string() + ": open in this process with other tables");
}

// What `write` does with an environment that is in order. Writer only.
void write_once(EnvState& state, const std::function<void(MDB_txn*)>& run, Space space) {
  state.mark();
  state.clear_stale_readers();
  state.make_room(space);
  bool may_settle = space == Space::normal;
  for (;;) {
    switch (state.attempt(run)) {
      case EnvState::Outcome::committed: return;
      case EnvState::Outcome::map_full:
        if (may_settle && state.is_at_cap()) {
          may_settle = false;
          if (state.settle()) break;
        }
        state.grow(space);
        break;
      case EnvState::Outcome::map_resized:
        state.adopt_map();
        state.make_room(space);
        break;
    }
  }
}

}  // namespace

std::shared_ptr<Env> Env::open(const EnvOptions& options) {
  Descriptor directory = open_directory(options.dir, true);
  const DirectoryKey key = key_of(directory, options.dir);
  OpenEnvironments& open = open_environments();
  std::shared_ptr<Env> env;  // ends after the lock: its end takes the lock
  std::unique_lock lock(open.mutex);
  for (;;) {
    const auto found = open.entries.find(key);
    // What a parent process had open is not ours: a forked child opens its own.
    if (found == open.entries.end() || found->second.process != own_pid()) break;
    env = found->second.env.lock();
    if (env) {
      env->state_->check_usable();
      check_same_tables(*env->state_, options);
      return env;
    }
    open.closed.wait(lock);
  }
  env = std::make_shared<Env>(std::make_unique<EnvState>(options, std::move(directory)));
  open.entries.insert_or_assign(key, OpenEnvironment{env, env.get(), own_pid()});
  return env;
}

bool Env::is_open_here(const std::filesystem::path& dir) {
  struct stat status {};
  if (::stat(dir.c_str(), &status) != 0) return false;
  OpenEnvironments& open = open_environments();
  const std::lock_guard lock(open.mutex);
  const auto found = open.entries.find({status.st_dev, status.st_ino});
  return found != open.entries.end() && found->second.process == own_pid();
}

Env::Env(std::unique_ptr<EnvState> state) : state_(std::move(state)) {}

Env::~Env() {
  if (state_->process != own_pid()) {
    // A child must not close, unlock or free anything that its parent goes on using.
    (void)state_.release();
    return;
  }
  OpenEnvironments& open = open_environments();
  {
    const std::lock_guard lock(open.mutex);
    state_.reset();
    std::erase_if(open.entries, [&](const auto& entry) { return entry.second.address == this; });
  }
  open.closed.notify_all();
}

Env::Snapshot::Snapshot(EnvState& env)
    : state(env), txn(env, (env.check_usable(), env.begin_read())) {}

Env::Snapshot::~Snapshot() { state.end_read(static_cast<MDB_txn*>(txn.handle_)); }

void Env::write(const std::function<void(WriteTxn&)>& body, Space space) {
  EnvState& state = *state_;
  state.check_usable();
  assert(!state.inside() && "transactions of one environment do not nest in a thread");
  const std::lock_guard only_writer(state.writer);
  if (state.needs_reopening()) state.reopen();
  try {
    const auto run = [&](MDB_txn* handle) {
      WriteTxn txn(state, handle);
      body(txn);
    };
    write_once(state, run, space);
  } catch (...) {
    // At once, so that readers can go on; who called is told of the commit, and the next of this.
    try {
      if (state.failed) state.reopen();
    } catch (const std::exception&) {
    }
    throw;
  }
}

bool Env::is_inside() const noexcept { return state_->inside(); }

bool Env::is_writable() const noexcept { return !state_->failed; }

std::uint64_t Env::refused_commits() const noexcept { return state_->refused; }

std::uint64_t Env::last_transaction() const {
  // Not me_last_txnid: the writer raises that before readers may see its commit, and whoever polls
  // would read the old snapshot and believe that it is the new one.
  return read([](const ReadTxn& txn) { return txn.number(); });
}

std::uint64_t Env::octets_used() const {
  state_->check_usable();
  return state_->octets_used();
}

void Env::copy_to(const std::filesystem::path& dir) const {
  EnvState& state = *state_;
  state.check_usable();
  const Descriptor directory = open_directory(dir, true);
  const auto path = dir / "data.mdb";
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                               S_IRUSR | S_IWUSR));
  if (file.number() < 0) throw_errno(errno, path.string() + ": cannot make it");
  {
    // A copy holds the gate for as long as it takes: give writers room, so that none needs to move
    // the map (and make readers wait behind it) before the copy is done.
    const std::lock_guard only_writer(state.writer);
    state.grow_to(4 * state.octets_used());
  }
  int code = MDB_MAP_RESIZED;
  while (code == MDB_MAP_RESIZED) {
    state.enter();
    code = mdb_env_copyfd2(state.env, file.number(), MDB_CP_COMPACT);
    state.leave();
    if (code == MDB_MAP_RESIZED) state.adopt_map();
  }
  if (code == 0 && (fsync(file.number()) != 0 || fsync(directory.number()) != 0)) code = errno;
  if (code != 0) {
    (void)unlink(path.c_str());
    raise(code, path.string() + ": cannot copy to it");
  }
}

CheckReport Env::check(CheckOptions options) const {
  for (;;) {
    // A snapshot that two commits have overtaken is in no meta page any more: take a newer one.
    auto report = read([&](const ReadTxn& txn) {
      options.transaction = txn.number();
      return check_file(dir() / "data.mdb", options);
    });
    if (report) return std::move(*report);
  }
}

const std::filesystem::path& Env::dir() const noexcept { return state_->dir; }

}  // namespace loam::lmdb
