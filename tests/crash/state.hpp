#pragma once

#include <map>
#include <string>
#include <utility>

#include "lib/private_store.hpp"
#include "lib/shared_store.hpp"

namespace loam::test {

/// What one shared segment holds, journal included.
struct SegmentContents {
  Context context;
  std::map<Dot, Bytes> live;
  JournalId journal = 0;
  std::uint64_t floor = 0;
  std::uint64_t head = 0;
  std::map<std::uint64_t, std::pair<StoreId, Context>> entries;  ///< by sequence: origin, change

  bool operator==(const SegmentContents&) const = default;
};

/// Everything in the shared environment that is not derived from something else in it. `walk`
/// recomputes the rest.
struct SharedState {
  StoreId id;
  Hlc clock;
  std::map<std::string, SegmentContents> segments;  ///< those that hold something, by name
  std::map<ActorId, InstanceId> authors;
  std::map<std::pair<StoreId, std::string>, Position> positions;
  std::map<StoreId, Bytes> peers;  ///< encoded rows
  std::map<PacketId, std::string> packets;

  bool operator==(const SharedState&) const = default;
};

/// Everything in the private environment.
struct PrivateState {
  std::map<std::pair<std::string, PacketId>, Bytes> records;
  std::map<std::pair<std::string, std::string>, Bytes> entries;
  std::map<PacketId, std::string> packets;

  bool operator==(const PrivateState&) const = default;
};

/// The state of a store, read from its tables in one snapshot. Throws Error(damaged).
SharedState read_state(const SharedStore& store);

/// The state of the private environment. Throws Error(damaged); std::logic_error when its counts
/// are not those of its records.
PrivateState read_state(const PrivateStore& store);

/// What differs, in words; empty: nothing.
std::string difference(const SharedState& found, const SharedState& expected);
std::string difference(const PrivateState& found, const PrivateState& expected);

}  // namespace loam::test
