#include <doctest/doctest.h>

#include "tests/lib/lock_step.hpp"
#include "tests/support/forall.hpp"

namespace loam {
namespace {

using ::test::forall;
using ::test::Gen;
using test::JournalModel;
using test::LockStep;

const std::vector<std::string> segments{test::set_segment, test::map_segment};
constexpr std::size_t unlimited = std::size_t{1} << 30;

// A trace of some length; the last step may have been aborted, which makes no difference.
void run(Gen& gen, LockStep& trace, int steps) {
  for (int step = 0; step < steps; ++step) REQUIRE(trace.step(gen) == "");
}

// The actors of a segment as memory has them, computed from its live records.
std::vector<ActorState> actors_of(const MemoryStore& memory) {
  std::vector<ActorState> actors;
  for (const auto& [actor, covered] : memory.context()) {
    ActorState state{actor, covered, 0, {}};
    for (const auto& [dot, record] : memory.live()) {
      if (dot.actor != actor) continue;
      ++state.live_count;
      state.live += live_term(dot, content_hash(record));
    }
    actors.push_back(std::move(state));
  }
  return actors;
}

// A selection that reaches into, beside and beyond what is covered.
RangeSet random_selection(Gen& gen, std::uint64_t highest) {
  RangeSet selected;
  for (std::size_t left = 1 + gen.index(4); left > 0; --left) {
    const std::uint64_t first = gen.between(1, highest + 3);
    selected.insert(Range{first, first + gen.below(highest + 3)});
  }
  return selected;
}

RangeSet live_of(const MemoryStore& memory, const ActorId& actor, const RangeSet& selected) {
  RangeSet live;
  for (const auto& [dot, record] : memory.live()) {
    if (dot.actor == actor && selected.contains(dot.counter)) live.insert(dot.counter);
  }
  return live;
}

Fingerprint fingerprint_of(const MemoryStore& memory, const ActorId& actor,
                           const RangeSet& selected) {
  Fingerprint sum;
  for (const auto& [dot, record] : memory.live()) {
    if (dot.actor == actor && selected.contains(dot.counter)) {
      sum += live_term(dot, content_hash(record));
    }
  }
  return sum;
}

// One slice: exactly the state of what it claims, within the limits, and nothing of the selection
// lost.
Slice checked_slice(const LockStep& trace, const std::string& segment, const ActorId& actor,
                    const RangeSet& selected, std::size_t octets_max, std::size_t records_max) {
  const MemoryStore& memory = trace.model().stores.at(segment);
  const RangeSet known = selected.intersect(memory.context().of(actor));
  Slice slice = trace.source().slice(segment, actor, selected, octets_max, records_max);
  REQUIRE(slice.delta == memory.slice(slice.delta.context));
  check_delta(memory.kind(), slice.delta);
  const RangeSet claimed = slice.delta.context.of(actor);
  REQUIRE(claimed.intersect(slice.rest).empty());
  RangeSet both = claimed;
  both.insert(slice.rest);
  REQUIRE(both == known);
  REQUIRE((slice.rest.empty() || slice.rest.ranges().front().first > claimed.highest()));
  REQUIRE(slice.authors.size() == (known.empty() ? 0 : 1));
  if (!known.empty()) REQUIRE(slice.authors.at(actor).author == trace.model().authors.at(actor).author);
  REQUIRE(slice.delta.live.size() <= std::max<std::size_t>(records_max, 1));
  std::size_t octets = 0;
  for (const auto& [dot, record] : slice.delta.live) octets += record.size();
  if (!slice.delta.live.empty()) octets -= slice.delta.live.rbegin()->second.size();
  REQUIRE((octets < octets_max || slice.delta.live.size() <= 1));
  if (!slice.rest.empty()) REQUIRE(!slice.delta.live.empty());
  return slice;
}

TEST_CASE("the segments are the shared ones, the registry first") {
  LockStep trace;
  const auto names = trace.source().segments();
  CHECK(names == std::vector<std::string>{"instance_registry", "approval_rules", "common_failures",
                                          "governance_meta", "lessons_learned", "org_patterns"});
  CHECK(trace.source().state("org_patterns").kind == Kind::set);
  CHECK(trace.source().state("approval_rules").kind == Kind::map);
}

TEST_CASE("actors come in order of their ids, page by page, and none twice or never") {
  forall("actors", 4, [](Gen& gen) {
    LockStep trace;
    run(gen, trace, 40);
    for (const std::string& segment : segments) {
      const auto expected = actors_of(trace.model().stores.at(segment));
      for (const std::size_t max : {1U, 2U, 3U, 1'000U}) {
        std::vector<ActorState> found;
        while (true) {
          std::optional<ActorId> after;
          if (!found.empty()) after = found.back().actor;
          const auto page = trace.source().actors(segment, after, max);
          REQUIRE(page.size() <= max);
          if (page.empty()) break;
          found.insert(found.end(), page.begin(), page.end());
        }
        REQUIRE(found == expected);
      }
      // From a place where no actor is.
      const ActorId nowhere = test::id_of<ActorId>(static_cast<unsigned>(gen.below(256)));
      auto beyond = expected;
      std::erase_if(beyond, [&](const ActorState& actor) { return !(nowhere < actor.actor); });
      REQUIRE(trace.source().actors(segment, nowhere, 1'000) == beyond);
    }
  });
}

TEST_CASE("slices at every limit are exact, and together they are the whole selection") {
  forall("slices", 4, [](Gen& gen) {
    LockStep trace;
    run(gen, trace, 40);
    for (const std::string& segment : segments) {
      const MemoryStore& memory = trace.model().stores.at(segment);
      for (const auto& [actor, covered] : memory.context()) {
        for (const std::size_t octets_max : {0U, 1U, 200U, 5'000U, 1U << 30U}) {
          const std::size_t records_max = octets_max == 200 ? 1 : 1 + gen.index(4);
          const RangeSet selected = gen.coin() ? covered : random_selection(gen, covered.highest());
          Delta whole;
          RangeSet left = selected;
          do {
            Slice slice = checked_slice(trace, segment, actor, left, octets_max, records_max);
            whole.context.insert(slice.delta.context);
            whole.live.merge(slice.delta.live);
            left = slice.rest;
          } while (!left.empty());
          Context wanted;
          wanted.insert(actor, selected);
          REQUIRE(whole == memory.slice(wanted));
        }
      }
    }
  });
}

TEST_CASE("an actor that was never heard of has nothing") {
  forall("unknown actor", 1, [](Gen& gen) {
    LockStep trace;
    run(gen, trace, 5);
    const ActorId stranger = test::id_of<ActorId>(250);
    const RangeSet all(Range{1, 100});
    const StoreSource source = trace.source();
    for (const std::string& segment : segments) {
      const Slice slice = source.slice(segment, stranger, all, unlimited, unlimited);
      CHECK((slice.delta.empty() && slice.authors.empty() && slice.rest.empty()));
      CHECK(source.live_counters(segment, stranger, all).empty());
      CHECK(source.live_fingerprint(segment, stranger, all) == Fingerprint{});
    }
  });
}

TEST_CASE(
    "live counters and fingerprints are those of the live dots, in large and small selections") {
  forall("live", 4, [](Gen& gen) {
    LockStep trace;
    run(gen, trace, 40);
    for (const std::string& segment : segments) {
      const MemoryStore& memory = trace.model().stores.at(segment);
      for (const auto& [actor, covered] : memory.context()) {
        std::vector<RangeSet> selections{{}, covered, RangeSet(Range{1, counter_max})};
        RangeSet nearly_all = covered;  // so that what is left out is walked instead
        nearly_all =
            nearly_all.minus(RangeSet(Range{gen.between(1, covered.highest()), counter_max}));
        selections.push_back(nearly_all);
        for (int i = 0; i < 6; ++i) selections.push_back(random_selection(gen, covered.highest()));
        for (const RangeSet& selected : selections) {
          REQUIRE(trace.source().live_counters(segment, actor, selected) ==
                  live_of(memory, actor, selected));
          REQUIRE(trace.source().live_fingerprint(segment, actor, selected) ==
                  fingerprint_of(memory, actor, selected));
        }
      }
    }
  });
}

// Reads the journal from a sequence to its end in pages and checks each against the model.
void check_journal(const LockStep& trace, const std::string& segment, const StoreId& excluded,
                   std::uint64_t from, std::size_t dots_max) {
  const JournalModel& model = trace.journal(segment);
  std::uint64_t at = from;
  while (at < model.head()) {
    const JournalPage page = trace.source().journal(segment, at, excluded, dots_max);
    REQUIRE(page.upto > at);
    REQUIRE(page.upto <= model.head());
    Context expected;
    std::uint64_t dots = 0;
    for (std::uint64_t entry = at; entry < page.upto; ++entry) {
      REQUIRE(dots < std::max<std::size_t>(dots_max, 1));  // else the page should have ended before
      if (model.entries[entry].origin == excluded) continue;
      expected.insert(model.entries[entry].changed);
      dots += model.entries[entry].changed.count();
    }
    if (page.upto < model.head()) REQUIRE(dots >= dots_max);
    REQUIRE(page.changed == expected);
    at = page.upto;
  }
}

TEST_CASE("the journal is read page by page, without what came from the excluded store") {
  forall("journal", 4, [](Gen& gen) {
    LockStep trace(gen.coin() ? 100'000 : 7);
    run(gen, trace, 40);
    for (const std::string& segment : segments) {
      const JournalModel& model = trace.journal(segment);
      const std::vector<StoreId> stores{
          trace.store().id(), LockStep::peer(0), LockStep::peer(1), {}};
      for (const StoreId& excluded : stores) {
        for (const std::size_t dots_max : {1U, 2U, 5U, 1'000U}) {
          check_journal(trace, segment, excluded, model.floor, dots_max);
          if (model.floor == model.head()) continue;
          check_journal(trace, segment, excluded, gen.between(model.floor, model.head() - 1),
                        dots_max);
        }
      }
    }
  });
}

TEST_CASE("a journal that was dropped begins anew at its head, under another id") {
  forall("dropped journal", 2, [](Gen& gen) {
    LockStep trace;
    run(gen, trace, 20);
    const SegmentState before = trace.source().state(test::set_segment);
    trace.store().env().write([&](lmdb::WriteTxn& txn) {
      SharedBatch batch(trace.store(), txn, 1);
      batch.drop_journals();
      batch.finish();
    });
    const SegmentState after = trace.source().state(test::set_segment);
    CHECK(after.journal != before.journal);
    CHECK(after.floor == before.head);
    CHECK(after.head == before.head);
    CHECK(after.roots == before.roots);
    const auto entries = trace.store().read(
        [](const SharedReader& reader) { return reader.txn().count(table::jrnl); });
    CHECK(entries == 0);
  });
}

TEST_CASE("lowering the bound of the journal trims a large one over several commits") {
  test::Scratch scratch;
  const SegmentTable table;
  const InstanceId instance = test::id_of<InstanceId>(1);
  const StoreIdentity fresh{"alpha", test::id_of<FederationId>(9)};
  const auto add = [&](SharedStore& store, int count) {
    store.env().write([&](lmdb::WriteTxn& txn) {
      for (int i = 0; i < count; ++i) {  // a batch each, so that each makes an entry
        SharedBatch batch(store, txn, 1);
        batch.put(store.number(test::map_segment), "key", Bytes{std::byte{1}});
        batch.finish();
      }
    });
  };
  constexpr int entries = 25'000;
  {
    SharedStore store(scratch / "shared", table, {}, instance, fresh);
    add(store, entries);
  }
  Config config;
  config.journal_entries_max = 10;
  SharedStore store(scratch / "shared", table, config, instance, std::nullopt);
  const StoreSource source(store);
  for (const std::uint64_t floor : {10'000U, 20'000U, 24'993U}) {
    add(store, 1);
    CHECK(source.state(test::map_segment).floor == floor);
  }
}

}  // namespace
}  // namespace loam
