#include "lib/lmdb_state.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>

#include "crdt/error.hpp"
#include "lib/lmdb_check.hpp"

namespace loam::lmdb {
namespace {

constexpr std::string_view settle_key = "settled";  // no table has this name
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

// Whether a map of that size would fit into the address space: LMDB gives up its map before it
// asks.
bool can_map(std::uint64_t octets) {
  void* const at =
      mmap(nullptr, octets, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return false;
  (void)munmap(at, octets);
  return true;
}

}  // namespace

void raise(int code, const std::string& what) {
  throw Error(code_of(code), what + ": " + mdb_strerror(code));
}

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
    throw Error(ErrorCode::failed, std::string("gate of the store: ") + mdb_strerror(code));
  }
}

void Gate::unlock() noexcept { (void)pthread_rwlock_unlock(&lock_); }

void Gate::lock_shared() {
  if (const int code = pthread_rwlock_rdlock(&lock_); code != 0) {
    throw Error(ErrorCode::failed, std::string("gate of the store: ") + mdb_strerror(code));
  }
}

void Gate::unlock_shared() noexcept { (void)pthread_rwlock_unlock(&lock_); }

EnvState::EnvState(const EnvOptions& options, Descriptor directory)
    : dir(options.dir),
      tables(options.tables),
      octets_max(options.octets_max),
      marker(dir, boot_id()),
      process(getpid()),
      directory_(std::move(directory)),
      readers_checked_(std::chrono::steady_clock::now()) {
  const auto start = std::min(options.octets_start, octets_max);
  make_data_file(dir, directory_, start);
  marker.settle([this] { check_after_restart(); });
  const DataFile file = check_data_file(dir);
  try {
    open_handle(std::clamp(file.map_octets, start, octets_max));
    // A meta page that the disk was said to have refused may be on it all the same, and only the kernel
    // knows that it was taken back. What was read must be what a power failure leaves.
    check(mdb_env_sync(env, 1), "cannot sync it");
    MDB_stat shape{};
    check(mdb_env_stat(env, &shape), "cannot look at it");
    page_octets_ = shape.ms_psize;
    octets_max = whole_pages(octets_max);
    int dead = 0;
    check(mdb_reader_check(env, &dead), "cannot clear stale readers");
    open_tables(options);
  } catch (...) {
    if (env != nullptr) mdb_env_close(env);
    throw;
  }
}

