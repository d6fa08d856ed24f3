#pragma once

#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "transport/follower.hpp"
#include "transport/live_comparison.hpp"

namespace loam {

/// The comparison of both sides' states of one segment, in three steps. Each side sums up what it
/// knows of every actor in one item; a sketch tells in which actors the sides differ. Of those they
/// exchange what is covered, so that each knows what the other lacks. Where what both have covered
/// lives here and not there, LiveComparison finds the dots. The dialler begins. Costs what differs:
/// nothing that travels grows with the segment.
class Comparison {
 public:
  Comparison(std::string segment, std::uint64_t index, const Source& source, const StoreId& peer,
             Role role, const SketchKey& key, Feed& feed, Follower& follower);

  /// Begins, or begins again; dialler only.
  void start(Outbound& out);

  /// Stops streaming and waits for the dialler to begin; listener only.
  void await();

  /// Take a part; `octets` is its size.
  void received(const CompareFrame& frame, std::uint64_t octets, Outbound& out);
  void received(const ContextFrame& frame, std::uint64_t octets, Outbound& out);
  void received(const LiveFrame& frame, std::uint64_t octets, Outbound& out);
  void received(const DeadFrame& frame, Outbound& out);

  /// Sends the next parts, as far as the window allows. After every part that was received.
  void pump(Outbound& out);

  /// Octets of parts that have been read since the last call: rows that we answer are read once they
  /// are answered, or need no answer any more.
  std::uint64_t take_read() noexcept { return std::exchange(read_octets_, 0); }

  /// Ends the comparison once nothing is open and all that is owed has come.
  void settle(Outbound& out);

  bool is_open() const noexcept { return stage_ != Stage::closed; }

  /// How many records live here that were removed at the peer, as its silence says, and are kept: too
  /// many at once. None once that was confirmed.
  std::uint64_t held() const;

 private:
  enum class Stage {
    closed,
    waiting,    ///< for the first frame of the peer
    sketching,  ///< sends a sketch
    listing,    ///< sends all items, which the peer compares
    naming,     ///< found out first: names what differs, and sends its rows
    hearing,    ///< has sent them, and hears the answer
    answering,  ///< answers the rows of the side that found out first
    settling,   ///< all rows were exchanged
  };
  using Item = std::pair<SketchItem, ActorId>;

  /// Rows of the peer, which found out first, as they came.
  struct Unanswered {
    std::vector<ContextEntry> rows;
    std::size_t answered = 0;
    bool end = false;
    std::uint64_t octets = 0;
  };

  void begin(std::uint64_t number, Outbound& out);
  void look();
  CompareFrame summary() const;
  void send_sketch(Outbound& out);
  bool merge_items(const CompareFrame& frame);
  std::optional<std::vector<SketchItem>> decoded(const CompareFrame& frame) const;
  void answer_undecided(const CompareFrame& frame, Outbound& out);
  void send_summary(Outbound& out);
  void compare_contexts(Outbound& out);
  void forget_unanswered() noexcept;
  void give_back() noexcept;
  void resolved(const CompareFrame& frame, Outbound& out);
  bool ask_all(const CompareFrame& frame, std::uint64_t dots, Outbound& out);
  bool ask_all_again(Outbound& out);
  void answer_wanted(const LiveFrame& frame, Outbound& out);
  void pump_questions(Outbound& out);
  void send_part(Outbound& out);
  void send_items(Outbound& out);
  void send_rows(Outbound& out);
  void take_replies(const ContextFrame& frame, Outbound& out);
  void take_names(const ContextFrame& frame);
  void keep_rows(const ContextFrame& frame, std::uint64_t octets, Outbound& out);
  void answer_part(Outbound& out);
  void take_row(const ContextEntry& row, std::vector<ContextEntry>& reply);
  void take_reply(const ContextEntry& row);
  void owe_before(const std::optional<ActorId>& actor);
  void owe_all(const ActorId& actor);
  void rows_done(Outbound& out);
  std::optional<Position> unsaid_base();
  ActorState shortened(ActorState actor, std::size_t ranges_max) const;

  std::string segment_;
  std::uint64_t index_;
  const Source& source_;
  StoreId peer_;
  Role role_;
  SketchKey seed_;
  Feed& feed_;
  Follower& follower_;
  LiveComparison live_;

  Stage stage_ = Stage::closed;
  std::uint64_t number_ = 0;
  SketchKey key_{};
  SegmentState state_;         ///< ours, before we looked
  std::vector<Item> own_;      ///< one for each of our actors, ascending by item
  bool base_said_ = false;
  bool tried_all_ = false;     ///< one sketch of everything was tried
  bool tried_again_ = false;   ///< a larger one, too
  bool is_wanted_ = false;     ///< the peer wants a sketch of everything, and streams meanwhile
  std::size_t asked_cells_ = 0;
  bool answered_ = false;      ///< our own sketch was sent in answer to the peer's
  std::uint64_t expected_ = 0; ///< items that differ, on both sides

  std::size_t merged_ = 0;                 ///< of `own_`, compared with the peer's items
  std::optional<SketchItem> last_item_;    ///< of the peer's list
  std::optional<ActorId> last_row_;        ///< of the peer's
  std::vector<ActorId> differing_;         ///< our actors that differ; ascending once rows travel
  std::vector<SketchItem> named_;          ///< actors of the peer's that differ
  bool all_named_ = false;
  std::size_t sent_ = 0;                   ///< of what is listed, named, or of the rows
  std::size_t cells_ = 0;                  ///< of the sketch that is to be sent
  std::list<Unanswered> unanswered_;
  std::uint64_t unanswered_octets_ = 0;
  std::uint64_t read_octets_ = 0;
  std::size_t compared_ = 0;               ///< of `differing_`, compared with the peer's rows
  Context held_;
  std::uint64_t removed_ = 0;              ///< dots that silence has removed on this connection
};

}  // namespace loam
