#include "transport/follower.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "crdt/error.hpp"

namespace loam {
namespace {

// A removal is applied in deltas of about so many dots, so that no transaction is huge.
constexpr std::uint64_t removal_dots = 10'000;

}  // namespace

void Follower::begin(Phase phase) {
  phase_ = phase;
  base_.reset();
  pending_.reset();
  for (Unfinished& apply : unfinished_) apply.position.reset();  // of what ends here
  reached_ = 0;
  durable_.reset();
}

void Follower::follow(const Position& from, const Position& own, Outbound& out) {
  begin(Phase::following);
  journal_ = from.journal;
  reached_ = from.sequence;
  if (own == from) {
    durable_ = from.sequence;
  } else {
    apply({.upto = from.sequence}, out);
  }
}

void Follower::compare() { begin(Phase::comparing); }

void Follower::set_base(const Position& base) {
  assert(phase_ == Phase::comparing);
  journal_ = base.journal;
  base_ = base.sequence;
}

void Follower::finish(Outbound& out) {
  assert(has_all());
  phase_ = Phase::following;
  base_.reset();
  apply({.upto = std::exchange(pending_, std::nullopt)}, out);
}

void Follower::received(const DeltaFrame& frame, std::uint64_t octets, Outbound& out) {
  if (phase_ == Phase::idle) throw Error(ErrorCode::invalid, "delta: before any state");
  check_delta(kind_, frame.delta);
  std::optional<std::uint64_t> upto = frame.upto;
  // Sent before the peer heard that we compare: the comparison tells where to follow from.
  if (phase_ == Phase::comparing && !base_) upto.reset();
  if (upto && *upto < std::max(reached_, pending_.value_or(base_.value_or(0)))) {
    throw Error(ErrorCode::invalid, "delta: a position that goes back");
  }
  // While we compare the position waits; `finish` takes it over.
  if (phase_ == Phase::comparing && upto) pending_ = std::exchange(upto, std::nullopt);
  apply({frame.delta, frame.authors, frame.batches, upto, octets}, out);
}

void Follower::remove(const Context& dead, Outbound& out) {
  Change change;
  std::uint64_t dots = 0;
  for (const auto& [actor, counters] : dead) {
    for (const Range& range : counters) {
      for (std::uint64_t first = range.first; first <= range.last; first += removal_dots) {
        const Range part{first, std::min(range.last, first + removal_dots - 1)};
        change.delta.context.insert(actor, part);
        dots += part.last - part.first + 1;
        if (dots < removal_dots) continue;
        apply(std::exchange(change, {}), out);
        dots = 0;
      }
    }
  }
  if (dots > 0) apply(std::move(change), out);
}

void Follower::apply(Change change, Outbound& out) {
  std::optional<Position> position;
  if (change.upto) {
    reached_ = std::max(reached_, *change.upto);
    position = Position{journal_, reached_};
  }
  const std::uint64_t ticket = out.next_ticket();
  unfinished_.push_back({ticket, position ? std::optional(reached_) : std::nullopt, change.octets});
  out.act(Apply{ticket, segment_, std::move(change.delta), std::move(change.authors), std::move(change.batches),
                position});
}

std::uint64_t Follower::applied(const ApplyOutcome& outcome) {
  assert(awaits(outcome.ticket));
  const Unfinished done = unfinished_.front();
  unfinished_.pop_front();
  if (done.position) durable_ = std::max(durable_.value_or(0), *done.position);
  tally_.received += outcome.inserted;
  tally_.removed += outcome.dropped;
  tally_.refused += outcome.left_out;
  tally_.parked += outcome.parked;
  return done.octets;
}

}  // namespace loam
