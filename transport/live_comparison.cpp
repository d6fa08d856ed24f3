#include "transport/live_comparison.hpp"

#include <algorithm>
#include <cassert>

#include "crdt/error.hpp"
#include "crdt/range_codec.hpp"
#include "planted.hpp"
#include "transport/ranges.hpp"

namespace loam {
namespace {

// Octets of an actor's entry in a question, beside its ranges: without and with a live set.
constexpr std::size_t named_octets = 20;
constexpr std::size_t told_octets = 42;

// What an answer takes for a dot that died, at most, where counters lie as close as in one live set.
constexpr std::size_t dead_range_octets = 3;

// An answer may be so many times as large as a question is aimed to be.
constexpr std::uint64_t answer_parts = 8;

// Excludes nobody: no store has this id.
const StoreId nobody = [] {
  StoreId id;
  id.bytes.fill(std::byte{0xff});
  return id;
}();

}  // namespace

std::optional<ActorState> actor_state(const Source& source, const std::string& segment,
                                      const ActorId& actor) {
  std::optional<ActorId> before = actor;  // the greatest id below it; absent: it is the least
  std::size_t at = before->bytes.size();
  while (at > 0 && before->bytes[at - 1] == std::byte{0}) before->bytes[--at] = std::byte{0xff};
  if (at == 0) {
    before.reset();
  } else {
    before->bytes[at - 1] = static_cast<std::byte>(std::to_integer<int>(before->bytes[at - 1]) - 1);
  }
  std::vector<ActorState> found = source.actors(segment, before, 1);
  if (found.empty() || found.front().actor != actor) return std::nullopt;
  return std::move(found.front());
}

void LiveComparison::begin(std::uint64_t number, const SketchKey& key, Outbound& out) {
  number_ = number;
  key_ = key;
  told_.clear();
  unasked_.clear();
  all_.reset();
  for (const Question& question : questions_) out.await_no_more(question.answer_octets);
  questions_.clear();
  awaits_question_ = false;
}

void LiveComparison::differs(Difference difference) { told_.push_back(std::move(difference)); }

// ---------------------------------------------------------------- asking

void LiveComparison::ask(const SessionLimits& limits) {
  std::uint64_t dots = 0;
  for (const Difference& each : told_) dots += each.dots;
  as_sketch_ = is_sketch_cheaper(told_, dots, limits);
  unasked_.assign(std::make_move_iterator(told_.begin()), std::make_move_iterator(told_.end()));
  told_.clear();
}

bool LiveComparison::pump(Outbound& out) {
  while (has_unasked() && out.open_to_ask()) {
    if (all_) {
      if (!send_all(out)) return false;
    } else {
      as_sketch_ ? send_sketch(out) : send_sets(out);
    }
  }
  return true;
}

void LiveComparison::send(const LiveFrame& frame, std::vector<Difference> about,
                          std::uint64_t answer_octets, Outbound& out) {
  questions_.push_back({frame.form, std::move(about), answer_octets});
  out.await(answer_octets);
  out.send_counted(frame);
}

bool LiveComparison::is_sketch_cheaper(const std::vector<Difference>& about, std::uint64_t dots,
                                       const SessionLimits& limits) const {
  const std::size_t cells = cells_for(dots);
  if (about.size() > limits.frame_sets || cells > limits.cells_max) return false;
  std::size_t sketch = cells * Sketch::cell_octets;
  std::size_t sets = 0;
  std::size_t ranges = 0;
  for (const Difference& each : about) {
    ranges += each.common.ranges().size();
    const std::size_t common = encode_ranges(each.common).size();
    const std::uint64_t pieces = 1 + each.common.count() / limits.set_counters;
    const RangeSet live = source_.live_counters(segment_, each.actor, each.common);
    sketch += named_octets + common;
    sets += pieces * told_octets + common +
            std::min<std::size_t>(encode_ranges(live).size(), each.common.count() / 8);
  }
  return ranges <= limits.frame_ranges && sketch < sets;
}

void LiveComparison::send_sketch(Outbound& out) {
  LiveFrame frame{.index = index_, .number = number_, .form = LiveFrame::Form::sketch};
  std::uint64_t dots = 0;
  for (const Difference& each : unasked_) {
    dots += each.dots;
    frame.sets.push_back({each.actor, each.common, {}, {}});
  }
  Sketch sketch(cells_for(dots));
  each_live(frame.sets, false, {}, [&](const Dot& dot) { sketch.add(sketch_item(key_, dot)); });
  // What is not covered any more (a damaged record was given up) must not be spoken of: a set that
  // is told set by set is cut down to what is.
  as_sketch_ = false;
  if (!covers(frame.sets)) return;
  frame.cells = sketch.octets();
  std::vector<Difference> about(unasked_.begin(), unasked_.end());
  unasked_.clear();
  send(frame, std::move(about), sketch.cells() * sizeof(SketchItem), out);
}

void LiveComparison::send_sets(Outbound& out) {
  const SessionLimits& limits = out.limits();
  LiveFrame frame{.index = index_, .number = number_};
  std::uint64_t octets = 0;
  std::uint64_t answer_octets = 0;
  while (!unasked_.empty() && frame.sets.size() < limits.frame_sets &&
         octets < limits.part_octets && answer_octets < answer_parts * limits.part_octets) {
    LiveSet set = next_set(limits);
    if (set.common.empty()) continue;
    octets += told_octets + encode_ranges(set.common).size() +
              std::min<std::size_t>(encode_ranges(set.live).size(), set.common.count() / 8);
    answer_octets += told_octets + dead_range_octets * set.live.count();
    frame.sets.push_back(std::move(set));
  }
  frame.more = !unasked_.empty();
  send(frame, {}, answer_octets, out);
}

// The next piece of what is to be asked about, as far as it is covered here.
LiveSet LiveComparison::next_set(const SessionLimits& limits) {
  Difference& next = unasked_.front();
  const std::uint64_t first = next.common.ranges().front().first;
  const std::uint64_t last = (first / limits.set_counters + 1) * limits.set_counters - 1;
  const RangeSet piece =
      first_ranges(next.common.intersect(RangeSet({first, last})), limits.frame_ranges);
  LiveSet set{next.actor, {}, source_.live_counters(segment_, next.actor, piece), {}};
  if (const auto own = actor_state(source_, segment_, next.actor)) {
    set.common = piece.intersect(own->covered);
  }
  if (planted(Bug::live_set_beyond_covered)) set.common.insert(piece.ranges().back().last + 1);
  set.live = set.live.intersect(set.common);
  set.fingerprint = source_.live_fingerprint(segment_, set.actor, set.live);
  next.common = next.common.minus(piece);
  if (next.common.empty()) unasked_.pop_front();
  return set;
}

bool LiveComparison::send_all(Outbound& out) {
  const All all = *std::exchange(all_, std::nullopt);
  Sketch sketch(all.cells);
  each_live({}, true, {}, [&](const Dot& dot) { sketch.add(sketch_item(key_, dot)); });
  if (source_.state(segment_) != all.state) return false;
  const LiveFrame frame{.index = index_,
                        .number = number_,
                        .form = LiveFrame::Form::all,
                        .base = Position{all.state.journal, all.state.head},
                        .cells = sketch.octets()};
  send(frame, {}, all.cells * sizeof(SketchItem), out);
  return true;
}

void LiveComparison::want_all(const std::optional<Position>& base, std::size_t cells,
                              Outbound& out) {
  awaits_question_ = true;
  out.send_counted(LiveFrame{.index = index_,
                             .number = number_,
                             .form = LiveFrame::Form::wanted,
                             .base = base,
                             .wanted = cells});
}

// ---------------------------------------------------------------- answering

bool LiveComparison::answer(const LiveFrame& question, const Position& base, Feed& feed,
                            Outbound& out) {
  if (!question.more) awaits_question_ = false;
  DeadFrame answer{.index = index_, .number = number_};
  if (question.form == LiveFrame::Form::sets) {
    for (const LiveSet& set : question.sets) answer_set(set, feed, answer, out);
  } else if (question.form == LiveFrame::Form::sketch) {
    answer.undecided = !answer_sketch(question, {}, answer) || !covers(question.sets);
  } else {
    const std::optional<Context> before = fresh_since(base);
    answer.undecided = !before || !answer_sketch(question, *before, answer) ||
                       fresh_since(base) != before;
  }
  if (answer.undecided) {
    answer.items.clear();
    awaits_question_ = true;
  }
  out.send(answer);
  return !answer.undecided;
}

// Only dots that are covered here are called dead: the asking side drops what it is told.
void LiveComparison::answer_set(const LiveSet& set, Feed& feed, DeadFrame& answer, Outbound& out) {
  const RangeSet own = source_.live_counters(segment_, set.actor, set.common);
  const auto known = actor_state(source_, segment_, set.actor);
  if (!known) return;
  const RangeSet dead_there = own.minus(set.live);
  if (!dead_there.empty()) absent_.insert(set.actor, dead_there);
  const RangeSet dead_here = set.live.intersect(known->covered).minus(own);
  if (!dead_here.empty()) answer.dots.insert(set.actor, dead_here);
  const bool is_same = !set.live.empty() && own.contains(set.live);
  if (!is_same || planted(Bug::contents_not_asked_for)) return;
  if (source_.live_fingerprint(segment_, set.actor, set.live) == set.fingerprint) return;
  // The same dots with other contents: both sides learn both, and keep the same ones.
  out.send(AskFrame{index_, set.actor, set.live});
  feed.want(set.actor, set.live);
}

bool LiveComparison::answer_sketch(const LiveFrame& question, const Context& left_out,
                                   DeadFrame& answer) {
  const bool is_all = question.form == LiveFrame::Form::all;
  const Sketch theirs = Sketch::from(question.cells);
  Sketch difference(theirs.cells());
  each_live(question.sets, is_all, left_out,
            [&](const Dot& dot) { difference.add(sketch_item(key_, dot)); });
  difference -= theirs;
  auto items = difference.items();
  if (planted(Bug::sketch_taken_undecoded) && !items) return true;
  // No difference between sets that do differ: it is in the contents.
  if (!items || items->empty()) return false;
  Context absent;
  std::vector<SketchItem> own;
  each_live(question.sets, is_all, {}, [&](const Dot& dot) {
    const SketchItem item = sketch_item(key_, dot);
    if (!std::binary_search(items->begin(), items->end(), item)) return;
    own.push_back(item);
    if (!left_out.contains(dot)) absent.insert(dot);
  });
  std::sort(own.begin(), own.end());
  if (std::adjacent_find(own.begin(), own.end()) != own.end()) return false;  // two dots coincide
  absent_.insert(absent);
  std::set_difference(items->begin(), items->end(), own.begin(), own.end(),
                      std::back_inserter(answer.items));
  return true;
}

// ---------------------------------------------------------------- the answer

bool LiveComparison::received(const DeadFrame& answer, Outbound& out) {
  if (questions_.empty()) throw Error(ErrorCode::invalid, "dead: nothing was asked");
  Question question = std::move(questions_.front());
  questions_.pop_front();
  out.await_no_more(question.answer_octets);
  if (answer.undecided) {
    if (question.form == LiveFrame::Form::all) return false;
    as_sketch_ = false;
    std::move(question.about.begin(), question.about.end(), std::back_inserter(unasked_));
    return true;
  }
  for (const auto& [actor, counters] : answer.dots) {
    const RangeSet live = source_.live_counters(segment_, actor, counters);
    if (!live.empty()) absent_.insert(actor, live);
  }
  std::vector<SketchItem> items = answer.items;
  std::sort(items.begin(), items.end());
  if (!items.empty()) absent_items(items, question);
  return true;
}

void LiveComparison::absent_items(std::vector<SketchItem>& items, const Question& question) {
  std::vector<LiveSet> sets;
  for (const Difference& each : question.about) sets.push_back({each.actor, each.common, {}, {}});
  each_live(sets, question.form == LiveFrame::Form::all, {}, [&](const Dot& dot) {
    if (std::binary_search(items.begin(), items.end(), sketch_item(key_, dot))) absent_.insert(dot);
  });
}

// ---------------------------------------------------------------- what there is

template <class Visit>
void LiveComparison::each_live(const std::vector<LiveSet>& sets, bool all, const Context& left_out,
                               Visit&& visit) const {
  const auto visit_live = [&](const ActorId& actor, const RangeSet& counters) {
    for (const Range& range : source_.live_counters(segment_, actor, counters)) {
      for (std::uint64_t counter = range.first; counter <= range.last; ++counter) {
        visit(Dot{actor, counter});
      }
    }
  };
  for (const LiveSet& set : sets) visit_live(set.actor, set.common);
  if (!all) return;
  constexpr std::size_t page = 256;
  std::optional<ActorId> after;
  std::vector<ActorState> actors;
  do {
    actors = source_.actors(segment_, after, page);
    for (const ActorState& actor : actors) {
      after = actor.actor;
      if (actor.live_count > 0) visit_live(actor.actor, actor.covered.minus(left_out.of(*after)));
    }
  } while (actors.size() == page);
}

bool LiveComparison::covers(const std::vector<LiveSet>& sets) const {
  return std::all_of(sets.begin(), sets.end(), [&](const LiveSet& set) {
    const auto own = actor_state(source_, segment_, set.actor);
    return own && own->covered.contains(set.common);
  });
}

// What was covered, or has died, since our journal stood at `base`; absent: it does not say.
std::optional<Context> LiveComparison::fresh_since(const Position& base) const {
  constexpr std::size_t page_dots = 4'096;
  Context fresh;
  std::uint64_t at = base.sequence;
  while (true) {
    const SegmentState state = source_.state(segment_);
    if (state.journal != base.journal || at < state.floor || at > state.head) return std::nullopt;
    if (at == state.head) return fresh;
    JournalPage page = source_.journal(segment_, at, nobody, page_dots);
    fresh.insert(page.changed);
    at = std::max(at, page.upto);
  }
}

}  // namespace loam
