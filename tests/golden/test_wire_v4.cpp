// What wire version 4 added or changed.
#include "tests/golden/golden.hpp"
#include "transport/frame.hpp"

using loam::Frame;
using loam::Range;
using loam::Vote;
using loam::VotedFrame;
using loam::VoteFrame;

namespace {

template <class IdType>
IdType counting(unsigned first) {
  IdType id;
  for (std::byte& octet : id.bytes) octet = static_cast<std::byte>(first++);
  return id;
}

const auto actor = counting<loam::ActorId>(0);
const auto other = counting<loam::ActorId>(16);
const auto view = counting<loam::VoterViewId>(0xd0);

// Whoever speaks it still understands version 3.
loam::Hello hello() {
  loam::Hello frame;
  frame.version_min = 3;
  frame.version_max = 4;
  frame.federation = counting<loam::FederationId>(0x20);
  frame.instance = counting<loam::InstanceId>(0x30);
  frame.store = counting<loam::StoreId>(0x40);
  frame.name = "alpha";
  frame.nonce = counting<loam::ContentHash>(0x50).bytes;
  frame.key = counting<loam::PublicKey>(0x60);
  return frame;
}

VoteFrame question(std::uint64_t call, std::uint64_t number) {
  VoteFrame frame;
  frame.call = call;
  frame.number = number;
  frame.view = view;
  return frame;
}

VoteFrame vote_read() {
  VoteFrame frame = question(7, 2);
  frame.states = {{"lessons_learned", counting<loam::StateDigest>(0x60)}, {"org_patterns", counting<loam::StateDigest>(0x70)}};
  return frame;
}

VoteFrame vote_write() {
  VoteFrame frame = question(300, 1);
  frame.segment = "lessons_learned";
  frame.dots.insert(actor, Range{1, 4});
  frame.dots.insert(actor, Range{6, 9});
  frame.dots.insert(other, Range{1'000, 2'000});
  return frame;
}

VoteFrame vote_removal() {
  VoteFrame frame = question(70'000, 1);
  frame.segment = "lessons_learned";
  frame.dots.insert(actor, Range{3, 3});
  frame.dead = true;
  return frame;
}

VoteFrame vote_withdrawal() {
  VoteFrame frame = question(7, 3);
  frame.view = {};
  return frame;
}

std::map<std::string, Frame> frames() {
  return {
      {"hello", hello()},
      {"vote_read", vote_read()},
      {"vote_write", vote_write()},
      {"vote_removal", vote_removal()},
      {"vote_withdrawal", vote_withdrawal()},
      {"voted_yes", VotedFrame{7, 2, Vote::yes}},
      {"voted_not_yet", VotedFrame{7, 2, Vote::not_yet}},
      {"voted_other_voters", VotedFrame{300, 1, Vote::other_voters}},
      {"voted_no_voter", VotedFrame{70'000, 1, Vote::no_voter}},
  };
}

}  // namespace

TEST_CASE("frames of wire version 4 have the golden bytes") {
  const auto golden = test::read_golden("wire-v4.txt");
  const auto now = frames();
  CHECK(golden.size() == now.size());
  for (const auto& entry : now) {
    CAPTURE(entry.first);
    REQUIRE(golden.contains(entry.first));
    CHECK(loam::to_hex(golden.at(entry.first)) == loam::to_hex(loam::encode_frame(entry.second)));
  }
}

TEST_CASE("the golden frames of wire version 4 are decoded") {
  const auto golden = test::read_golden("wire-v4.txt");
  for (const auto& entry : frames()) {
    CAPTURE(entry.first);
    CHECK(loam::decode_frame(golden.at(entry.first)) == entry.second);
  }
}

TEST_CASE("a withdrawal of golden bytes is one, and a question is none") {
  CHECK(vote_withdrawal().is_withdrawal());
  for (const VoteFrame& frame : {vote_read(), vote_write(), vote_removal()}) CHECK_FALSE(frame.is_withdrawal());
}
