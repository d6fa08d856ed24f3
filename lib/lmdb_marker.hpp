#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "lib/descriptor.hpp"

namespace loam::lmdb {

/// The id of the machine's boot: another one after every restart. Empty where the system has none.
std::string boot_id();

/// The mark that somebody has written a store and has not closed it: file `open` beside the data,
/// with the id of the boot in which that was. Every process that writes holds a shared lock on it;
/// the last one that closes takes it away. Found after a restart of the machine, it says that the
/// store was not closed. One thread at a time.
class Marker {
 public:
  /// `boot` is the id of the current boot.
  Marker(std::filesystem::path dir, std::string boot);
  Marker(const Marker&) = delete;
  Marker& operator=(const Marker&) = delete;

  /// Before the store is opened: when the mark is from before a restart, runs `check`, and takes
  /// the mark away when that does not throw. A process that comes at the same time waits. Says
  /// whether there is a mark of this boot that nobody has: the last writer was killed, or the disk
  /// had failed it. Throws what `check` throws, and Error(denied), Error(failed).
  bool settle(const std::function<void()>& check);

  /// Before the first write: makes the mark, durably. Throws Error.
  void set();

  /// After the last write, unless the disk has failed it. Takes the mark away unless another process has it too. Throws nothing: a
  /// mark that stays costs one check.
  void clear() noexcept;

 private:
  std::optional<Descriptor> locked(int flags, int lock) const;

  std::filesystem::path dir_;
  std::string boot_;
  std::optional<Descriptor> held_;
};

}  // namespace loam::lmdb