EnvState::~EnvState() {
  mdb_env_close(env);
  marker.clear();
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

void EnvState::check_usable() const {
  if (getpid() != process) {
    throw Error(ErrorCode::wrong_process, "store " + dir.string() + ": opened by process " +
                                              std::to_string(process) + ", used by its child " +
                                              std::to_string(getpid()) + "; open it again there");
  }
  if (unmapped_) {
    throw Error(ErrorCode::failed, "store " + dir.string() + ": lost its map; open it again");
  }
}

void EnvState::check_writable() const {
  if (failed) {
    throw Error(ErrorCode::failed, "store " + dir.string() +
                                       ": an earlier commit failed, nothing is written until it is "
                                       "closed and opened again");
  }
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

void EnvState::enter() {
  assert(!inside() && "transactions of one environment do not nest in a thread");
  assert(passed_count < passed_max);
  gate_.lock_shared();
  passed[passed_count++] = this;
}

void EnvState::leave() noexcept {
  gate_.unlock_shared();
  const auto end = passed.begin() + passed_count;
  std::copy(std::find(passed.begin(), end, this) + 1, end, std::find(passed.begin(), end, this));
  --passed_count;
}

MDB_envinfo EnvState::info() const {
  const bool is_inside = inside();
  if (!is_inside) gate_.lock_shared();
  MDB_envinfo info{};
  const int code = mdb_env_info(env, &info);
  if (!is_inside) gate_.unlock_shared();
  check(code, "cannot look at it");
  return info;
}

std::uint64_t EnvState::octets_used() const { return (info().me_last_pgno + 1) * page_octets_; }

MDB_txn* EnvState::begin_read() {
  for (;;) {
    enter();
    MDB_txn* txn = nullptr;
    const int code = mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn);
    if (code == MDB_SUCCESS) return txn;
    leave();
    if (code != MDB_MAP_RESIZED) raise(code, "cannot begin to read");
    adopt_map();
  }
}

void EnvState::end_read(MDB_txn* txn) noexcept {
  // In a forked child the slot of the reader still belongs to the parent.
  if (getpid() == process) mdb_txn_abort(txn);
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
  if (begun == MDB_PANIC) failed = true;
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
  // A full disk is met while data pages are written, before anything points at them; LMDB itself
  // refuses to go on (MDB_PANIC) when it was the meta page. Any other failure may have lost pages
  // that the kernel now believes are clean.
  const bool is_full = code_of(code) == ErrorCode::out_of_space;
  if (code == MDB_PANIC || (code > 0 && !is_full)) failed = true;  // above 0: errno
  raise(code, "cannot commit");
}

std::uint64_t EnvState::whole_pages(std::uint64_t octets) const {
  return octets - octets % page_octets_;
}

std::uint64_t EnvState::cap(Space space) const {
  if (space == Space::normal) return octets_max;
  const std::uint64_t reserve = whole_pages(removal_reserve_octets);
  // A store that is larger than a limit that was lowered can be emptied too.
  const std::uint64_t used = octets_used();
  return (used > octets_max + reserve ? used : octets_max) + reserve;
}

void EnvState::resize(std::uint64_t octets) {
  if (octets != 0 && !can_map(octets)) {
    throw Error(ErrorCode::failed, "store " + dir.string() + ": no address space for a map of " +
                                       std::to_string(octets) + " octets");
  }
  const std::lock_guard alone(gate_);
  if (const int code = mdb_env_set_mapsize(env, octets); code != MDB_SUCCESS) {
    if (code != EINVAL) unmapped_ = true;
    raise(code, "cannot move its map");
  }
}

void EnvState::adopt_map() { resize(0); }

void EnvState::make_room(Space space) {
  const MDB_envinfo now = info();
  const std::uint64_t used = (now.me_last_pgno + 1) * page_octets_;
  std::uint64_t want = now.me_mapsize;
  // A removal, or a process with another limit, may have left the map above ours.
  if (want > cap(space)) want = std::max(cap(space), used);
  while (used > want / 5 * 4 && want < octets_max) want = std::min(want * 2, octets_max);
  if (want != now.me_mapsize) resize(want);
}

bool EnvState::is_at_cap() const { return info().me_mapsize >= octets_max; }

void EnvState::grow(Space space) {
  const std::uint64_t size = info().me_mapsize;
  if (size < octets_max) return resize(std::min(size * 2, octets_max));
  if (size < cap(space)) return resize(cap(space));
  throw Error(ErrorCode::out_of_space,
              "store " + dir.string() + ": map is full at " + std::to_string(size) +
                  " octets, the configured limit" +
                  (space == Space::removal ? " and what is kept for removals" : "") +
                  "; remove records or raise store.map_octets_max");
}

bool EnvState::settle() {
  if (info().me_last_txnid == settled_) return false;
  // A plain entry of the unnamed table; the tables live beside it.
  const auto commit_something = [&](MDB_txn* txn) {
    MDB_dbi unnamed = 0;
    check(mdb_dbi_open(txn, nullptr, 0, &unnamed), "cannot open its unnamed table");
    std::size_t number = mdb_txn_id(txn);
    MDB_val key{settle_key.size(), const_cast<char*>(settle_key.data())};
    MDB_val value{sizeof number, &number};
    const int code = mdb_put(txn, unnamed, &key, &value, 0);
    if (code == MDB_MAP_FULL) map_full = true;
    check(code, "cannot put");
  };
  Outcome outcome = attempt(commit_something);
  if (outcome == Outcome::map_full && info().me_mapsize < cap(Space::removal)) {
    resize(cap(Space::removal));
    outcome = attempt(commit_something);
  }
  make_room(Space::normal);
  settled_ = info().me_last_txnid;
  return outcome != Outcome::map_full;
}

void EnvState::grow_to(std::uint64_t octets) {
  const std::uint64_t size = info().me_mapsize;
  const std::uint64_t want = std::min(whole_pages(octets), octets_max);
  if (want > size) resize(want);
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
