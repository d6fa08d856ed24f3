#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "transport/feed.hpp"

namespace loam {

/// One direction of one segment at its receiving end: follows the peer's journal, from a remembered
/// position where that is still good, else after the two contexts were compared. Its position moves
/// only when everything before it has been handed to the store, in order.
class Follower {
 public:
  Follower(std::string segment, Kind kind, std::uint64_t index, const Source& source)
      : segment_(std::move(segment)), kind_(kind), index_(index), source_(source) {}

  /// Begins, or begins again: by position or with a comparison.
  void start(const Start& start, const StateFrame& peer, Position own, Outbound& out);

  void received(const DeltaFrame& frame, std::uint64_t octets, Outbound& out);
  void received(const ComparedFrame& frame, Outbound& out);
  void received(const SetsFrame& frame, Outbound& out);

  /// Whether the oldest unfinished Apply has that ticket.
  bool awaits(std::uint64_t ticket) const noexcept {
    return !unfinished_.empty() && unfinished_.front().ticket == ticket;
  }

  /// The oldest unfinished Apply is durable. Returns the octets of the chunk that it was.
  std::uint64_t applied(const ApplyOutcome& outcome);

  bool is_comparing() const noexcept { return phase_ == Phase::comparing; }
  bool has_unfinished() const noexcept { return !unfinished_.empty(); }

  /// How far the peer's journal is durable here; a zero Position while contexts are compared.
  Position position() const noexcept {
    return is_settled() && durable_ ? Position{journal_, *durable_} : Position{};
  }

  /// Whether all that the peer's journal held up to that position is durable here. Where the
  /// journal has been replaced since, that is all that was compared.
  bool has_reached(const Position& position) const noexcept {
    return is_settled() && unfinished_.empty() && durable_ &&
           (journal_ != position.journal || *durable_ >= position.sequence);
  }

  const SegmentTally& tally() const noexcept { return tally_; }

 private:
  enum class Phase { idle, comparing, following };

  struct Change {
    Delta delta = {};
    Authors authors = {};
    std::optional<std::uint64_t> upto = {};
    std::uint64_t octets = 0;  ///< of the chunk that brought it
  };

  struct Unfinished {
    std::uint64_t ticket = 0;
    std::optional<std::uint64_t> position;
    std::uint64_t octets = 0;
  };

  /// Follows the journal, and no question is open.
  bool is_settled() const noexcept {
    return phase_ == Phase::following && asked_.empty() && !parts_done_;
  }

  void send_context(std::optional<ActorId> after, Outbound& out);
  void shorten(ActorState& actor, std::size_t ranges_max) const;
  void ask(const ActorId& actor, const RangeSet& selected, bool records, Outbound& out);
  void apply(Change change, Outbound& out);
  void finish_comparison(Outbound& out);

  std::string segment_;
  Kind kind_;
  std::uint64_t index_;
  const Source& source_;
  Phase phase_ = Phase::idle;

  JournalId journal_ = 0;
  std::uint64_t reached_ = 0;             ///< handed to the store
  std::optional<std::uint64_t> durable_;  ///< durable; absent: nothing yet
  std::deque<Unfinished> unfinished_;

  // Comparing.
  std::optional<ActorId> part_last_;
  bool parts_done_ = false;
  std::optional<std::uint64_t> follow_from_;  ///< in `journal_`, once the questions are answered
  std::map<ActorId, RangeSet> asked_;

  SegmentTally tally_;
};

}  // namespace loam
