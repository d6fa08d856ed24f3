#include "transport/follower.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "crdt/error.hpp"
#include "transport/ranges.hpp"

namespace loam {
namespace {

// Octets of an actor's entry in a context, nearly.
std::size_t octets_of(const ActorState& actor) { return 44 + 4 * actor.covered.ranges().size(); }

}  // namespace

void Follower::start(const Start& start, const StateFrame& peer, Position own, Outbound& out) {
  journal_ = peer.state.journal;
  asked_.clear();
  parts_done_ = false;
  follow_from_.reset();
  for (Unfinished& apply : unfinished_) apply.position.reset();  // of what ends here
  reached_ = 0;
  durable_.reset();
  if (start.compare) {
    phase_ = Phase::comparing;
    send_context(std::nullopt, out);
    return;
  }
  phase_ = Phase::following;
  reached_ = start.sequence;
  if (own == Position{journal_, start.sequence}) {
    durable_ = start.sequence;
  } else {
    apply({.upto = start.sequence}, out);
  }
}

void Follower::send_context(std::optional<ActorId> after, Outbound& out) {
  const SessionLimits& limits = out.limits();
  std::vector<ActorState> actors = source_.actors(segment_, after, limits.part_actors);
  bool is_all = actors.size() < limits.part_actors;
  std::size_t octets = 0;
  const auto cut = std::find_if(actors.begin(), actors.end(), [&](ActorState& actor) {
    if (octets >= limits.part_octets) return true;
    shorten(actor, limits.frame_ranges);
    octets += octets_of(actor);
    return false;
  });
  is_all = is_all && cut == actors.end();
  actors.erase(cut, actors.end());
  part_last_.reset();
  if (!is_all) part_last_ = actors.back().actor;
  out.send(ContextFrame{index_, after, part_last_, std::move(actors)});
}

// An entry with more gaps than a frame may hold says less than we know: the peer sends the rest
// once more, which does no harm.
void Follower::shorten(ActorState& actor, std::size_t ranges_max) const {
  if (actor.covered.ranges().size() <= ranges_max) return;
  actor.covered = first_ranges(actor.covered, ranges_max);
  actor.live_count = source_.live_counters(segment_, actor.actor, actor.covered).count();
  actor.live = source_.live_fingerprint(segment_, actor.actor, actor.covered);
}

void Follower::received(const DeltaFrame& frame, std::uint64_t octets, Outbound& out) {
  if (phase_ == Phase::idle) throw Error(ErrorCode::invalid, "delta: before any state");
  check_delta(kind_, frame.delta);
  std::optional<std::uint64_t> upto = frame.upto;
  // Sent before the peer heard that we compare: the comparison will tell where to follow from.
  if (phase_ == Phase::comparing) upto.reset();
  if (upto && *upto < std::max(reached_, follow_from_.value_or(0))) {
    throw Error(ErrorCode::invalid, "delta: a position that goes back");
  }
  // While questions are open the position waits; finish_comparison takes it over.
  if (upto && !asked_.empty()) {
    follow_from_ = upto;
    upto.reset();
  }
  apply({frame.delta, frame.authors, upto, octets}, out);
}

void Follower::received(const ComparedFrame& frame, Outbound& out) {
  if (phase_ != Phase::comparing) throw Error(ErrorCode::invalid, "compared: nothing was asked");
  for (const Summary& summary : frame.summaries) {
    const Fingerprint own = source_.live_fingerprint(segment_, summary.actor, summary.common);
    if (own != summary.live) ask(summary.actor, summary.common, false, out);
  }
  if (!frame.end) return;
  if (part_last_) {
    if (frame.follow_from) throw Error(ErrorCode::invalid, "compared: ended too early");
    send_context(part_last_, out);
    return;
  }
  if (!frame.follow_from) throw Error(ErrorCode::invalid, "compared: no position at the end");
  journal_ = frame.follow_from->journal;
  follow_from_ = frame.follow_from->sequence;
  parts_done_ = true;
  phase_ = Phase::following;
  finish_comparison(out);
}

void Follower::ask(const ActorId& actor, const RangeSet& selected, bool records, Outbound& out) {
  if (!records) asked_[actor].insert(selected);
  out.send(AskFrame{index_, actor, selected, records});
}

void Follower::received(const SetsFrame& frame, Outbound& out) {
  if (phase_ == Phase::idle) throw Error(ErrorCode::invalid, "sets: before any state");
  const RangeSet own = source_.live_counters(segment_, frame.actor, frame.asked);
  const RangeSet dead = own.minus(frame.live);
  if (!dead.empty()) {
    Delta removal;
    removal.context.insert(frame.actor, dead);
    apply({.delta = std::move(removal)}, out);
  }
  if (!frame.live.empty() && own.contains(frame.live) &&
      source_.live_fingerprint(segment_, frame.actor, frame.live) != frame.fingerprint) {
    ask(frame.actor, frame.live, true, out);  // the same dots with other contents
  }
  const auto open = asked_.find(frame.actor);
  if (open == asked_.end()) return;
  open->second = open->second.minus(frame.asked);
  if (open->second.empty()) asked_.erase(open);
  finish_comparison(out);
}

void Follower::finish_comparison(Outbound& out) {
  if (!parts_done_ || !asked_.empty()) return;
  parts_done_ = false;
  apply({.upto = std::exchange(follow_from_, std::nullopt)}, out);
}

void Follower::apply(Change change, Outbound& out) {
  std::optional<Position> position;
  if (change.upto) {
    reached_ = std::max(reached_, *change.upto);
    position = Position{journal_, reached_};
  }
  const std::uint64_t ticket = out.next_ticket();
  unfinished_.push_back({ticket, position ? std::optional(reached_) : std::nullopt, change.octets});
  out.act(Apply{ticket, segment_, std::move(change.delta), std::move(change.authors), position});
}

std::uint64_t Follower::applied(const ApplyOutcome& outcome) {
  assert(awaits(outcome.ticket));
  const Unfinished done = unfinished_.front();
  unfinished_.pop_front();
  if (done.position) durable_ = std::max(durable_.value_or(0), *done.position);
  tally_.received += outcome.inserted;
  tally_.removed += outcome.dropped;
  return done.octets;
}

}  // namespace loam
