#pragma once

#include "lib/shared_store.hpp"
#include "transport/source.hpp"

namespace loam {

/// What sessions read: the shared environment, and nothing else.
class StoreSource final : public Source {
 public:
  /// The store outlives it.
  explicit StoreSource(const SharedStore& store) : store_(store) {}

  std::vector<std::string> segments() const override;
  SegmentState state(const std::string& segment) const override;
  Position position(const std::string& segment, const StoreId& peer) const override;
  JournalPage journal(const std::string& segment, std::uint64_t after, const StoreId& excluded,
                      std::size_t dots_max) const override;
  std::vector<ActorState> actors(const std::string& segment, const std::optional<ActorId>& after,
                                 std::size_t max) const override;
  Slice slice(const std::string& segment, const ActorId& actor, const RangeSet& selected,
              std::size_t octets_max, std::size_t records_max) const override;
  RangeSet live_counters(const std::string& segment, const ActorId& actor,
                         const RangeSet& selected) const override;
  Fingerprint live_fingerprint(const std::string& segment, const ActorId& actor,
                               const RangeSet& selected) const override;

 private:
  const SharedStore& store_;
};

}  // namespace loam
