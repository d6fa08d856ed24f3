// Negative controls: joins and catch-ups with a planted bug. A harness that passes one is broken.
// testing.md, 5.
#include "tests/support/forall.hpp"
#include "tests/support/world.hpp"

using loam::Applied;
using loam::Context;
using loam::Delta;
using loam::Dot;
using loam::Kind;
using loam::MemoryStore;
using test::Gen;
using test::Rules;

namespace {

// Every control below is caught within this many seeds, in its kind of segment.
constexpr int seed_budget = 100;

bool is_caught(const char* control, Kind kind, const Rules& rules) {
  Gen seeds(test::base_of(control));
  for (int left = seed_budget; left > 0; --left) {
    Gen gen(seeds.bits());
    if (!test::lock_step(gen, kind, rules).empty()) return true;
  }
  return false;
}

bool is_caught(const char* control, const Rules& rules) {
  return is_caught(control, Kind::set, rules) && is_caught(control, Kind::map, rules);
}

// A seen dot is written again: the context does not protect what is dead.
Applied rewriting_join(MemoryStore& store, const Delta& delta) {
  Applied result = apply(store, delta);
  for (const auto& [dot, record] : delta.live) {
    if (store.live().contains(dot)) continue;
    store.insert(dot, record, loam::content_hash(record));
    ++result.inserted;
  }
  return result;
}

// A removal takes the whole element, with dots that the remover had not seen.
Applied element_removing_join(MemoryStore& store, const Delta& delta) {
  std::vector<Dot> also;
  for (const auto& [dot, record] : store.live()) {
    if (!delta.context.contains(dot) || delta.live.contains(dot)) continue;
    const auto element = loam::element_of(store.segment(), loam::view_set_record(record).content);
    for (const Dot& other : store.dots_of(element)) also.push_back(other);
  }
  Applied result = apply(store, delta);
  for (const Dot& dot : also) {
    if (!store.live().contains(dot) || delta.live.contains(dot)) continue;
    store.drop(dot);
    ++result.dropped;
  }
  return result;
}

// The context is taken over before the records: what it names looks already seen.
Applied context_first_join(MemoryStore& store, const Delta& delta) {
  for (const auto& [actor, ranges] : delta.context) {
    store.cover(actor, ranges.minus(store.covered(actor)));
  }
  return apply(store, delta);
}

// The first chunk claims the whole version vector.
std::vector<Delta> over_claiming_chunks(const MemoryStore& from,
                                        const std::vector<Context>& pieces) {
  std::vector<Delta> chunks = test::exact_chunks(from, pieces);
  if (!chunks.empty()) chunks.front().context = from.context();
  return chunks;
}

// Only live records travel: nobody hears of a removal that was missed.
std::vector<Delta> adds_only_chunks(const MemoryStore& from, const std::vector<Context>& pieces) {
  std::vector<Delta> chunks = test::exact_chunks(from, pieces);
  for (Delta& chunk : chunks) {
    chunk.context = {};
    for (const auto& [dot, record] : chunk.live) chunk.context.insert(dot);
  }
  return chunks;
}

// Equal stamps are not ordered: a reader stays with what its own instance wrote.
std::optional<Dot> winner_without_tie_break(const test::Replica& replica, std::string_view key) {
  const loam::Register held = replica.store().read(key);
  if (!held.winner) return std::nullopt;
  for (const loam::Assignment& sibling : held.siblings) {
    const bool is_own = sibling.dot.actor == replica.actor();
    if (is_own && sibling.stamp == held.winner->stamp) return sibling.dot;
  }
  return held.winner->dot;
}

bool breaks_commutativity(Kind kind, const test::Join& join) {
  Gen seeds(test::base_of("control"));
  for (int left = seed_budget; left > 0; --left) {
    Gen gen(seeds.bits());
    test::World world(kind);
    world.steps(gen, 16);
    MemoryStore left_first = world.store(0);
    MemoryStore right_first = world.store(1);
    join(left_first, world.store(1).full_state());
    join(right_first, world.store(0).full_state());
    if (left_first != right_first) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("the harness passes the real rules within the budget of the controls") {
  CHECK_FALSE(is_caught("no control", Kind::set, {}));
  CHECK_FALSE(is_caught("no control", Kind::map, {}));
  CHECK_FALSE(breaks_commutativity(Kind::set, test::real_join));
  CHECK_FALSE(breaks_commutativity(Kind::map, test::real_join));
}

TEST_CASE("the harness catches an actor that goes on after a restore") {
  CHECK(is_caught("reused actor", {.new_actor_after_restore = false}));
}

TEST_CASE("the harness catches a chunk that claims the whole context") {
  CHECK(is_caught("over-claimed chunk", {.chunks = over_claiming_chunks}));
}

TEST_CASE("the harness catches a catch-up of adds only") {
  CHECK(is_caught("adds only", {.chunks = adds_only_chunks}));
}

TEST_CASE("the harness catches a removal by element instead of observed dots") {
  CHECK(is_caught("by element", Kind::set, {.join = element_removing_join}));
}

TEST_CASE("the harness catches a register without tie-break") {
  CHECK(is_caught("no tie-break", Kind::map, {.winner = winner_without_tie_break}));
}

TEST_CASE("the harness catches a seen dot that is written again") {
  CHECK(is_caught("written again", {.join = rewriting_join}));
}

TEST_CASE("the harness catches a context that is taken over before its records") {
  CHECK(is_caught("context first", {.join = context_first_join}));
}

TEST_CASE("the law of commutativity alone catches the broken joins") {
  CHECK(breaks_commutativity(Kind::set, rewriting_join));
  CHECK(breaks_commutativity(Kind::map, rewriting_join));
  CHECK(breaks_commutativity(Kind::set, element_removing_join));
  CHECK(breaks_commutativity(Kind::set, context_first_join));
}
