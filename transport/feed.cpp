#include "transport/feed.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

#include "crdt/error.hpp"
#include "planted.hpp"
#include "transport/ranges.hpp"

namespace loam {
namespace {

// Octets that an actor's entry, a range of counters and a record add to a chunk beside the record
// itself, at most or nearly.
constexpr std::size_t entry_octets = 48;
constexpr std::size_t range_octets = 4;
constexpr std::size_t record_overhead_octets = 8;
constexpr std::size_t part_overhead_octets = 80;

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

std::size_t octets_of(const BatchParts& batches) {
  std::size_t octets = 0;
  for (const auto& [actor, parts] : batches) {
    for (const BatchPart& part : parts) {
      octets += part_overhead_octets + 16 * part.rest.size() + range_octets * part.here.ranges().size();
      octets += entry_octets * part.frontier.size();
      for (const auto& [superseded, counters] : part.superseded) {
        octets += entry_octets + range_octets * counters.ranges().size();
      }
    }
  }
  return octets;
}

std::size_t octets_of(const Slice& slice) { return octets_of(slice.delta) + octets_of(slice.batches); }

void leave_live_only(Slice& slice) {
  slice.delta.context = {};
  for (const auto& [dot, record] : slice.delta.live) slice.delta.context.insert(dot);
  if (slice.delta.live.empty()) slice.authors.clear();
}

}  // namespace

void Feed::follow(const Position& from, const StoreId& peer) {
  peer_ = peer;
  journal_ = from.journal;
  base_.reset();
  phase_ = Phase::streaming;
  cursor_ = announced_ = confirmed_ = from.sequence;
}

void Feed::compare(const StoreId& peer) {
  peer_ = peer;
  phase_ = Phase::comparing;
  owes_all_ = true;
  base_.reset();
  confirmed_ = 0;
  reading_.reset();
  work_.clear();
  chunk_ = {};  // what it says may be older than the position that the comparison leads to
  chunk_octets_ = 0;
}

void Feed::owe(const ActorId& actor, const RangeSet& counters) {
  assert(phase_ == Phase::comparing && owes_all_);
  if (!counters.empty()) work_.push_back({actor, counters});
}

void Feed::end_comparison(const Position& base) {
  assert(phase_ == Phase::comparing);
  owes_all_ = false;
  journal_ = base.journal;
  base_ = base.sequence;
}

void Feed::want(const ActorId& actor, const RangeSet& counters) {
  const RangeSet live = source_.live_counters(segment_, actor, counters);
  if (!live.empty()) wanted_[actor].insert(live);
}

void Feed::acked(std::uint64_t position) {
  if (position > announced_) throw Error(ErrorCode::invalid, "ack: a position that was never sent");
  // While contexts are compared it speaks of what went before.
  if (phase_ == Phase::streaming) confirmed_ = std::max(confirmed_, position);
}

bool Feed::pump(Outbound& out) {
  if (phase_ == Phase::comparing && !pump_owed(out)) return true;
  if (phase_ == Phase::streaming) return pump_journal(out);
  return phase_ != Phase::lost;
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
    if (is_full(limits)) flush(out, planted(Bug::position_with_first_chunk) ? reading_ : std::nullopt);
    Work& next = work_.front();
    const RangeSet part = first_ranges(next.counters, limits.frame_ranges);
    const std::size_t room = std::max(aimed_octets(limits), chunk_octets_) - chunk_octets_;
    const std::size_t records = limits.chunk_records - chunk_.delta.live.size();
    Slice slice = source_.slice(segment_, next.actor, part, room, records);
    const std::size_t found = slice.delta.live.size();
    if (found > 1 && chunk_octets_ + octets_of(slice) > limits.chunk_octets) {
      slice = source_.slice(segment_, next.actor, part, room, found - 1);  // without the large one
    }
    next.counters = next.counters.minus(part);
    next.counters.insert(slice.rest);
    if (next.counters.empty()) work_.pop_front();
    add(std::move(slice), out);
  }
  return true;
}

// Sends what is owed; true once that is all, and streaming goes on.
bool Feed::pump_owed(Outbound& out) {
  if (!pump_work(out)) return false;
  if (owes_all_) {
    if (!chunk_.delta.empty()) flush(out, std::nullopt);
    return false;
  }
  flush(out, base_);
  cursor_ = announced_ = *base_;
  phase_ = Phase::streaming;
  return true;
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
    const bool is_other = state.journal != journal_ && !planted(Bug::journal_id_ignored);
    if (is_other || cursor_ < state.floor || cursor_ > state.head) {
      phase_ = Phase::lost;
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
  if (planted(Bug::dead_dots_not_sent)) leave_live_only(slice);
  const std::size_t octets = octets_of(slice);
  // A slice has at least one record, and that one may not fit beside the others.
  const bool fits = chunk_octets_ + octets <= out.limits().chunk_octets;
  if (!chunk_.delta.empty() && !fits) flush(out, std::nullopt);
  chunk_octets_ += octets;
  records_sent_ += slice.delta.live.size();
  chunk_.delta.context.insert(slice.delta.context);
  chunk_.delta.live.merge(slice.delta.live);
  chunk_.authors.merge(slice.authors);
  for (auto& [actor, parts] : slice.batches) {
    auto& known = chunk_.batches[actor];
    known.insert(known.end(), std::make_move_iterator(parts.begin()), std::make_move_iterator(parts.end()));
  }
}

void Feed::flush(Outbound& out, std::optional<std::uint64_t> upto) {
  chunk_.index = index_;
  chunk_.upto = upto;
  out.send_counted(chunk_);
  chunk_ = {};
  chunk_octets_ = 0;
}

}  // namespace loam
