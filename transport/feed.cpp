#include "transport/feed.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "crdt/error.hpp"
#include "transport/ranges.hpp"

namespace loam {
namespace {

// Octets that an actor's entry, a range of counters and a record add to a chunk beside the record
// itself, at most or nearly.
constexpr std::size_t entry_octets = 48;
constexpr std::size_t range_octets = 4;
constexpr std::size_t record_overhead_octets = 8;

// What a slice may add to an empty chunk: the rest is left for what the records do not count.
std::size_t aimed_octets(const SessionLimits& limits) { return limits.chunk_octets / 4 * 3; }

std::size_t octets_of(const Delta& delta) {
  std::size_t octets = 0;
  for (const auto& [dot, record] : delta.live) octets += record.size() + record_overhead_octets;
  for (const auto& [actor, counters] : delta.context) {
    octets += entry_octets + range_octets * counters.ranges().size();
  }
  return octets;
}

}  // namespace

bool is_in_step(const StateFrame& one, const StateFrame& other) {
  return one.position == Position{other.state.journal, other.state.head} &&
         other.position == Position{one.state.journal, one.state.head};
}

Start decide_start(const StateFrame& feed, const StateFrame& follower) {
  if (feed.state.digest == follower.state.digest) return {false, feed.state.head};
  const bool follows = follower.position.journal == feed.state.journal &&
                       follower.position.journal != 0 &&
                       follower.position.sequence >= feed.state.floor &&
                       follower.position.sequence <= feed.state.head;
  if (follows && !is_in_step(feed, follower)) return {false, follower.position.sequence};
  return {true, 0};
}

void Feed::start(const Start& start, JournalId journal, const StoreId& peer) {
  peer_ = peer;
  journal_ = journal;
  if (start.compare) return;
  phase_ = Phase::streaming;
  cursor_ = announced_ = confirmed_ = start.sequence;
}

void Feed::answer(const ContextFrame& part) {
  if (part_open_) throw Error(ErrorCode::invalid, "context: the part before is not answered yet");
  if (!part.after) {  // a comparison begins, perhaps once more
    const SegmentState state = source_.state(segment_);
    base_ = state.head;
    journal_ = state.journal;
    confirmed_ = 0;
    compared_upto_.reset();
    chunk_ = {};  // what it says may be older than the position that the comparison leads to
    chunk_octets_ = 0;
  } else if (!base_ || part.after != compared_upto_) {
    throw Error(ErrorCode::invalid, "context: parts out of order");
  }
  phase_ = Phase::answering;
  reading_.reset();
  work_.clear();
  part_ = part;
  part_open_ = true;
  own_.clear();
  own_exhausted_ = false;
}

void Feed::answer(const AskFrame& ask, Outbound& out) {
  if (!ask.records) {
    tell_sets(ask.actor, ask.selected, out);
    return;
  }
  const RangeSet live = source_.live_counters(segment_, ask.actor, ask.selected);
  if (!live.empty()) wanted_[ask.actor].insert(live);
}

void Feed::acked(std::uint64_t position) {
  if (position > announced_) throw Error(ErrorCode::invalid, "ack: a position that was never sent");
  confirmed_ = std::max(confirmed_, position);
}

bool Feed::pump(Outbound& out) {
  if (phase_ == Phase::answering) pump_answer(out);
  if (phase_ == Phase::streaming) return pump_journal(out);
  return true;
}

bool Feed::has_confirmed(const Position& position) const noexcept {
  if (phase_ != Phase::streaming) return false;
  return confirmed_ >= (journal_ == position.journal ? position.sequence : base_.value_or(0));
}

bool Feed::has_work() {
  if (work_.empty() && !wanted_.empty()) {
    auto first = wanted_.extract(wanted_.begin());
    work_.push_back({first.key(), std::move(first.mapped())});
  }
  return !work_.empty();
}

bool Feed::is_full(const SessionLimits& limits) const noexcept {
  if (chunk_.delta.empty()) return false;
  return chunk_octets_ >= aimed_octets(limits) ||
         chunk_.delta.live.size() >= limits.chunk_records ||
         chunk_.delta.context.actors().size() >= limits.chunk_records;
}

// Reads selections into chunks until there are none left (true) or the window is closed. The last
// chunk stays open for what ends it: a position, the end of a part.
bool Feed::pump_work(Outbound& out) {
  const SessionLimits& limits = out.limits();
  while (has_work()) {
    if (!out.open()) return false;
    if (is_full(limits)) flush(out, std::nullopt);
    Work& next = work_.front();
    const RangeSet part = first_ranges(next.counters, limits.frame_ranges);
    const std::size_t room = std::max(aimed_octets(limits), chunk_octets_) - chunk_octets_;
    const std::size_t records = limits.chunk_records - chunk_.delta.live.size();
    Slice slice = source_.slice(segment_, next.actor, part, room, records);
    const std::size_t found = slice.delta.live.size();
    if (found > 1 && chunk_octets_ + octets_of(slice.delta) > limits.chunk_octets) {
      slice = source_.slice(segment_, next.actor, part, room, found - 1);  // without the large one
    }
    next.counters = next.counters.minus(part);
    next.counters.insert(slice.rest);
    if (next.counters.empty()) work_.pop_front();
    add(std::move(slice), out);
  }
  return true;
}

void Feed::pump_answer(Outbound& out) {
  while (part_open_) {
    if (!pump_work(out)) return;
    compare_next(out);
  }
  if (!pump_work(out)) return;
  if (!chunk_.delta.empty()) flush(out, std::nullopt);
}

// Compares the next of our actors that lie in the open part, or ends the part.
void Feed::compare_next(Outbound& out) {
  if (own_.empty() && !own_exhausted_) {
    const auto after = compared_upto_ ? compared_upto_ : part_.after;
    own_ = source_.actors(segment_, after, out.limits().actors_page);
    own_exhausted_ = own_.size() < out.limits().actors_page;
    if (part_.last) {
      const auto beyond = std::find_if(own_.begin(), own_.end(), [&](const ActorState& actor) {
        return *part_.last < actor.actor;
      });
      own_exhausted_ = own_exhausted_ || beyond != own_.end();
      own_.erase(beyond, own_.end());
    }
    if (!own_.empty()) compared_upto_ = own_.back().actor;
  }
  if (own_.empty()) {
    end_part(out);
    return;
  }
  for (const ActorState& own : std::exchange(own_, {})) compare(own, out.limits());
}

void Feed::compare(const ActorState& own, const SessionLimits& limits) {
  const auto theirs =
      std::lower_bound(part_.actors.begin(), part_.actors.end(), own.actor,
                       [](const ActorState& entry, const ActorId& id) { return entry.actor < id; });
  if (theirs == part_.actors.end() || theirs->actor != own.actor) {
    work_.push_back({own.actor, own.covered});
    return;
  }
  const RangeSet missing = own.covered.minus(theirs->covered);
  RangeSet common = own.covered.intersect(theirs->covered);
  if (!missing.empty()) work_.push_back({own.actor, missing});
  if (common == theirs->covered) {  // their fingerprint is of the same dots
    const Fingerprint live =
        missing.empty() ? own.live : source_.live_fingerprint(segment_, own.actor, common);
    if (live != theirs->live) differing_.push_back({own.actor, std::move(common)});
    return;
  }
  while (!common.empty()) {
    RangeSet some = first_ranges(common, limits.frame_ranges);
    common = common.minus(some);
    const Fingerprint live = source_.live_fingerprint(segment_, own.actor, some);
    summaries_.push_back({own.actor, std::move(some), live});
  }
}

void Feed::end_part(Outbound& out) {
  if (!chunk_.delta.empty()) flush(out, std::nullopt);
  for (Work& item : std::exchange(differing_, {})) {
    tell_sets(item.actor, std::move(item.counters), out);
  }
  part_open_ = false;
  part_.actors = {};
  compared_upto_ = part_.last;
  if (part_.last) {
    flush_summaries(out, std::nullopt);
    return;
  }
  flush_summaries(out, Position{journal_, *base_});
  phase_ = Phase::streaming;
  cursor_ = announced_ = *base_;
}

bool Feed::pump_journal(Outbound& out) {
  while (true) {
    if (!pump_work(out)) return true;
    if (reading_) {
      cursor_ = *std::exchange(reading_, std::nullopt);
      if (!chunk_.delta.empty()) {
        flush(out, cursor_);
        announced_ = cursor_;
      }
    } else if (!chunk_.delta.empty()) {
      flush(out, std::nullopt);  // records that were asked for
    }
    if (!out.open()) return true;
    const SegmentState state = source_.state(segment_);
    if (state.journal != journal_ || cursor_ < state.floor || cursor_ > state.head) {
      phase_ = Phase::waiting;
      return false;
    }
    if (cursor_ == state.head) break;
    JournalPage page = source_.journal(segment_, cursor_, peer_, out.limits().journal_page_dots);
    if (page.upto == cursor_) continue;  // the floor has passed it since: the next look says so
    reading_ = page.upto;
    for (const auto& [actor, counters] : page.changed) work_.push_back({actor, counters});
  }
  if (announced_ < cursor_) {  // everything since came from the peer itself
    flush(out, cursor_);
    announced_ = cursor_;
  }
  return true;
}

void Feed::add(Slice slice, Outbound& out) {
  const std::size_t octets = octets_of(slice.delta);
  // A slice has at least one record, and that one may not fit beside the others.
  const bool fits = chunk_octets_ + octets <= out.limits().chunk_octets;
  if (!chunk_.delta.empty() && !fits) flush(out, std::nullopt);
  chunk_octets_ += octets;
  records_sent_ += slice.delta.live.size();
  chunk_.delta.context.insert(slice.delta.context);
  chunk_.delta.live.merge(slice.delta.live);
  chunk_.authors.merge(slice.authors);
}

void Feed::flush(Outbound& out, std::optional<std::uint64_t> upto) {
  chunk_.index = index_;
  chunk_.upto = upto;
  out.send_chunk(chunk_);
  chunk_ = {};
  chunk_octets_ = 0;
}

void Feed::flush_summaries(Outbound& out, std::optional<Position> follow_from) {
  const SessionLimits& limits = out.limits();
  ComparedFrame frame{.index = index_};
  std::size_t ranges = 0;
  for (Summary& summary : std::exchange(summaries_, {})) {
    ranges += summary.common.ranges().size();
    const bool is_full = frame.summaries.size() >= limits.summaries || ranges > limits.frame_ranges;
    if (is_full && !frame.summaries.empty()) {
      out.send(frame);
      frame.summaries.clear();
      ranges = summary.common.ranges().size();
    }
    frame.summaries.push_back(std::move(summary));
  }
  frame.end = true;
  frame.follow_from = follow_from;
  out.send(frame);
}

// As many frames as it takes: neither set may have too many ranges for one.
void Feed::tell_sets(const ActorId& actor, RangeSet selected, Outbound& out) {
  const std::size_t ranges_max = out.limits().frame_ranges;
  const RangeSet live = source_.live_counters(segment_, actor, selected);
  while (!selected.empty()) {
    RangeSet asked = first_ranges(selected, ranges_max);
    RangeSet alive = live.intersect(asked);
    if (alive.ranges().size() > ranges_max) {
      const std::uint64_t beyond = alive.ranges()[ranges_max].first;
      asked = asked.intersect(RangeSet(Range{1, beyond - 1}));
      alive = first_ranges(alive, ranges_max);
    }
    selected = selected.minus(asked);
    const Fingerprint fingerprint = source_.live_fingerprint(segment_, actor, asked);
    out.send(SetsFrame{index_, actor, std::move(asked), std::move(alive), fingerprint});
  }
}

}  // namespace loam
