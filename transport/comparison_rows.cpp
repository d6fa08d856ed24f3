// What each side has of the actors that differ.
#include <algorithm>

#include "crdt/error.hpp"
#include "transport/comparison.hpp"
#include "transport/frame_layout.hpp"
#include "transport/ranges.hpp"

namespace loam {
namespace {

// Octets of a row beside its ranges, nearly.
constexpr std::size_t row_octets = 40;

}  // namespace

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
  const auto sends = [&] {
    return stage_ == Stage::sketching || stage_ == Stage::listing || stage_ == Stage::naming;
  };
  while (out.open() && sends()) send_part(out);
  while (!unanswered_.empty() && out.open_to_answer()) answer_part(out);
  if (stage_ == Stage::settling) pump_questions(out);
}

void Comparison::send_part(Outbound& out) {
  if (stage_ == Stage::sketching) return send_sketch(out);
  stage_ == Stage::listing ? send_items(out) : send_rows(out);
}

void Comparison::send_items(Outbound& out) {
  const std::size_t items_max = std::max<std::size_t>(1, out.limits().part_octets / wire::item_octets);
  CompareFrame frame = summary();
  for (; sent_ < own_.size() && frame.items.size() < items_max; ++sent_) {
    frame.items.push_back(own_[sent_].first);
  }
  frame.end = sent_ == own_.size();
  if (frame.end) stage_ = Stage::waiting;
  base_said_ = true;
  out.send_counted(frame);
}

// First the names, then the rows.
void Comparison::send_rows(Outbound& out) {
  const SessionLimits& limits = out.limits();
  const std::size_t items_max = std::max<std::size_t>(1, limits.part_octets / wire::item_octets);
  ContextFrame frame{.index = index_, .number = number_, .base = unsaid_base(), .all = all_named_};
  const std::size_t names = std::min(items_max, named_.size());
  frame.named.assign(named_.end() - static_cast<std::ptrdiff_t>(names), named_.end());
  named_.resize(named_.size() - names);
  std::size_t octets = names * wire::item_octets;
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

void Comparison::received(const ContextFrame& frame, std::uint64_t octets, Outbound& out) {
  read_octets_ += octets;
  if (frame.number < number_) return;
  const bool is_first = stage_ == Stage::naming || stage_ == Stage::hearing;
  const bool has_ended = !unanswered_.empty() && unanswered_.back().end;
  const bool is_second = stage_ == Stage::waiting || (stage_ == Stage::answering && !has_ended);
  if (frame.number > number_ || (!is_first && !is_second)) {
    throw Error(ErrorCode::invalid, "context: out of order");
  }
  if (frame.base) follower_.set_base(*frame.base);
  if (!follower_.has_base()) throw Error(ErrorCode::invalid, "context: without a base");
  for (const ContextEntry& row : frame.rows) {
    if (last_row_ && !(*last_row_ < row.actor)) {
      throw Error(ErrorCode::invalid, "context: actors out of order");
    }
    last_row_ = row.actor;
  }
  if (is_first) return take_replies(frame, out);
  stage_ = Stage::answering;
  take_names(frame);
  if (!frame.rows.empty() || frame.end) keep_rows(frame, octets, out);
}

void Comparison::take_replies(const ContextFrame& frame, Outbound& out) {
  for (const ContextEntry& row : frame.rows) take_reply(row);
  if (!frame.end) return;
  if (stage_ == Stage::naming) throw Error(ErrorCode::invalid, "context: ended too early");
  owe_before(std::nullopt);
  rows_done(out);
}

// Answers may be larger than what they answer, and wait for our window. The peer's stays closed
// meanwhile, so that no more than that is kept.
void Comparison::keep_rows(const ContextFrame& frame, std::uint64_t octets, Outbound& out) {
  const std::uint64_t kept_max = 2 * out.limits().window_octets + message_octets_max;
  if (unanswered_octets_ + octets > kept_max) {
    throw Error(ErrorCode::limit, "context: more than " + std::to_string(kept_max) +
                                      " octets that were not acknowledged");
  }
  if (compared_ == 0) std::sort(differing_.begin(), differing_.end());
  unanswered_.push_back({frame.rows, 0, frame.end, octets});
  unanswered_octets_ += octets;
  read_octets_ -= octets;
}

void Comparison::answer_part(Outbound& out) {
  const SessionLimits& limits = out.limits();
  Unanswered& now = unanswered_.front();
  ContextFrame reply{.index = index_, .number = number_};
  std::size_t octets = 0;
  for (; now.answered < now.rows.size() && octets < limits.part_octets; ++now.answered) {
    const std::size_t before = reply.rows.size();
    take_row(now.rows[now.answered], reply.rows);
    if (reply.rows.size() == before) continue;
    RangeSet& covered = reply.rows.back().covered;
    covered = first_ranges(covered, limits.frame_ranges);
    octets += row_octets + 2 * covered.ranges().size();
  }
  const bool is_done = now.answered == now.rows.size();
  reply.end = is_done && now.end;
  if (reply.end) owe_before(std::nullopt);
  if (is_done) {
    unanswered_octets_ -= now.octets;
    read_octets_ += now.octets;
    unanswered_.pop_front();
  }
  if (!reply.end && reply.rows.empty()) return;
  reply.base = unsaid_base();
  out.send_answer(reply);
  if (reply.end) rows_done(out);
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
  std::uint64_t count = own->live_count;
  Fingerprint live = own->live;
  if (!missing.empty()) {
    count = source_.live_counters(segment_, row.actor, common).count();
    live = source_.live_fingerprint(segment_, row.actor, common);
  }
  // What live set the row tells of is comparable when all that it covers is covered here; ours is when we
  // tell of the common part. Whoever has fewer asks, as in ask_all.
  const bool peer_asks = common != row.covered || count > row.live_count;
  reply.push_back({row.actor, own->covered, count, live, peer_asks});
  if (peer_asks || live == row.live) return;
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
  live_.ask(out.limits());
}

}  // namespace loam
