#pragma once

#include <deque>
#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "transport/feed.hpp"

namespace loam {

/// The state of one actor in a segment; absent: it never wrote there, as far as is known.
std::optional<ActorState> actor_state(const Source& source, const std::string& segment,
                                      const ActorId& actor);

/// The second half of a comparison: among the dots that both sides have covered, which live here and
/// not there, and which live there and not here. One side asks, the other answers; the answer tells
/// both. What a peer has covered and does not have alive was removed there. Dots that are covered
/// never come alive again, so that every answer stays true however late it comes.
class LiveComparison {
 public:
  LiveComparison(std::string segment, std::uint64_t index, const Source& source)
      : segment_(std::move(segment)), index_(index), source_(source) {}

  /// Forgets what was asked and is to be asked.
  void begin(std::uint64_t number, const SketchKey& key, Outbound& out);

  /// The two sides differ somewhere in these counters of an actor, which both have covered, in about
  /// so many dots.
  struct Difference {
    ActorId actor;
    RangeSet common;
    std::uint64_t dots = 1;
  };
  void differs(Difference difference);

  /// To ask about all differences that were told, in the way that costs least.
  void ask(const SessionLimits& limits);

  /// To ask about every dot, in one sketch of so many cells: both sides cover the same as long as ours
  /// is in `state`.
  void ask_all(const SegmentState& state, std::size_t cells) { all_ = {state, cells}; }

  /// Asks what is to be asked, part by part, as far as the window allows. False: it was about every
  /// dot, and we are no longer in that state.
  bool pump(Outbound& out);

  /// Whether something is still to be asked.
  bool has_unasked() const noexcept { return all_ || !unasked_.empty(); }

  /// Lets the peer ask about every dot.
  void want_all(const std::optional<Position>& base, std::size_t cells, Outbound& out);

  /// Answers a question. `base` is where our journal stood when both sides covered the same. False:
  /// the question could not be answered, and another will come.
  bool answer(const LiveFrame& question, const Position& base, Feed& feed, Outbound& out);

  /// Takes an answer. False: a sketch of everything told too little. Otherwise what it told too little
  /// about is to be asked set by set.
  bool received(const DeadFrame& answer, Outbound& out);

  bool awaits_question() const noexcept { return awaits_question_; }

  /// Whether all was asked, and no answer and no second question is awaited.
  bool is_settled() const noexcept {
    return questions_.empty() && !has_unasked() && !awaits_question_;
  }

  /// What lives here and not at the peer, which has covered it; empties it.
  Context take_absent() { return std::exchange(absent_, {}); }

 private:
  struct Question {
    LiveFrame::Form form = LiveFrame::Form::sets;
    std::vector<Difference> about;  ///< empty: everything
    std::uint64_t answer_octets = 0;  ///< of its answer, at most
  };

  struct All {
    SegmentState state;
    std::size_t cells = 0;
  };

  void send(const LiveFrame& frame, std::vector<Difference> about, std::uint64_t answer_octets,
            Outbound& out);
  bool send_all(Outbound& out);
  void send_sketch(Outbound& out);
  void send_sets(Outbound& out);
  LiveSet next_set(const SessionLimits& limits);
  bool is_sketch_cheaper(const std::vector<Difference>& about, std::uint64_t dots,
                         const SessionLimits& limits) const;
  void answer_set(const LiveSet& set, Feed& feed, DeadFrame& answer, Outbound& out);
  bool answer_sketch(const LiveFrame& question, const Context& left_out, DeadFrame& answer);
  bool covers(const std::vector<LiveSet>& sets) const;
  std::optional<Context> fresh_since(const Position& base) const;
  void absent_items(std::vector<SketchItem>& items, const Question& question);

  template <class Visit>
  void each_live(const std::vector<LiveSet>& sets, bool all, const Context& left_out,
                 Visit&& visit) const;

  std::string segment_;
  std::uint64_t index_;
  const Source& source_;
  std::uint64_t number_ = 0;
  SketchKey key_{};
  std::vector<Difference> told_;
  std::deque<Difference> unasked_;
  bool as_sketch_ = false;         ///< those, in one sketch; else set by set
  std::optional<All> all_;         ///< everything is to be asked about
  std::list<Question> questions_;  ///< asked, and not answered
  bool awaits_question_ = false;  ///< the last answer was "undecided"
  Context absent_;
};

}  // namespace loam
