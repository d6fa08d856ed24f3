#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "transport/outbound.hpp"

namespace loam {

/// One direction of one segment at its source: brings the peer up to date and keeps it there. It
/// streams its journal from the peer's position; during a comparison it sends what the comparison
/// found missing at the peer, and then streams from the head that the journal had before it.
class Feed {
 public:
  Feed(std::string segment, std::uint64_t index, const Source& source)
      : segment_(std::move(segment)), index_(index), source_(source) {}

  /// Streams our journal to that peer from a position in it.
  void follow(const Position& from, const StoreId& peer);

  /// Stops streaming: a comparison begins.
  void compare(const StoreId& peer);

  /// During a comparison: the peer lacks these counters of an actor.
  void owe(const ActorId& actor, const RangeSet& counters);

  /// Whether a comparison may still find something that is owed.
  bool is_comparing() const noexcept { return phase_ == Phase::comparing && owes_all_; }

  /// The comparison has found all that is owed. What follows is streamed from `base`.
  void end_comparison(const Position& base);

  /// The peer wants the records of these counters, as far as they live.
  void want(const ActorId& actor, const RangeSet& counters);

  /// Throws Error(invalid) for a position that was never sent.
  void acked(std::uint64_t position);

  /// Makes as many chunks as the window lets through. False: the journal no longer reaches back to
  /// where the peer is, so the two sides must compare.
  bool pump(Outbound& out);

  /// Whether the follower has made durable all that our journal held up to that position. Where the
  /// journal has been replaced since, that is all that it had been compared with.
  bool has_confirmed(const Position& position) const noexcept;

  std::uint64_t confirmed() const noexcept { return confirmed_; }
  std::uint64_t records_sent() const noexcept { return records_sent_; }

 private:
  enum class Phase { waiting, comparing, streaming, lost };

  struct Work {
    ActorId actor;
    RangeSet counters;
  };

  bool has_work();
  bool is_full(const SessionLimits& limits) const noexcept;
  bool pump_work(Outbound& out);
  bool pump_owed(Outbound& out);
  bool pump_journal(Outbound& out);
  void add(Slice slice, Outbound& out);
  void flush(Outbound& out, std::optional<std::uint64_t> upto);

  std::string segment_;
  std::uint64_t index_;
  const Source& source_;
  StoreId peer_;
  Phase phase_ = Phase::waiting;

  // The chunk being filled, and the selections still to be read into chunks.
  DeltaFrame chunk_;
  std::size_t chunk_octets_ = 0;
  std::deque<Work> work_;
  std::map<ActorId, RangeSet> wanted_;  ///< records that were asked for: live ones of ours only

  std::optional<std::uint64_t> base_;  ///< after a comparison: the journal's head before it
  bool owes_all_ = false;              ///< the comparison has not ended

  // Streaming: journal entries up to `reading_` are in work or sent, those up to `cursor_` are
  // sent.
  JournalId journal_ = 0;
  std::uint64_t cursor_ = 0;
  std::optional<std::uint64_t> reading_;
  std::uint64_t announced_ = 0;
  std::uint64_t confirmed_ = 0;
  std::uint64_t records_sent_ = 0;
};

}  // namespace loam
