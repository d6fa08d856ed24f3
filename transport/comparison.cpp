#include "transport/comparison.hpp"

#include <algorithm>
#include <cassert>

#include "crdt/error.hpp"
#include "crdt/hash.hpp"
#include "transport/ranges.hpp"

namespace loam {
namespace {

constexpr std::size_t item_octets = 8;
constexpr std::size_t row_octets = 40;

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

// ---------------------------------------------------------------- what each side has of them

void Comparison::resolved(const CompareFrame& frame, Outbound& out) {
  if (ask_all(frame, differing_.size(), out)) return;
  std::sort(differing_.begin(), differing_.end());
  all_named_ = named_.size() == frame.actors;
  if (all_named_) named_.clear();
  if (frame.actors == 0) {  // it lacks everything, and needs no rows to say so
    for (const ActorId& actor : differing_) owe_all(actor);
    differing_.clear();
  }
  stage_ = Stage::naming;
  sent_ = 0;
  pump(out);
}

void Comparison::pump(Outbound& out) {
  while (out.open() && (stage_ == Stage::listing || stage_ == Stage::naming)) send_part(out);
}

// First the names, then the rows; or the items.
void Comparison::send_part(Outbound& out) {
  const SessionLimits& limits = out.limits();
  const std::size_t items_max = std::max<std::size_t>(1, limits.part_octets / item_octets);
  if (stage_ == Stage::listing) {
    CompareFrame frame = summary();
    for (; sent_ < own_.size() && frame.items.size() < items_max; ++sent_) {
      frame.items.push_back(own_[sent_].first);
    }
    frame.end = sent_ == own_.size();
    if (frame.end) stage_ = Stage::waiting;
    base_said_ = true;
    out.send_counted(frame);
    return;
  }
  ContextFrame frame{.index = index_, .number = number_, .base = unsaid_base(), .all = all_named_};
  const std::size_t names = std::min(items_max, named_.size());
  frame.named.assign(named_.end() - static_cast<std::ptrdiff_t>(names), named_.end());
  named_.resize(named_.size() - names);
  std::size_t octets = names * item_octets;
  for (; named_.empty() && sent_ < differing_.size() && frame.rows.size() < limits.part_actors &&
         octets < limits.part_octets;
       ++sent_) {
    const auto own = actor_state(source_, segment_, differing_[sent_]);
    if (!own) continue;
    const ActorState actor = shortened(*own, limits.frame_ranges);
    octets += row_octets + 2 * actor.covered.ranges().size();
    frame.rows.push_back({actor.actor, actor.covered, actor.live_count, actor.live, false});
  }
  frame.end = named_.empty() && sent_ == differing_.size();
  if (frame.end) stage_ = Stage::hearing;
  out.send_counted(frame);
}

// An entry with more gaps than a frame may hold says less than we know: the peer sends the rest
// once more, which does no harm.
ActorState Comparison::shortened(ActorState actor, std::size_t ranges_max) const {
  if (actor.covered.ranges().size() <= ranges_max) return actor;
  actor.covered = first_ranges(actor.covered, ranges_max);
  actor.live_count = source_.live_counters(segment_, actor.actor, actor.covered).count();
  actor.live = source_.live_fingerprint(segment_, actor.actor, actor.covered);
  return actor;
}

void Comparison::received(const ContextFrame& frame, Outbound& out) {
  if (frame.number < number_) return;
  const bool is_first = stage_ == Stage::naming || stage_ == Stage::hearing;
  const bool is_second = stage_ == Stage::waiting || stage_ == Stage::answering;
  if (frame.number > number_ || (!is_first && !is_second)) {
    throw Error(ErrorCode::invalid, "context: out of order");
  }
  if (frame.base) follower_.set_base(*frame.base);
  if (!follower_.has_base()) throw Error(ErrorCode::invalid, "context: without a base");
  if (is_first) {
    for (const ContextEntry& row : frame.rows) take_reply(row);
    if (!frame.end) return;
    if (stage_ == Stage::naming) throw Error(ErrorCode::invalid, "context: ended too early");
    owe_before(std::nullopt);
    rows_done(out);
    return;
  }
  stage_ = Stage::answering;
  take_names(frame);
  if (frame.rows.empty() && !frame.end) return;
  if (compared_ == 0) std::sort(differing_.begin(), differing_.end());
  answer_rows(frame, out);
  if (frame.end) rows_done(out);
}

void Comparison::answer_rows(const ContextFrame& frame, Outbound& out) {
  const SessionLimits& limits = out.limits();
  ContextFrame reply{.index = index_, .number = number_};
  std::size_t octets = 0;
  for (const ContextEntry& row : frame.rows) {
    take_row(row, reply.rows);
    if (!reply.rows.empty() && reply.rows.back().actor == row.actor) {
      RangeSet& covered = reply.rows.back().covered;
      covered = first_ranges(covered, limits.frame_ranges);
      octets += row_octets + 2 * covered.ranges().size();
    }
    if (octets < limits.part_octets) continue;
    reply.base = unsaid_base();
    out.send_counted(reply);
    reply = {.index = index_, .number = number_};
    octets = 0;
  }
  if (frame.end) owe_before(std::nullopt);
  reply.base = unsaid_base();
  reply.end = frame.end;
  if (reply.end || !reply.rows.empty()) out.send_counted(reply);
}

void Comparison::take_names(const ContextFrame& frame) {
  if (frame.all && !std::exchange(all_named_, true)) {
    for (const auto& [item, actor] : own_) differing_.push_back(actor);
  }
  if (frame.named.size() > own_.size() - std::min(own_.size(), differing_.size())) {
    throw Error(ErrorCode::invalid, "context: names more actors than there are");
  }
  for (const SketchItem item : frame.named) {
    const auto at = std::lower_bound(own_.begin(), own_.end(), Item{item, ActorId{}});
    if (at != own_.end() && at->first == item) differing_.push_back(at->second);
  }
}

// A row of the side that found out first: we know both, and answer with ours.
void Comparison::take_row(const ContextEntry& row, std::vector<ContextEntry>& reply) {
  owe_before(row.actor);
  const auto own = actor_state(source_, segment_, row.actor);
  if (!own) return;
  const RangeSet missing = own->covered.minus(row.covered);
  feed_.owe(row.actor, missing);
  RangeSet common = own->covered.intersect(row.covered);
  const bool is_all_theirs = common == row.covered;
  std::uint64_t count = own->live_count;
  Fingerprint live = own->live;
  if (!missing.empty()) {
    count = source_.live_counters(segment_, row.actor, common).count();
    live = source_.live_fingerprint(segment_, row.actor, common);
  }
  reply.push_back({row.actor, own->covered, count, live, !is_all_theirs});
  if (!is_all_theirs || live == row.live) return;  // else the peer compares
  const std::uint64_t dots = std::max<std::uint64_t>(1, distance(count, row.live_count));
  live_.differs({row.actor, std::move(common), dots});
}

// The answer to a row of ours.
void Comparison::take_reply(const ContextEntry& row) {
  owe_before(row.actor);
  const auto own = actor_state(source_, segment_, row.actor);
  if (!own) return;
  feed_.owe(row.actor, own->covered.minus(row.covered));
  if (!row.common) return;  // the peer has compared
  RangeSet common = own->covered.intersect(row.covered);
  if (common.empty()) return;
  const Fingerprint live = source_.live_fingerprint(segment_, row.actor, common);
  if (live == row.live) return;
  const std::uint64_t count = source_.live_counters(segment_, row.actor, common).count();
  const std::uint64_t dots = std::max<std::uint64_t>(1, distance(count, row.live_count));
  live_.differs({row.actor, std::move(common), dots});
}

// Of our differing actors before that one (absent: of all that are left) the peer has no row: it
// lacks them.
void Comparison::owe_before(const std::optional<ActorId>& actor) {
  for (; compared_ < differing_.size(); ++compared_) {
    const ActorId& own = differing_[compared_];
    if (actor && !(own < *actor)) break;
    owe_all(own);
  }
  const bool is_it = actor && compared_ < differing_.size() && differing_[compared_] == *actor;
  if (is_it) ++compared_;
}

void Comparison::owe_all(const ActorId& actor) {
  if (const auto own = actor_state(source_, segment_, actor)) feed_.owe(actor, own->covered);
}

void Comparison::rows_done(Outbound& out) {
  stage_ = Stage::settling;
  live_.ask(out);
  feed_.end_comparison({state_.journal, state_.head});
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
