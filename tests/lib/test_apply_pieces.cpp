// What a peer brings at once, cut into pieces: they are the same together as it was whole.
#include "lib/apply_pieces.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "lib/apply_job.hpp"
#include "lib/store_source.hpp"
#include "tests/lib/signed_store.hpp"
#include "tests/support/gen.hpp"

namespace loam {
namespace {

using test::Gen;
using test::id_of;
using test::set_segment;
using test::SignedStore;

// All that a store holds, as a peer would send it, with its removals.
Apply all_of(const SignedStore& from) {
  Apply change{.ticket = 7, .segment = set_segment, .delta = {}, .authors = {}, .batches = {}, .position = Position{3, 4}};
  const StoreSource source(from.shared);
  for (const auto& actor : source.actors(set_segment, {}, 100)) {
    Slice slice = source.slice(set_segment, actor.actor, actor.covered, 1 << 30, 1'000'000);
    change.delta.live.merge(slice.delta.live);
    change.delta.context.insert(slice.delta.context);
    change.authors.merge(slice.authors);
    change.batches.merge(slice.batches);
  }
  return change;
}

ApplyOutcome store(SignedStore& in, std::vector<Apply> pieces, std::size_t jobs_of_a_commit) {
  std::vector<CheckedApply> checked;
  for (Apply& piece : pieces) checked.push_back(check_apply(in.shared, std::move(piece)));
  std::vector<ApplyOutcome> outcomes;
  std::vector<Job> jobs = apply_jobs(in.shared, id_of<StoreId>(5), id_of<InstanceId>(5), std::move(checked),
                                     Refusals().of({}), [&](const ApplyOutcome& outcome) { outcomes.push_back(outcome); });
  for (std::size_t i = 0; i < jobs.size(); i += jobs_of_a_commit) {
    const std::size_t end = std::min(jobs.size(), i + jobs_of_a_commit);
    in.write([&](SharedBatch& batch) {
      for (std::size_t at = i; at < end; ++at) jobs[at].shared(batch);
    });
    for (std::size_t at = i; at < end; ++at) jobs[at].done(nullptr);
  }
  REQUIRE(outcomes.size() == 1);
  return outcomes.front();
}

Roots roots_of(const SignedStore& of) {
  return of.shared.read([&](const SharedReader& reader) { return reader.segment(of.set).state.roots; });
}

void fill(SignedStore& author, int commits, int records) {
  for (int i = 0; i < commits; ++i) {
    const auto elements = author.add(records);
    if (i % 7 == 3) author.write([&](SharedBatch& batch) { batch.remove(author.set, elements.front()); });
  }
}

TEST_CASE("what is small stays whole, and so does what the registry brings") {
  SignedStore author;
  author.add(20);
  Apply change = all_of(author);
  REQUIRE(pieces_of(change).size() == 1);
  CHECK(pieces_of(change).front() == change);
  fill(author, 100, 5);
  change = all_of(author);
  CHECK(pieces_of(change).size() > 1);
  change.segment = registry_name;
  CHECK(pieces_of(change).size() == 1);
  CHECK(pieces_of({}).size() == 1);
}

TEST_CASE("pieces have whole batches, are not too large, and are together what was cut") {
  for (const int records : {1, 3, 100, 256}) {
    CAPTURE(records);
    SignedStore author;
    fill(author, 3'000 / (records + 16), records);
    const Apply change = all_of(author);
    const std::vector<Apply> pieces = pieces_of(change);
    CHECK(pieces.size() > 1);
    Delta delta;
    BatchParts batches;
    for (const Apply& piece : pieces) {
      std::size_t size = piece.delta.live.size();
      for (const auto& [actor, parts] : piece.batches) {
        size += piece_records_of_batch * parts.size();
        REQUIRE(piece.authors.contains(actor));
        for (const BatchPart& part : parts) batches[actor].push_back(part);
      }
      CHECK(size <= piece_records_max);
      check_delta(Kind::set, piece.delta);
      CHECK(piece.ticket == change.ticket);
      CHECK(piece.segment == change.segment);
      CHECK(piece.position.has_value() == (&piece == &pieces.back()));
      for (const auto& [dot, record] : piece.delta.live) REQUIRE(delta.live.emplace(dot, record).second);
      for (const auto& [actor, counters] : piece.delta.context) {
        REQUIRE(delta.context.of(actor).intersect(counters).empty());
      }
      delta.context.insert(piece.delta.context);
    }
    CHECK(delta == change.delta);
    CHECK(batches == change.batches);
    CHECK(pieces.back().position == change.position);
  }
}

TEST_CASE("stored piece by piece, in one commit or many, a change makes what it makes whole") {
  SignedStore author;
  fill(author, 150, 4);
  const Apply change = all_of(author);
  SignedStore whole(test::signing_key(2), 2);
  std::vector<Apply> one;
  one.push_back(change);
  const ApplyOutcome expected = store(whole, std::move(one), 1);
  CHECK(roots_of(whole) == roots_of(author));
  for (const std::size_t jobs : {1U, 2U, 100U}) {
    SignedStore cut(test::signing_key(3), 3);
    const ApplyOutcome outcome = store(cut, pieces_of(change), jobs);
    CHECK(outcome.ticket == 7);
    CHECK(outcome.inserted == expected.inserted);
    CHECK(!outcome.refused);
    CHECK(roots_of(cut) == roots_of(author));
    CHECK(cut.is_sound());
    CHECK(StoreSource(cut.shared).position(set_segment, id_of<StoreId>(5)) == Position{3, 4});
  }
}

TEST_CASE("pieces may come in any order, and twice") {
  SignedStore author;
  fill(author, 150, 4);
  Gen gen(5);
  SignedStore cut(test::signing_key(3), 3);
  std::vector<Apply> pieces = pieces_of(all_of(author));
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = pieces.size(); i > 1; --i) std::swap(pieces[i - 1], pieces[gen.index(i)]);
    (void)store(cut, pieces, 1);
  }
  CHECK(roots_of(cut) == roots_of(author));
  CHECK(cut.is_sound());
}

TEST_CASE("after a piece that was refused no later one is stored, and no position") {
  SignedStore author;
  fill(author, 150, 4);
  SignedStore cut(test::signing_key(3), 3);
  std::vector<CheckedApply> checked;
  for (Apply& piece : pieces_of(all_of(author))) checked.push_back(check_apply(cut.shared, std::move(piece)));
  REQUIRE(checked.size() > 2);
  const std::size_t count = checked.size();
  std::vector<ApplyOutcome> outcomes;
  const auto gaps = Refusals().of({});
  std::vector<Job> jobs = apply_jobs(cut.shared, id_of<StoreId>(5), id_of<InstanceId>(5), std::move(checked), gaps,
                                     [&](const ApplyOutcome& outcome) { outcomes.push_back(outcome); });
  REQUIRE(jobs.size() == count);
  const auto failure = std::make_exception_ptr(Error(ErrorCode::failed, "the disk said no"));
  for (std::size_t i = 0; i < count; ++i) {
    if (i == 1) {
      jobs[i].done(failure);
      continue;
    }
    const auto run = [&] { cut.write([&](SharedBatch& batch) { jobs[i].shared(batch); }); };
    if (i == 0) run();
    if (i > 1) CHECK_THROWS_AS(run(), Error);
    jobs[i].done(i == 0 ? nullptr : std::make_exception_ptr(Error(ErrorCode::failed, "an earlier part was refused")));
  }
  REQUIRE(outcomes.size() == 1);
  CHECK(outcomes.front().refused.value_or("").find("the disk said no") != std::string::npos);
  CHECK(outcomes.front().inserted > 0);
  CHECK(gaps->refused_from == 7);
  CHECK(StoreSource(cut.shared).position(set_segment, id_of<StoreId>(5)) == Position{});
}

}  // namespace
}  // namespace loam
