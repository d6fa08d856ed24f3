#include "transport/comparison.hpp"

#include <algorithm>
#include <cassert>

#include "crdt/error.hpp"
#include "crdt/hash.hpp"
#include "transport/ranges.hpp"

namespace loam {
namespace {

// Octets of an item in a list.
constexpr std::size_t item_octets = 8;

std::uint64_t distance(std::uint64_t left, std::uint64_t right) noexcept {
  return left > right ? left - right : right - left;
}

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

void Comparison::begin(std::uint64_t number) {
  number_ = number;
  key_ = hash128("loam compare 1", {seed_, bytes_of(segment_), bytes_of(std::to_string(number))});
  live_.begin(number, key_);
  stage_ = Stage::waiting;
  base_said_ = tried_all_ = answered_ = all_named_ = false;
  expected_ = 0;
  merged_ = sent_ = compared_ = 0;
  held_ = 0;
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
  begin(number_ + 1);
  look();
  base_said_ = true;
  if (own_.size() <= out.limits().listed_actors) return list_items(out);
  CompareFrame frame = summary();
  add_sketch(frame, out.limits().first_cells);
  out.send_counted(frame);
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

void Comparison::add_sketch(CompareFrame& frame, std::size_t cells) const {
  Sketch sketch(cells);
  DifferenceEstimate estimate;
  for (const auto& [item, actor] : own_) {
    sketch.add(item);
    estimate.add(item);
  }
  frame.cells = sketch.octets();
  frame.estimate = estimate.octets();
}

void Comparison::list_items(Outbound& out) {
  stage_ = Stage::listing;
  sent_ = 0;
  pump(out);
}

void Comparison::received(const CompareFrame& frame, Outbound& out) {
  if (role_ == Role::listener && frame.number > number_) {
    begin(frame.number);
    look();
  } else if (frame.number < number_) {
    return;  // of a comparison that was given up
  }
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
    for (; merged_ < own_.size() && own_[merged_].first < item; ++merged_) {
      differing_.push_back(own_[merged_].second);
    }
    if (merged_ < own_.size() && own_[merged_].first == item) {
      ++merged_;
    } else {
      named_.push_back(item);
    }
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

// A sketch that is large enough for what is expected, once; else the whole list.
void Comparison::send_summary(Outbound& out) {
  const std::size_t cells = cells_for(expected_ + expected_ / 4);
  const bool is_list_cheaper = cells * Sketch::cell_octets >= own_.size() * item_octets;
  if (is_list_cheaper || cells > out.limits().cells_max || std::exchange(answered_, true)) {
    return list_items(out);
  }
  CompareFrame answer = summary();
  add_sketch(answer, cells);
  base_said_ = true;
  stage_ = Stage::waiting;
  out.send_counted(answer);
}

// After one sketch of everything did not do: which actors differ must be known.
void Comparison::compare_contexts() {
  feed_.compare(peer_);
  follower_.compare();
  live_.begin(number_, key_);
  stage_ = Stage::waiting;
  tried_all_ = true;
  merged_ = sent_ = compared_ = 0;
  differing_.clear();
  named_.clear();
}

// One sketch of all dots, where both sides cover the same and many actors differ. A dialler's
// context may have grown since it told its root, so it is the listener that asks.
bool Comparison::ask_all(const CompareFrame& frame, std::uint64_t dots, Outbound& out) {
  if (role_ == Role::dialler || tried_all_ || frame.context != state_.roots.context) return false;
  if (dots < out.limits().many_actors) return false;
  tried_all_ = true;
  expected_ = 2 * dots;
  // The estimate may be somewhat low; a difference of that many records is a fact.
  const std::uint64_t surplus = distance(state_.records, frame.records);
  dots = std::max(dots + dots / 4, surplus);
  if (!live_.ask_all(state_, unsaid_base(), dots, out)) {
    base_said_ = false;
    return false;
  }
  differing_.clear();
  named_.clear();
  rows_done(out);
  return true;
}

std::optional<Position> Comparison::unsaid_base() {
  if (std::exchange(base_said_, true)) return std::nullopt;
  return Position{state_.journal, state_.head};
}

// ---------------------------------------------------------------- which dots differ

void Comparison::received(const LiveFrame& frame, Outbound& out) {
  if (frame.number < number_) return;
  const bool is_all = frame.form == LiveFrame::Form::all;
  const bool is_first = is_all && role_ == Role::dialler && stage_ == Stage::waiting;
  if (frame.number > number_ || (is_all ? !is_first : stage_ != Stage::settling)) {
    throw Error(ErrorCode::invalid, "live: out of order");
  }
  if (is_all) {
    if (frame.base) follower_.set_base(*frame.base);
    if (!follower_.has_base()) throw Error(ErrorCode::invalid, "live: without a base");
    tried_all_ = true;
    rows_done(out);
  }
  const bool is_answered = live_.answer(frame, {state_.journal, state_.head}, feed_, out);
  // What the peer still streams is older than the base that it will name once more.
  if (is_all && !is_answered) compare_contexts();
}

void Comparison::received(const DeadFrame& frame, Outbound& out) {
  if (frame.number < number_) return;
  if (frame.number > number_ || stage_ != Stage::settling) {
    throw Error(ErrorCode::invalid, "dead: out of order");
  }
  if (live_.received(frame, out)) return;
  const Position base = follower_.base();
  compare_contexts();
  follower_.set_base(base);
  send_summary(out);
}

void Comparison::settle(Outbound& out) {
  if (stage_ != Stage::settling) return;
  if (!live_.is_settled() || !follower_.has_all()) return;
  const Context absent = live_.take_absent();
  const std::uint64_t dots = absent.count();
  const std::uint64_t allowed = std::max(out.limits().removals_min,
                                         state_.records / 100 * out.limits().removals_percent);
  if (removed_ + dots > allowed) {
    held_ = dots;
    out.act(Hold{segment_, absent});
  } else {
    removed_ += dots;
    follower_.remove(absent, out);
  }
  follower_.finish(out);
  stage_ = Stage::closed;
  own_ = {};
  differing_ = {};
}

}  // namespace loam
