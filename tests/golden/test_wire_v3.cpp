// What wire version 3 added or changed.
#include "tests/golden/golden.hpp"
#include "transport/frame.hpp"

using loam::Frame;
using loam::Range;
using loam::RangeSet;

namespace {

template <class IdType>
IdType counting(unsigned first) {
  IdType id;
  for (std::byte& octet : id.bytes) octet = static_cast<std::byte>(first++);
  return id;
}

const auto actor = counting<loam::ActorId>(0);
const auto other = counting<loam::ActorId>(16);
const auto author = counting<loam::InstanceId>(0x30);

RangeSet ranges(std::initializer_list<Range> from) {
  RangeSet result;
  for (const Range& range : from) result.insert(range);
  return result;
}

loam::ActorClaim claim(const loam::InstanceId& by, unsigned first) {
  loam::ActorClaim made(by);
  for (std::byte& octet : made.nonce) octet = static_cast<std::byte>(first++);
  return made;
}

loam::Hello hello() {
  loam::Hello frame;
  frame.version_min = frame.version_max = 3;
  frame.federation = counting<loam::FederationId>(0x20);
  frame.instance = author;
  frame.store = counting<loam::StoreId>(0x40);
  frame.name = "alpha";
  frame.nonce = counting<loam::ContentHash>(0x50).bytes;
  frame.key = counting<loam::PublicKey>(0x60);
  frame.joins = true;
  return frame;
}

// Three records: one alone of a batch of three, one unsigned, one of a batch that names it.
loam::DeltaFrame delta() {
  const loam::Bytes record = test::read_golden("crdt-v1.txt").at("set_record");
  loam::DeltaFrame frame{.index = 1, .upto = 300, .delta = {}, .authors = {}, .batches = {}};
  frame.authors[actor] = claim(author, 0x70);
  frame.authors[other] = claim(counting<loam::InstanceId>(0x78), 0x90);
  frame.delta.context.insert(actor, Range{1, 5});
  frame.delta.context.insert(other, Range{1'000, 2'000});
  for (const std::uint64_t counter : {2U, 4U, 5U}) frame.delta.live[{actor, counter}] = record;
  frame.batches[actor] = {
      {.first = 1, .count = 3, .here = ranges({{2, 2}}), .frontier = {{actor, 2}, {other, 300}}, .superseded = {},
       .signature = counting<loam::Signature>(0x80),
       .rest = {counting<loam::TreeHash>(0xb0), counting<loam::TreeHash>(0xc0)}},
      {.first = 4, .count = 2, .here = ranges({{5, 5}}), .frontier = {}, .superseded = {},
       .signature = counting<loam::Signature>(0x90), .rest = {}}};
  frame.batches[actor][1].superseded.insert(other, ranges({{1, 2}, {7, 7}}));
  return frame;
}

loam::DeltaFrame delta_without_position() {
  loam::DeltaFrame frame{.index = 1, .upto = {}, .delta = {}, .authors = {}, .batches = {}};
  frame.authors[actor] = loam::ActorClaim(author);
  frame.delta.context.insert(actor, Range{7, 7});
  return frame;
}

std::map<std::string, Frame> frames() {
  return {
      {"hello", hello()},
      {"proof", loam::Proof{counting<loam::Signature>(0x80)}},
      {"join", loam::JoinFrame{counting<loam::ContentHash>(0xa0).bytes}},
      {"delta", delta()},
      {"delta_position_only", loam::DeltaFrame{.index = 1, .upto = 300, .delta = {}, .authors = {}, .batches = {}}},
      {"delta_without_position", delta_without_position()},
  };
}

}  // namespace

TEST_CASE("frames of wire version 3 have the golden bytes") {
  const auto golden = test::read_golden("wire-v3.txt");
  const auto now = frames();
  CHECK(golden.size() == now.size());
  for (const auto& entry : now) {
    CAPTURE(entry.first);
    REQUIRE(golden.contains(entry.first));
    CHECK(loam::to_hex(golden.at(entry.first)) == loam::to_hex(loam::encode_frame(entry.second)));
  }
}

TEST_CASE("the golden frames of wire version 3 are decoded") {
  const auto golden = test::read_golden("wire-v3.txt");
  for (const auto& entry : frames()) {
    CAPTURE(entry.first);
    CHECK(loam::decode_frame(golden.at(entry.first)) == entry.second);
  }
}
