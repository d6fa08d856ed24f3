// The frames of wire version 1 that later versions still speak.
#include "tests/golden/golden.hpp"
#include "transport/frame.hpp"

using loam::Frame;

namespace {

template <class IdType>
IdType counting(unsigned first) {
  IdType id;
  for (std::byte& octet : id.bytes) octet = static_cast<std::byte>(first++);
  return id;
}

std::map<std::string, Frame> frames() {
  const auto digest = counting<loam::StateDigest>(0x60);
  constexpr loam::JournalId journal = 0x0123456789abcdef;
  return {
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
