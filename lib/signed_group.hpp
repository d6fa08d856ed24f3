#pragma once

#include <cstdint>
#include <map>
#include <tuple>

#include "crdt/batch.hpp"
#include "transport/frame.hpp"

namespace loam {

/// Records with what was signed, which come one by one, as one change: of each batch there is one part with all its
/// records that have come, so that it is verified once. A value.
class SignedGroup {
 public:
  /// Takes a frame whole, or says false and takes nothing: what it says and what is here are not of one state.
  bool add(const DeltaFrame& frame);

  /// All of it.
  DeltaFrame frame() const;

 private:
  using Key = std::tuple<ActorId, std::uint64_t, std::uint32_t, std::array<std::byte, 64>>;  ///< of a batch
  struct Known {
    BatchPart part;
    TreePart records;
  };

  Delta delta_;
  Authors authors_;
  std::map<Key, Known> batches_;
};

}  // namespace loam
