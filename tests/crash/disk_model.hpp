#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tests/crash/disk_watch.hpp"
#include "tests/support/gen.hpp"

namespace loam::test {

using ::test::Gen;

/// Which syncs the disk honours. Anything but `all` is a control: what MDB_NOMETASYNC and
/// MDB_NOSYNC would do.
enum class Syncs : std::uint8_t {
  all,
  no_meta,  ///< a write through a descriptor with O_DSYNC stays in the cache until the next sync
  none,     ///< nothing is ever on the disk for certain
};

/// What a disk may hold of one data file. Follows the events of a run; at any moment it can put a
/// file there as a power failure would leave it: what was synced, and of the rest whatever its
/// generator chooses. Keeps one real file at the synced state and writes the differences only.
class DiskModel {
 public:
  /// `dir` is the directory of one environment and exists.
  explicit DiskModel(const std::filesystem::path& dir);
  DiskModel(const DiskModel&) = delete;
  DiskModel& operator=(const DiskModel&) = delete;
  ~DiskModel();

  void follow(const DiskEvent& event);

  /// From now on the disk honours these only.
  void honour(Syncs syncs) noexcept { syncs_ = syncs; }

  bool has_unsynced() const noexcept { return !pending_.empty() || !lost_.empty(); }

  /// Makes the file what it may be after a power failure now. Says how, for people.
  std::string fail(Gen& gen);

  /// Takes everything back that `fail` and a use of the file since then have done. `used` is what
  /// a DiskWatch saw of that use.
  void restore(const std::vector<DiskEvent>& used);

  /// What the running system sees.
  const Bytes& cache() const noexcept { return cache_; }

 private:
  struct Piece {
    std::uint64_t offset = 0;
    Bytes octets;
  };

  void write(const DiskEvent& event, bool flushes);
  void sync();
  void forget_lost(const Piece& by);
  void make_durable(const Piece& piece);
  void put(std::uint64_t offset, BytesView octets);
  std::vector<Piece> pieces(std::size_t octets) const;
  void apply(const Piece& piece);
  std::string apply_some(Gen& gen);
  void tear(Gen& gen, const std::vector<Piece>& all);
  void scramble(Gen& gen, const std::vector<Piece>& all);

  std::filesystem::path file_;
  std::filesystem::path aside_;  ///< where the real file stays while it has no name
  Syncs syncs_ = Syncs::all;
  int descriptor_ = -1;
  Bytes durable_;  ///< what is on the disk for certain
  Bytes cache_;
  std::vector<Piece> pending_;  ///< writes since the last sync, in order
  std::vector<Piece> lost_;     ///< writes before a failed sync: on the disk or not, for ever
  bool is_linked_ = false;
  bool is_link_durable_ = false;
  bool is_absent_ = false;  ///< the image has no file
  std::vector<Piece>
      touched_;  ///< where the real file is not `durable_`; only offset and size count
};

}  // namespace loam::test
