// Signed batches between stores: whatever part of one travels, in whatever order, whoever passes it on, each store
// can show what its author has signed.
#include <doctest/doctest.h>

#include "lib/store_source.hpp"
#include "tests/lib/signed_store.hpp"
#include "transport/frame.hpp"

namespace loam {
namespace {

using test::Gen;
using test::id_of;
using test::set_segment;
using test::SignedStore;

DeltaFrame through_the_wire(Slice slice) {
  DeltaFrame frame{.index = 1, .upto = {}, .delta = std::move(slice.delta), .authors = std::move(slice.authors),
                   .batches = std::move(slice.batches)};
  const Frame back = decode_frame(encode_frame(frame));
  REQUIRE(std::get<DeltaFrame>(back) == frame);
  return frame;
}

Applied receive(SignedStore& store, const DeltaFrame& frame) {
  Applied applied;
  store.write([&](SharedBatch& batch) {
    applied = batch.join(store.set, frame.delta, frame.authors, frame.batches, id_of<StoreId>(5));
  });
  return applied;
}

// Of every live record a batch is known, with its author's signature.
void check_all_signed(const SignedStore& store, const SignedStore& author) {
  std::uint64_t live = 0;
  for (const auto& found : store.batches()) {
    REQUIRE(found.batch);
    const SignedBatch sealed{encode(*found.batch), found.row.signature};
    REQUIRE(is_signed_by(author.shared.signing_key().public_key(), sealed));
    REQUIRE(found.row.rest.size() <= found.row.count);
  }
  store.shared.read([&](const SharedReader& reader) {
    lmdb::Cursor cursor = reader.txn().cursor(table::dot);
    for (bool on = cursor.first(); on; on = cursor.next()) {
      if (cursor.key().size() != dot_key_octets) continue;
      ++live;
      REQUIRE(decode_dot_row(cursor.value()).batch.is_signed());
    }
    REQUIRE(live == reader.segment(store.set).records);
  });
  REQUIRE(test::walk(store.shared).empty());
}

// A random part of what a store holds.
DeltaFrame random_part(Gen& gen, const SignedStore& from) {
  const StoreSource source(from.shared);
  const auto actors = source.actors(set_segment, {}, 10);
  if (actors.empty()) return {};
  const auto& actor = gen.pick(actors);
  RangeSet wanted;
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t first = 1 + gen.below(actor.covered.highest());
    wanted.insert(Range{first, first + gen.below(30)});
  }
  Slice slice = source.slice(set_segment, actor.actor, wanted, gen.coin() ? 400 : 100'000, 1 + gen.index(40));
  return through_the_wire(std::move(slice));
}

TEST_CASE("any parts of batches, in any order and over any relay, stay what their author has signed") {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    CAPTURE(seed);
    Gen gen(seed);
    SignedStore author(test::signing_key(1), 1);
    SignedStore relay(test::signing_key(2), 2);
    SignedStore reader(test::signing_key(3), 3);
    std::vector<ElementId> elements;
    for (int step = 0; step < 60; ++step) {
      switch (gen.below(6)) {
        case 0:
          for (const ElementId& each : author.add(1 + static_cast<int>(gen.below(20)))) elements.push_back(each);
          break;
        case 1:
          author.write([&](SharedBatch& batch) {
            for (std::size_t left = gen.index(6); left > 0 && !elements.empty(); --left) {
              const auto at = elements.begin() + static_cast<std::ptrdiff_t>(gen.index(elements.size()));
              batch.remove(author.set, *at);
              elements.erase(at);
            }
          });
          break;
        case 2:
        case 3: (void)receive(relay, random_part(gen, author)); break;
        case 4: (void)receive(reader, random_part(gen, relay)); break;
        default: (void)receive(gen.coin() ? author : relay, random_part(gen, reader)); break;
      }
      if (step % 10 != 9) continue;
      check_all_signed(author, author);
      check_all_signed(relay, author);
      check_all_signed(reader, author);
    }
  }
}

TEST_CASE("a whole batch needs no hashes beside its records; half of one has few") {
  SignedStore author;
  author.add(128);
  const StoreSource source(author.shared);
  const ActorId actor = source.actors(set_segment, {}, 1).front().actor;
  const Slice whole = source.slice(set_segment, actor, RangeSet(Range{1, 128}), 100'000, 1'000);
  REQUIRE(whole.batches.at(actor).size() == 1);
  CHECK(whole.batches.at(actor)[0].rest.empty());
  const Slice half = source.slice(set_segment, actor, RangeSet(Range{1, 64}), 100'000, 1'000);
  CHECK(half.batches.at(actor)[0].rest.size() == 1);
  const Slice one = source.slice(set_segment, actor, RangeSet(Range{77, 77}), 100'000, 1'000);
  CHECK(one.batches.at(actor)[0].rest.size() == 7);
}

TEST_CASE("an author who signs two contents of a dot has two batches, and each stays what was signed") {
  SignedStore author(test::signing_key(1), 1);
  SignedStore reader(test::signing_key(2), 2);
  author.add(3);
  DeltaFrame first = through_the_wire(
      StoreSource(author.shared).slice(set_segment, StoreSource(author.shared).actors(set_segment, {}, 1)[0].actor,
                                       RangeSet(Range{1, 3}), 100'000, 10));
  DeltaFrame second = first;
  const ActorId actor = first.authors.begin()->first;
  SetRecord other = decode_set_record(second.delta.live.at({actor, 2}));
  other.meta = test::meta_of("other");
  second.delta.live.at({actor, 2}) = encode(other);
  BatchPart& part = second.batches.at(actor)[0];
  const auto header = batch_of(author.shared.identity().federation, set_segment, second.authors.at(actor), actor, part,
                               records_of(actor, part, RecordHashes(second.delta.live)));
  REQUIRE(header);
  part.signature = author.shared.signing_key().sign(batch_domain, encode(*header));

  CHECK(receive(reader, first).inserted == 3);
  CHECK(receive(reader, second).equivocated.size() == 1);
  CHECK(receive(reader, first).equivocated.size() <= 1);
  CHECK(reader.batches().size() <= 2);
  check_all_signed(reader, author);
}

}  // namespace
}  // namespace loam
