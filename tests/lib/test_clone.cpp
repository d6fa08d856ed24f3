// Copies of a running instance, and removals that wait to be confirmed.
#include <doctest/doctest.h>

#include "crdt/error.hpp"
#include "crdt/record.hpp"
#include "lib/apply_job.hpp"
#include "lib/shared_store.hpp"
#include "tests/lib/scratch.hpp"
#include "tests/lib/site.hpp"
#include "tests/lib/store_walk.hpp"

namespace loam {
namespace {

using test::id_of;

struct Store {
  test::Scratch scratch;
  SegmentTable segments;
  SharedStore shared{scratch / "shared", segments, {}, id_of<InstanceId>(1),
                     StoreIdentity{"alpha", id_of<FederationId>(9)}};
  SegmentNumber set = shared.number(test::set_segment);

  template <class Body>
  void write(Body&& body) {
    shared.env().write([&](lmdb::WriteTxn& txn) {
      SharedBatch batch(shared, txn, 1'000);
      body(batch);
      batch.finish();
    });
  }

  void add(const std::string& text) {
    write([&](SharedBatch& batch) { batch.add(set, test::content_of(text), test::meta_of("")); });
  }

  Dot only_dot(const std::string& text) {
    const ElementId element = element_of(test::set_segment, test::content_of(text));
    return shared.read([&](const SharedReader& reader) {
      const auto dots = reader.dots_of(set, element);
      REQUIRE(dots.size() == 1);
      return dots[0].dot;
    });
  }

  std::uint64_t records() {
    return shared.read([&](const SharedReader& reader) { return reader.segment(set).records; });
  }

  /// Joins one record, or the death of its dot, as a peer tells it. Whether a clone was seen.
  bool hear(const Dot& dot, const std::optional<std::string>& text) {
    Delta delta;
    delta.context.insert(dot);
    if (text) delta.live.emplace(dot, encode(SetRecord{{}, test::content_of(*text), test::meta_of("")}));
    bool saw_clone = false;
    write([&](SharedBatch& batch) {
      batch.join(set, delta, {{dot.actor, ActorClaim(id_of<InstanceId>(1))}}, {}, id_of<StoreId>(5));
      saw_clone = batch.saw_clone();
    });
    return saw_clone;
  }
};

}  // namespace

TEST_CASE("who hears of a dot of its own that it never wrote goes on under another actor") {
  for (const bool is_alive : {true, false}) {
    Store store;
    store.add("mine");
    const Dot mine = store.only_dot("mine");
    const auto text = is_alive ? std::optional<std::string>("of my clone") : std::nullopt;
    CHECK(store.hear({mine.actor, 2}, text));
    store.add("next");
    CHECK(store.only_dot("next").actor != mine.actor);
    CHECK(store.only_dot("next").counter == 1);
    CHECK(!store.hear({mine.actor, 3}, "of my clone, later"));  // it is not ours any more
    CHECK(test::walk(store.shared) == "");
  }
}

TEST_CASE("who hears of another content for a dot of its own goes on under another actor") {
  Store store;
  store.add("mine");
  const Dot mine = store.only_dot("mine");
  CHECK(store.hear(mine, "of my clone"));
  store.add("next");
  CHECK(store.only_dot("next").actor != mine.actor);
  CHECK(store.shared.read([](const SharedReader& r) {
    return r.held(HeldReason::equivocation).size();
  }) == 1);
}

TEST_CASE("who hears of its own dots, dead or alive, or of another's, goes on as it was") {
  Store store;
  store.add("mine");
  store.add("mine, too");
  const Dot mine = store.only_dot("mine");
  CHECK(!store.hear({id_of<ActorId>(7), 4}, "of another"));
  CHECK(!store.hear(mine, std::nullopt));  // somebody removed it
  CHECK(!store.hear(mine, std::nullopt));
  store.add("next");
  CHECK(store.only_dot("next").actor == mine.actor);
  CHECK(store.only_dot("next").counter == 3);
}

TEST_CASE("a copy is told of once, and also when what showed it could not be stored") {
  for (const bool is_refused : {false, true}) {
    Store store;
    store.add("mine");
    const Dot mine = store.only_dot("mine");
    std::vector<ApplyOutcome> outcomes;
    std::vector<Job> jobs;
    for (std::uint64_t i = 1; i <= 3; ++i) {
      Apply change{.ticket = i, .segment = test::set_segment, .delta = {}, .authors = {}, .position = {}};
      change.delta.context.insert(Dot{mine.actor, mine.counter + i});
      change.authors.emplace(mine.actor, ActorClaim(id_of<InstanceId>(1)));
      std::vector<CheckedApply> pieces;
      pieces.push_back(check_apply(store.shared, std::move(change)));
      auto made = apply_jobs(store.shared, id_of<StoreId>(5), {}, std::move(pieces), Refusals().of({}),
                             [&](const ApplyOutcome& outcome) { outcomes.push_back(outcome); });
      jobs.push_back(std::move(made.front()));
    }
    store.write([&](SharedBatch& batch) {
      for (Job& job : jobs) job.shared(batch);
    });
    const auto failure = std::make_exception_ptr(Error(ErrorCode::out_of_space, "full"));
    for (Job& job : jobs) job.done(is_refused ? failure : nullptr);
    REQUIRE(outcomes.size() == 3);
    CHECK(clone_alarm("s", outcomes[0]));
    CHECK(!clone_alarm("s", outcomes[1]));
    CHECK(!clone_alarm("s", outcomes[2]));
  }
}

TEST_CASE("a held removal removes nothing until it is confirmed, and then what it names") {
  Store store;
  for (int i = 0; i < 5; ++i) store.add(std::to_string(i));
  Context dots;
  for (int i = 0; i < 3; ++i) dots.insert(store.only_dot(std::to_string(i)));
  const auto peer = id_of<StoreId>(5);
  const auto held = [&] {
    return store.shared.read([](const SharedReader& r) { return r.held(HeldReason::removal); });
  };
  store.write([&](SharedBatch& batch) { batch.hold_removal(store.set, peer, dots); });
  CHECK(store.records() == 5);
  dots.insert(store.only_dot("3"));
  store.write([&](SharedBatch& batch) { batch.hold_removal(store.set, peer, dots); });
  store.write([&](SharedBatch& batch) { batch.hold_removal(store.set, id_of<StoreId>(6), dots); });
  REQUIRE(held().size() == 2);  // of each peer the latest
  std::uint64_t removed = 0;
  HeldItem waiting = held()[0];
  store.write([&](SharedBatch& batch) { removed = batch.confirm_removal(waiting); });
  CHECK(removed == 4);
  CHECK(store.records() == 1);
  waiting = held()[0];
  store.write([&](SharedBatch& batch) { removed = batch.confirm_removal(waiting); });
  CHECK(removed == 0);
  CHECK(held().empty());
  CHECK(test::walk(store.shared) == "");
}

}  // namespace loam
