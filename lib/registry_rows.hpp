#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "crdt/registry.hpp"
#include "lib/shared_tables.hpp"

namespace loam {

/// Assignments as they were read before: whether a key is sound takes longer to see than all else.
struct KnownAssignments {
  struct Known {
    ContentHash content;
    Signature signature;  ///< of the batch
    std::optional<RegistryAssignment> assignment;
  };
  std::map<std::pair<ActorIndex, std::uint64_t>, Known> by_dot;
};

/// The registry that a store's assignments make. Those that are not signed, that no instance of this version
/// understands or that name no instance do not count. What is in `known` is taken from there, and nothing else stays.
std::shared_ptr<const Registry> read_registry(const SharedReader& reader, SegmentNumber segment,
                                              const FederationRoot& root, KnownAssignments& known);

/// The registry of a store, folded again when its assignments have changed. Any thread.
class RegistryCache {
 public:
  RegistryCache(SegmentNumber segment, const FederationRoot& root) : segment_(segment), root_(root) {}

  /// As of the reader's snapshot. `live` is the live root of the segment there: what a transaction has changed
  /// itself does not stand in the rows yet.
  std::shared_ptr<const Registry> of(const SharedReader& reader, const Fingerprint& live) const;
  std::shared_ptr<const Registry> of(const SharedReader& reader) const;

  /// The same; null when there is no fence in it. Looks at nothing when it has been asked of the same snapshot before.
  std::shared_ptr<const Registry> fences(const SharedReader& reader) const;

 private:
  SegmentNumber segment_;
  FederationRoot root_;
  mutable std::mutex mutex_;
  mutable Fingerprint live_;
  mutable std::shared_ptr<const Registry> known_;
  mutable KnownAssignments assignments_;
  mutable std::mutex fences_mutex_;
  mutable std::optional<std::pair<std::uint64_t, std::uint64_t>> fences_of_;  ///< the transaction that was asked about
  mutable std::shared_ptr<const Registry> fences_;
};

}  // namespace loam
