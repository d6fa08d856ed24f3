#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "crdt/error.hpp"
#include "lib/lmdb_format.hpp"
#include "lib/lmdb_state.hpp"

// The size of the map: when it grows, and to what.
namespace loam::lmdb {
namespace {

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
  if (lost_) throw Error(*lost_);
  if (const int code = mdb_env_set_mapsize(env, octets); code != MDB_SUCCESS) {
    // LMDB looks at the size before it gives up the map that it has.
    if (code != EINVAL)
      lost_.emplace(ErrorCode::failed, "store " + dir.string() + ": lost its map");
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
    MDB_val key{format::settle_key.size(), const_cast<char*>(format::settle_key.data())};
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

}  // namespace loam::lmdb
