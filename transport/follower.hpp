#pragma once

#include <list>
#include <optional>
#include <string>
#include <utility>

#include "transport/outbound.hpp"

namespace loam {

/// One direction of one segment at its receiving end: follows the peer's journal, from a remembered
/// position where that is still good, else from where a comparison leads to. Its position moves only
/// when everything before it has been handed to the store, in order.
class Follower {
 public:
  Follower(std::string segment, Kind kind) : segment_(std::move(segment)), kind_(kind) {}

  /// Follows the peer's journal from a position in it; `own` is the one that is stored.
  void follow(const Position& from, const Position& own, Outbound& out);

  /// A comparison begins: positions mean nothing until its base is known.
  void compare();

  /// The peer's journal and the head that it had before the peer looked at its state.
  void set_base(const Position& base);

  bool has_base() const noexcept { return base_.has_value(); }
  Position base() const noexcept { return {journal_, base_.value_or(0)}; }

  /// During a comparison: all that the peer owed has been handed to the store.
  bool has_all() const noexcept { return phase_ == Phase::comparing && pending_.has_value(); }

  /// The comparison has ended: follows from where it led to.
  void finish(Outbound& out);

  void received(const DeltaFrame& frame, std::uint64_t octets, Outbound& out);

  /// Dots that the peer has covered, and that do not live there.
  void remove(const Context& dead, Outbound& out);

  /// Whether the oldest unfinished Apply has that ticket.
  bool awaits(std::uint64_t ticket) const noexcept {
    return !unfinished_.empty() && unfinished_.front().ticket == ticket;
  }

  /// The oldest unfinished Apply is durable. Returns the octets of the chunk that it was.
  std::uint64_t applied(const ApplyOutcome& outcome);

  bool has_unfinished() const noexcept { return !unfinished_.empty(); }

  /// How far the peer's journal is durable here; a zero Position while contexts are compared.
  Position position() const noexcept {
    return phase_ == Phase::following && durable_ ? Position{journal_, *durable_} : Position{};
  }

  /// Whether all that the peer's journal held up to that position is durable here. Where the
  /// journal has been replaced since, that is all that was compared.
  bool has_reached(const Position& position) const noexcept {
    return phase_ == Phase::following && unfinished_.empty() && durable_ &&
           (journal_ != position.journal || *durable_ >= position.sequence);
  }

  const SegmentTally& tally() const noexcept { return tally_; }

 private:
  enum class Phase { idle, comparing, following };

  struct Change {
    Delta delta = {};
    Authors authors = {};
    BatchParts batches = {};
    std::optional<std::uint64_t> upto = {};
    std::uint64_t octets = 0;  ///< of the chunk that brought it
  };

  struct Unfinished {
    std::uint64_t ticket = 0;
    std::optional<std::uint64_t> position;
    std::uint64_t octets = 0;
  };

  void begin(Phase phase);
  void apply(Change change, Outbound& out);

  std::string segment_;
  Kind kind_;
  Phase phase_ = Phase::idle;

  JournalId journal_ = 0;
  std::uint64_t reached_ = 0;             ///< handed to the store
  std::optional<std::uint64_t> durable_;  ///< durable; absent: nothing yet
  std::list<Unfinished> unfinished_;

  // Comparing: the peer's head before, and how far it has gone since it sent all that it owed.
  std::optional<std::uint64_t> base_;
  std::optional<std::uint64_t> pending_;

  SegmentTally tally_;
};

}  // namespace loam
