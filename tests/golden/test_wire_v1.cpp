// The frames of wire version 1 that later versions still speak.
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

loam::Hello hello() {
  loam::Hello frame;
  frame.version_min = frame.version_max = 1;
  frame.federation = counting<loam::FederationId>(0x20);
  frame.instance = author;
  frame.store = counting<loam::StoreId>(0x40);
  frame.name = "alpha";
  frame.nonce = counting<loam::ContentHash>(0x50).bytes;
  return frame;
}

loam::DeltaFrame delta() {
  const loam::Bytes record = test::read_golden("crdt-v1.txt").at("set_record");
  loam::DeltaFrame frame{1, 300, {}, {}};
  frame.authors[actor] = author;
  frame.authors[other] = counting<loam::InstanceId>(0x70);
  frame.delta.context.insert(actor, ranges({{1, 3}, {5, 5}}));
  frame.delta.context.insert(other, Range{1'000, 2'000});
  frame.delta.live[{actor, 2}] = record;
  frame.delta.live[{actor, 5}] = record;
  return frame;
}

loam::DeltaFrame delta_without_position() {
  loam::DeltaFrame frame{.index = 1};
  frame.authors[actor] = author;
  frame.delta.context.insert(actor, Range{7, 7});
  return frame;
}

std::map<std::string, Frame> frames() {
  const auto digest = counting<loam::StateDigest>(0x60);
  constexpr loam::JournalId journal = 0x0123456789abcdef;
  return {
      {"hello", hello()},
      {"bye", loam::Bye{"done", ""}},
      {"bye_with_reason", loam::Bye{"incompatible", "peer speaks versions 2 to 4, this is 1"}},
      {"ping", loam::Ping{}},
      {"state", loam::StateFrame{1,
                                 "lessons_learned",
                                 {loam::Kind::set, digest, journal, 17, 70'000},
                                 {0xfedcba9876543210, 300},
                                 false,
                                 false,
                                 false,
                                 false}},
      {"state_of_a_map",
       loam::StateFrame{
           0, "instance_registry", {loam::Kind::map, digest, 1, 0, 0}, {}, true, true, false, true}},
      {"delta", delta()},
      {"delta_position_only", loam::DeltaFrame{1, 300, {}, {}}},
      {"delta_without_position", delta_without_position()},
      {"ack", loam::AckFrame{1, 123'456, 300}},
  };
}

}  // namespace

TEST_CASE("frames of wire version 1 have the golden bytes") {
  const auto golden = test::read_golden("wire-v1.txt");
  const auto now = frames();
  CHECK(golden.size() == now.size());
  for (const auto& entry : now) {
    CAPTURE(entry.first);
    REQUIRE(golden.contains(entry.first));
    CHECK(loam::to_hex(golden.at(entry.first)) == loam::to_hex(loam::encode_frame(entry.second)));
  }
}

TEST_CASE("the golden frames of wire version 1 are decoded") {
  const auto golden = test::read_golden("wire-v1.txt");
  for (const auto& entry : frames()) {
    CAPTURE(entry.first);
    CHECK(loam::decode_frame(golden.at(entry.first)) == entry.second);
  }
}
