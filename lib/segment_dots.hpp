#pragma once

#include "lib/shared_batch.hpp"

namespace loam {

/// The dot store of one segment inside a batch. Writer thread only.
class SegmentDots final : public DotStore {
 public:
  /// `origin` is the store that the change comes from; zero: this one.
  /// `places` has where the records of the change stand that others have signed; it outlives this.
  SegmentDots(SharedBatch& batch, SegmentNumber segment, const StoreId& origin,
              const BatchPlaces* places = nullptr)
      : batch_(batch),
        segment_(segment),
        origin_(origin),
        places_(places),
        kind_(batch.segment(segment).row.state.kind) {}

  RangeSet covered(const ActorId& actor) const override;
  std::vector<LiveDot> live_in(const ActorId& actor, Range range) const override;
  void insert(const Dot& dot, BytesView record, const ContentHash& content) override;
  void drop(const Dot& dot) override;
  void replace(const Dot& dot, BytesView record, const ContentHash& content) override;
  void keep_aside(const Dot& dot, BytesView record) override;
  void cover(const ActorId& actor, const RangeSet& ranges) override;

 private:
  ActorIndex known(const ActorId& actor) const;
  DotRow live_row(ActorIndex actor, const Dot& dot) const;
  void count(ActorIndex actor, const Dot& dot, const ContentHash& content, std::size_t octets,
             bool is_live);

  SharedBatch& batch_;
  SegmentNumber segment_;
  StoreId origin_;
  const BatchPlaces* places_;
  Kind kind_;
};

}  // namespace loam
