#include "transport/comparison.hpp"

#include <algorithm>
#include <cassert>

#include "crdt/error.hpp"
#include "crdt/hash.hpp"
#include "planted.hpp"
#include "transport/frame_layout.hpp"
#include "transport/ranges.hpp"

namespace loam {
namespace {

// Octets that it takes to tell of an actor by its rows, about.
constexpr std::size_t told_row_octets = 100;

// Of the peer's actors that differ, so that no peer makes us keep more: 128 MiB of items.
constexpr std::size_t named_max = std::size_t{1} << 24;

}  // namespace

Comparison::Comparison(std::string segment, std::uint64_t index, const Source& source,
                       const StoreId& peer, Role role, const SketchKey& key, Feed& feed,
                       Follower& follower)
    : segment_(std::move(segment)),
      index_(index),
      source_(source),
      peer_(peer),
      role_(role),
      seed_(key),
      feed_(feed),
      follower_(follower),
      live_(segment_, index, source) {}

// ---------------------------------------------------------------- which actors differ

void Comparison::begin(std::uint64_t number, Outbound& out) {
  number_ = number;
  key_ = hash128("loam compare 1", {seed_, bytes_of(segment_), bytes_of(std::to_string(number))});
  live_.begin(number, key_, out);
  forget_unanswered();
  stage_ = Stage::waiting;
  base_said_ = is_wanted_ = tried_all_ = tried_again_ = answered_ = all_named_ = false;
  expected_ = asked_cells_ = 0;
  merged_ = sent_ = compared_ = 0;
  last_item_.reset();
  last_row_.reset();
  held_ = {};
  differing_.clear();
  named_.clear();
  feed_.compare(peer_);
  follower_.compare();
}

void Comparison::await() {
  assert(role_ == Role::listener);
  stage_ = Stage::waiting;
  feed_.compare(peer_);
  follower_.compare();
}

void Comparison::start(Outbound& out) {
  assert(role_ == Role::dialler);
  begin(number_ + 1, out);
  look();
  cells_ = out.limits().first_cells;
  stage_ = own_.size() <= out.limits().listed_actors ? Stage::listing : Stage::sketching;
  pump(out);
}

// The state is read first: what changes later is in the journal after its head.
void Comparison::look() {
  constexpr std::size_t page = 256;
  state_ = source_.state(segment_);
  own_.clear();
  std::optional<ActorId> after;
  std::vector<ActorState> actors;
  do {
    actors = source_.actors(segment_, after, page);
    for (const ActorState& actor : actors) {
      own_.emplace_back(sketch_item(key_, actor.actor, actor.covered, actor.live), actor.actor);
    }
    if (!actors.empty()) after = actors.back().actor;
  } while (actors.size() == page);
  std::sort(own_.begin(), own_.end());
}

CompareFrame Comparison::summary() const {
  CompareFrame frame{.index = index_, .number = number_};
  frame.base = {state_.journal, state_.head};
  frame.context = state_.roots.context;
  frame.actors = own_.size();
  frame.records = state_.records;
  return frame;
}

void Comparison::send_sketch(Outbound& out) {
  CompareFrame frame = summary();
  Sketch sketch(cells_);
  DifferenceEstimate estimate;
  for (const auto& [item, actor] : own_) {
    sketch.add(item);
    estimate.add(item);
  }
  frame.cells = sketch.octets();
  frame.estimate = estimate.octets();
  base_said_ = true;
  stage_ = Stage::waiting;
  out.send_counted(frame);
}

void Comparison::received(const CompareFrame& frame, std::uint64_t octets, Outbound& out) {
  read_octets_ += octets;
  if (role_ == Role::listener && frame.number > number_) {
    begin(frame.number, out);
    look();
  } else if (frame.number < number_) {
    return;  // of a comparison that was given up
  }
  const bool is_unanswered = stage_ == Stage::settling && live_.awaits_question() && tried_all_;
  if (is_unanswered) compare_contexts(out);  // the peer could not ask about everything
  if (frame.number > number_ || stage_ != Stage::waiting) {
    throw Error(ErrorCode::invalid, "compare: out of order");
  }
  follower_.set_base(frame.base);
  if (frame.cells.empty()) {
    if (merge_items(frame)) resolved(frame, out);
    return;
  }
  const auto items = decoded(frame);
  if (!items) return answer_undecided(frame, out);
  for (const SketchItem item : *items) {
    const auto at = std::lower_bound(own_.begin(), own_.end(), Item{item, ActorId{}});
    at != own_.end() && at->first == item ? differing_.push_back(at->second)
                                          : named_.push_back(item);
  }
  resolved(frame, out);
}

// Both lists ascend, so that neither has to be kept. True at the end.
bool Comparison::merge_items(const CompareFrame& frame) {
  for (const SketchItem item : frame.items) {
    if (last_item_ && item <= *last_item_) {
      throw Error(ErrorCode::invalid, "compare: items out of order");
    }
    last_item_ = item;
    for (; merged_ < own_.size() && own_[merged_].first < item; ++merged_) {
      differing_.push_back(own_[merged_].second);
    }
    if (merged_ < own_.size() && own_[merged_].first == item) {
      ++merged_;
    } else {
      named_.push_back(item);
    }
  }
  if (named_.size() > named_max) {
    throw Error(ErrorCode::limit, "compare: more than " + std::to_string(named_max) +
                                      " actors that are not known here");
  }
  if (!frame.end) return false;
  for (; merged_ < own_.size(); ++merged_) differing_.push_back(own_[merged_].second);
  return true;
}

std::optional<std::vector<SketchItem>> Comparison::decoded(const CompareFrame& frame) const {
  const Sketch theirs = Sketch::from(frame.cells);
  Sketch difference(theirs.cells());
  for (const auto& [item, actor] : own_) difference.add(item);
  difference -= theirs;
  return difference.items();
}

void Comparison::answer_undecided(const CompareFrame& frame, Outbound& out) {
  DifferenceEstimate own;
  for (const auto& [item, actor] : own_) own.add(item);
  expected_ = own.to(DifferenceEstimate(frame.estimate));
  if (!ask_all(frame, expected_ / 2, out)) send_summary(out);
}

// A sketch that is large enough for what is expected; from a dialler, to whom the peer's own did not tell
// enough, one that is enough for much more. Once each; then the whole list.
void Comparison::send_summary(Outbound& out) {
  const std::size_t cells =
      cells_for(role_ == Role::listener ? expected_ + expected_ / 4 : 4 * expected_);
  const bool is_list_cheaper = cells * Sketch::cell_octets >= own_.size() * wire::item_octets;
  const bool is_listed = is_list_cheaper || cells > out.limits().cells_max || answered_;
  if (!is_listed) answered_ = true;
  cells_ = cells;
  sent_ = 0;
  stage_ = is_listed ? Stage::listing : Stage::sketching;
  pump(out);
}

// After one sketch of everything did not do: which actors differ must be known.
void Comparison::compare_contexts(Outbound& out) {
  feed_.compare(peer_);
  follower_.compare();
  live_.begin(number_, key_, out);
  forget_unanswered();
  stage_ = Stage::waiting;
  tried_all_ = true;
  base_said_ = is_wanted_ = false;
  merged_ = sent_ = compared_ = 0;
  last_item_.reset();
  last_row_.reset();
  differing_.clear();
  named_.clear();
}

// One sketch of all dots, where both sides cover the same and many actors differ. It is the listener's
// decision, because a dialler's context may have grown since it told its root. Whoever has fewer records
// asks: then the other finds what it has to remove, and has little to answer.
bool Comparison::ask_all(const CompareFrame& frame, std::uint64_t dots, Outbound& out) {
  if (role_ == Role::dialler || tried_all_ || frame.context != state_.roots.context) return false;
  if (dots < out.limits().many_actors) return false;
  tried_all_ = true;
  expected_ = 2 * dots;
  // Where one side alone has removed, the difference of their records is exact, and better than the
  // estimate that it resembles.
  const std::uint64_t surplus = distance(state_.records, frame.records);
  const bool is_exact = surplus >= dots || dots - surplus < dots / 3;
  const std::size_t cells = cells_for(is_exact ? surplus : dots + dots / 4);
  if (cells > out.limits().cells_max) return false;
  asked_cells_ = cells;
  if (frame.records < state_.records) {
    live_.want_all(unsaid_base(), cells, out);
  } else {
    live_.ask_all(state_, cells);
  }
  base_said_ = true;
  differing_.clear();
  named_.clear();
  rows_done(out);
  return true;
}

// A sketch of everything told too little. A larger one is tried once, unless rows cost less.
bool Comparison::ask_all_again(Outbound& out) {
  const std::size_t cells = 4 * asked_cells_;
  const std::uint64_t rows = std::max<std::uint64_t>(expected_, asked_cells_) * told_row_octets;
  if (std::exchange(tried_again_, true) || cells > out.limits().cells_max) return false;
  if (cells * Sketch::cell_octets > rows) return false;
  live_.ask_all(state_, cells);
  return true;
}

std::optional<Position> Comparison::unsaid_base() {
  if (std::exchange(base_said_, true)) return std::nullopt;
  return Position{state_.journal, state_.head};
}

// ---------------------------------------------------------------- which dots differ

void Comparison::received(const LiveFrame& frame, std::uint64_t octets, Outbound& out) {
  using Form = LiveFrame::Form;
  read_octets_ += octets;
  if (frame.number < number_) return;
  const bool is_of_all = frame.form == Form::all || frame.form == Form::wanted;
  // A larger sketch may follow one that told too little, from either side.
  const bool is_again = frame.form == Form::all && tried_all_;
  const bool begins =
      is_of_all && stage_ == Stage::waiting && (role_ == Role::dialler || is_again);
  const bool goes_on = stage_ == Stage::settling && (!is_of_all || live_.awaits_question());
  if (frame.number > number_ || (!begins && !goes_on)) {
    throw Error(ErrorCode::invalid, "live: out of order");
  }
  if (begins) {
    if (frame.base) follower_.set_base(*frame.base);
    if (!follower_.has_base()) throw Error(ErrorCode::invalid, "live: without a base");
    tried_all_ = true;
    rows_done(out);
  }
  if (frame.form == Form::wanted) return answer_wanted(frame, out);
  const bool is_answered = live_.answer(frame, {state_.journal, state_.head}, feed_, out);
  // What the peer still streams is older than the base that it will name once more.
  if (is_of_all && !is_answered) compare_contexts(out);
}

void Comparison::answer_wanted(const LiveFrame& frame, Outbound& out) {
  const std::uint64_t cells = std::min<std::uint64_t>(frame.wanted, out.limits().cells_max);
  asked_cells_ = static_cast<std::size_t>(cells);
  expected_ = cells;
  is_wanted_ = true;
  live_.ask_all(state_, asked_cells_);
  pump(out);
}

void Comparison::received(const DeadFrame& frame, Outbound& out) {
  if (frame.number < number_) return;
  if (frame.number > number_ || stage_ != Stage::settling) {
    throw Error(ErrorCode::invalid, "dead: out of order");
  }
  if (live_.received(frame, out)) return;
  const Position base = follower_.base();
  compare_contexts(out);
  follower_.set_base(base);
  if (ask_all_again(out)) {
    rows_done(out);
  } else {
    send_summary(out);
  }
}

// What is owed is all found once all was asked: a peer that has everything takes no more questions.
void Comparison::pump_questions(Outbound& out) {
  if (!live_.pump(out)) {
    // We have changed, so that both sides may cover the same no longer. The peer hears of it by what
    // comes instead. One that wanted the sketch streams already, and names its base once more; one that
    // waits for it has named it, and will not again.
    const Position base = follower_.base();
    const bool is_named_again = is_wanted_;
    compare_contexts(out);
    if (!is_named_again) follower_.set_base(base);
    send_summary(out);
  } else if (feed_.is_comparing() &&
             (!live_.has_unasked() || planted(Bug::end_before_questions))) {
    const bool is_late = planted(Bug::base_is_later_head);
    const std::uint64_t head = is_late ? source_.state(segment_).head : state_.head;
    feed_.end_comparison({state_.journal, head});
  }
}

std::uint64_t Comparison::held() const {
  std::uint64_t dots = 0;
  for (const auto& [actor, counters] : held_) {
    dots += source_.live_counters(segment_, actor, counters).count();
  }
  return dots;
}

void Comparison::settle(Outbound& out) {
  if (stage_ != Stage::settling || feed_.is_comparing()) return;
  if (!live_.is_settled() || !follower_.has_all()) return;
  const Context absent = live_.take_absent();
  const std::uint64_t dots = absent.count();
  const std::uint64_t allowed = std::max(out.limits().removals_min,
                                         state_.records / 100 * out.limits().removals_percent);
  if (planted(Bug::end_before_removals)) follower_.finish(out);
  if (removed_ + dots > allowed && !planted(Bug::fuse_never_trips)) {
    held_ = absent;
    out.act(Hold{segment_, absent});
  } else if (!planted(Bug::found_removals_dropped)) {
    removed_ += dots;
    follower_.remove(absent, out);
  }
  if (!planted(Bug::end_before_removals)) follower_.finish(out);
  stage_ = Stage::closed;
  give_back();
}

// A link stays for long after it has compared, and a hub has many. An assignment of {} would keep the room.
void Comparison::give_back() noexcept {
  std::vector<Item>().swap(own_);
  std::vector<ActorId>().swap(differing_);
  std::vector<SketchItem>().swap(named_);
}

void Comparison::forget_unanswered() noexcept {
  unanswered_.clear();
  if (planted(Bug::dropped_rows_not_read)) unanswered_octets_ = 0;
  read_octets_ += std::exchange(unanswered_octets_, 0);
}

}  // namespace loam
