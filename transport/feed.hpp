#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "transport/outbound.hpp"

namespace loam {

/// How a follower gets to follow a feed. Both sides decide it from the same two state frames.
struct Start {
  bool compare = false;        ///< contexts must be compared first
  std::uint64_t sequence = 0;  ///< otherwise: follow the feed's journal from here

  bool operator==(const Start&) const = default;
};

/// Whether each side has followed the other's journal to the end, as they say: their states must be
/// equal.
bool is_in_step(const StateFrame& one, const StateFrame& other);

/// `feed` is what the source of the feed said, `follower` what the follower said.
Start decide_start(const StateFrame& feed, const StateFrame& follower);

/// One direction of one segment at its source: brings the peer up to date and keeps it there. First
/// waits for the peer's state; then either streams its journal from the peer's position, or answers
/// the peer's context, part by part, and streams from the head it had when the first part came.
class Feed {
 public:
  Feed(std::string segment, std::uint64_t index, const Source& source)
      : segment_(std::move(segment)), index_(index), source_(source) {}

  void start(const Start& start, JournalId journal, const StoreId& peer);
  void answer(const ContextFrame& part);
  void answer(const AskFrame& ask, Outbound& out);
  void acked(std::uint64_t position);

  /// Makes as many chunks as the window lets through. False: the journal no longer reaches back to
  /// where the peer is, so a fresh state must be sent and the peer will send its context.
  bool pump(Outbound& out);

  /// Whether the follower has made durable all that our journal held up to that position. Where the
  /// journal has been replaced since, that is all that it had been compared with.
  bool has_confirmed(const Position& position) const noexcept;

  std::uint64_t confirmed() const noexcept { return confirmed_; }
  std::uint64_t records_sent() const noexcept { return records_sent_; }

 private:
  enum class Phase { waiting, answering, streaming };

  struct Work {
    ActorId actor;
    RangeSet counters;
  };

  bool has_work();
  bool is_full(const SessionLimits& limits) const noexcept;
  bool pump_work(Outbound& out);
  void pump_answer(Outbound& out);
  void compare_next(Outbound& out);
  void compare(const ActorState& own, const SessionLimits& limits);
  void end_part(Outbound& out);
  bool pump_journal(Outbound& out);
  void add(Slice slice, Outbound& out);
  void flush(Outbound& out, std::optional<std::uint64_t> upto);
  void flush_summaries(Outbound& out, std::optional<Position> follow_from);
  void tell_sets(const ActorId& actor, RangeSet selected, Outbound& out);

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

  // Answering: the peer's part, how far our own actors were compared with it, what came out.
  std::optional<std::uint64_t> base_;  ///< our head when the first part came
  ContextFrame part_;
  std::optional<ActorId> compared_upto_;
  std::vector<ActorState> own_;
  bool own_exhausted_ = false;
  bool part_open_ = false;
  std::vector<Summary> summaries_;  ///< where the states may differ
  std::vector<Work> differing_;     ///< where they do

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
