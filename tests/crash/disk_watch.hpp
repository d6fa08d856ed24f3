#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "crdt/bytes.hpp"

namespace loam::test {

/// One thing that happened to the data file of one environment, in the order of the calls. The file
/// is named by the directory of its environment, directly under the watched directory.
struct DiskEvent {
  enum class Kind : std::uint8_t {
    write,           ///< octets went to the cache of the system
    flushed_write,   ///< the same, through a descriptor with O_DSYNC: on the disk when it returned
    sync,            ///< everything written before is on the disk
    failed_sync,     ///< what was written before may or may not be on the disk, for ever
    link,            ///< the file got its name
    sync_directory,  ///< the names are on the disk
    begun,           ///< the test begins the commit that leads to state `number`
    acknowledged,    ///< the test was told that state `number` is durable
  };

  Kind kind;
  std::string environment;
  std::uint64_t offset = 0;  ///< of a write
  Bytes octets = {};         ///< of a write
  std::uint64_t number = 0;  ///< of begun and acknowledged

  bool operator==(const DiskEvent&) const = default;
};

/// A call that fails on purpose.
struct Fault {
  enum class Call : std::uint8_t {
    none,
    write,       ///< of pages: nothing is written, or half of it when `code` is 0
    sync,        ///< fsync or fdatasync
    meta_write,  ///< through a descriptor with O_DSYNC: nothing is written, or half of it
    meta_sync,   ///< the same, but written and then not synced for certain
    meta_lost,   ///< the same, and the next plain write of a meta page fails; with `lasts` every one
  };

  Call call = Call::none;
  std::uint64_t number = 0;  ///< which one of them, from 1
  int code = 0;              ///< errno
  bool lasts = false;        ///< every later one fails, too
};

/// Sees every write, sync and link of the data files (`DIR/ENVIRONMENT/data.mdb`) that anything in
/// this process makes through the C library, and can let them fail. Works because the executable
/// defines those functions itself, which the dynamic linker prefers, for liblmdb too. One at a
/// time; one thread.
class DiskWatch {
 public:
  explicit DiskWatch(const std::filesystem::path& dir, const Fault& fault = {});
  DiskWatch(const DiskWatch&) = delete;
  DiskWatch& operator=(const DiskWatch&) = delete;
  ~DiskWatch();

  /// Notes what the test itself knows: `begun` or `acknowledged`.
  void mark(DiskEvent::Kind kind, const std::string& environment, std::uint64_t number);

  const std::vector<DiskEvent>& events() const noexcept { return events_; }

  /// How many calls have failed on purpose.
  std::uint64_t failures() const noexcept { return failures_; }

  /// From now on everything works again.
  void heal() noexcept { fault_ = {}; }

  /// Lets a call fail from now on; counts anew.
  void fail(const Fault& fault) noexcept;

  // For the functions that replace those of the C library. The environment of a descriptor or a
  // path; absent: it is none of ours.
  std::optional<std::string> environment_of(int file);
  std::optional<std::string> environment_of(const char* path) const;
  ssize_t write(int file, const std::string& environment, std::span<const iovec> parts,
                std::uint64_t offset, bool moves);
  int sync(int file, const std::string& environment, long call);
  void link(const std::string& environment);
  int extend(int file, const std::string& environment, std::uint64_t offset, std::uint64_t octets);

 private:
  bool fails(Fault::Call call) noexcept;
  bool may_not_put_back(std::uint64_t offset) noexcept;
  void note(DiskEvent event) { events_.push_back(std::move(event)); }

  std::filesystem::path dir_;
  Fault fault_;
  std::uint64_t calls_ = 0;  ///< of the kind that is to fail
  std::uint64_t failures_ = 0;
  bool put_back_fails_ = false;
  std::vector<DiskEvent> events_;
  std::map<std::pair<dev_t, ino_t>, std::optional<std::string>> files_;
};

/// Lets `statx` say that every data file is one and the same: a file that comes back after a crash
/// is the same file, though the tests write it anew. For the scope of the object.
class OneFileIdentity {
 public:
  OneFileIdentity();
  OneFileIdentity(const OneFileIdentity&) = delete;
  OneFileIdentity& operator=(const OneFileIdentity&) = delete;
  ~OneFileIdentity();
};

/// Makes libsodium's random octets follow from a seed, for the rest of the process.
void seed_random_octets(std::uint64_t seed);

}  // namespace loam::test
