#include "crdt/registry_entry.hpp"

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "crdt/registry.hpp"
#include "tests/crdt/signing.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/forall.hpp"
#include "tests/support/hex.hpp"

using loam::ErrorCode;
using loam::InstanceEntry;
using loam::InstanceStatus;
using loam::Permissions;
using loam::InstanceRole;
using test::error_of;
using test::Gen;
using test::SigningKey;

namespace {

InstanceEntry member() {
  InstanceEntry made;
  made.name = "beta";
  made.key = SigningKey(1).key();
  made.permissions.emplace("lessons_learned", Permissions{Permissions::read});
  return made;
}

loam::VoterSet some_voters(std::size_t count) {
  loam::VoterSet made(count);
  for (std::size_t i = 0; i < count; ++i) {
    made[i].instance.bytes[0] = static_cast<std::byte>(1 + i / 2);  // two stores of one instance are two
    made[i].store.bytes[15] = static_cast<std::byte>(1 + i);
  }
  return made;
}

}  // namespace

TEST_CASE("an entry of the registry survives its encoding") {
  test::forall("entry", 500, [](Gen& gen) {
    InstanceEntry made = member();
    made.role = static_cast<InstanceRole>(gen.below(3));
    made.permissions["org_patterns"] = {static_cast<std::uint8_t>(1 + gen.below(15))};
    made.endpoints = {"ws://127.0.0.1:7700", gen.text(20)};
    made.voter = gen.coin();
    made.status = static_cast<InstanceStatus>(gen.below(3));
    if (made.status == InstanceStatus::revoked && gen.coin()) {
      made.fence["lessons_learned"].insert({loam::ActorId{}, 1 + gen.below(100)});
      made.fence_part = static_cast<std::uint32_t>(gen.below(loam::fence_parts_max));
    }
    if (gen.coin()) made.voters = loam::VoterChange{some_voters(1 + gen.index(loam::voters_max)), gen.coin()};
    const auto octets = loam::encode(made);
    REQUIRE(loam::decode_instance_entry(octets) == made);
  });
}

TEST_CASE("the number of a part is one after the first, of a revocation, and nobody may overlook it") {
  InstanceEntry made = member();
  made.status = InstanceStatus::revoked;
  const auto with = [&](const loam::Value& part) {
    loam::Value map = loam::decode(loam::encode(made));
    std::get<loam::Map>(map.data)["part"] = part;
    return loam::encode(map);
  };
  CHECK(loam::decode_instance_entry(with(1))->fence_part == 1);
  for (const std::int64_t part : {std::int64_t{0}, std::int64_t{-1}, static_cast<std::int64_t>(loam::fence_parts_max)}) {
    CHECK(error_of([&] { (void)loam::decode_instance_entry(with(part)); }) == ErrorCode::invalid);
  }
  CHECK(error_of([&] { (void)loam::decode_instance_entry(with("1")); }) == ErrorCode::invalid);
  made.fence_part = 3;
  const loam::Value map = loam::decode(loam::encode(made));
  CHECK(*loam::find(std::get<loam::Map>(map.data), "must") == loam::Value(loam::Array{loam::Value("part")}));
}

TEST_CASE("a fence is cut into parts that fit, and they are all of it") {
  test::forall("parts of a fence", 300, [](Gen& gen) {
    loam::Fence fence;
    for (std::uint64_t left = gen.below(40); left > 0; --left) {
      loam::ActorId actor;
      actor.bytes[0] = static_cast<std::byte>(gen.below(5));
      fence[gen.coin() ? "lessons_learned" : "org_patterns"].insert({actor, 1 + gen.below(60)});
    }
    const std::size_t ranges_max = 1 + gen.index(8);
    const auto parts = loam::parts_of(fence, ranges_max);
    REQUIRE(!parts.empty());
    loam::Fence all;
    for (const loam::Fence& part : parts) {
      std::size_t ranges = 0;
      for (const auto& [segment, seen] : part) {
        for (const auto& [actor, counters] : seen) ranges += counters.ranges().size();
        all[segment].insert(seen);
      }
      REQUIRE(ranges <= ranges_max);
      REQUIRE((ranges == ranges_max || &part == &parts.back()));
    }
    REQUIRE(all == fence);
  });
  loam::Fence many;
  for (std::uint64_t i = 0; i <= loam::fence_parts_max; ++i) many["lessons_learned"].insert({loam::ActorId{}, 1 + 2 * i});
  CHECK(error_of([&] { (void)loam::parts_of(many, 1); }) == ErrorCode::limit);
}

TEST_CASE("an entry that says what cannot be is refused") {
  const auto refused = [](const char* field, const loam::Value& value) {
    loam::Value map = loam::decode(loam::encode(member()));
    auto& fields = std::get<loam::Map>(map.data);
    value.is_nil() ? void(fields.erase(field)) : void(fields[field] = value);
    return error_of([&] { (void)loam::decode_instance_entry(loam::encode(map)); });
  };
  using loam::Array;
  using loam::Bytes;
  using loam::Map;
  for (const char* field : {"name", "key", "endpoints", "role", "permissions", "voter", "status"}) {
    CHECK_MESSAGE(refused(field, nullptr) == ErrorCode::invalid, field);
    CHECK_MESSAGE(refused(field, 1.5) == ErrorCode::invalid, field);
  }
  CHECK(refused("key", Bytes(31)) == ErrorCode::invalid);
  CHECK(refused("key", Bytes(32)) == ErrorCode::untrusted);
  CHECK(refused("role", "king") == ErrorCode::invalid);
  CHECK(refused("status", "revoked") == ErrorCode::invalid);  // without a fence
  CHECK(refused("fence", Map{}) == ErrorCode::invalid);       // without a revocation
  CHECK(refused("part", 1) == ErrorCode::invalid);            // the same
  for (const char* letters : {"", "wr", "rr", "x", "R"}) {
    CHECK_MESSAGE(refused("permissions", Map{{"lessons_learned", letters}}) == ErrorCode::invalid, letters);
  }
  CHECK(refused("permissions", Map{{"Lessons", "r"}}) == ErrorCode::invalid);
  CHECK(refused("must", "name") == ErrorCode::invalid);
  CHECK(refused("must", Array{loam::Value(1)}) == ErrorCode::invalid);
  for (const char* name : {"", "_", "Beta", "a b", "..", "\xef\xbd\x81"}) {
    CHECK_MESSAGE(refused("name", name) == ErrorCode::invalid, name);
  }
  CHECK(refused("endpoints", Array(17, loam::Value(""))) == ErrorCode::limit);
}

TEST_CASE("what an entry says of voters is a map of pairs in order, and of whether they are sealed") {
  using loam::Array;
  using loam::Bytes;
  using loam::Map;
  using loam::Value;
  InstanceEntry made = member();
  made.voters = loam::VoterChange{some_voters(3), true};
  const Value map = loam::decode(loam::encode(made));
  const Map& said = std::get<Map>(std::get<Map>(map.data).at("voters").data);
  const Array all = std::get<Array>(said.at("all").data);
  CHECK(said.size() == 2);
  CHECK(said.at("sealed") == Value(true));
  REQUIRE(all.size() == 3);
  CHECK(all[1] == Value(Array{Value(loam::copy_of(made.voters->voters[1].instance.view())),
                              Value(loam::copy_of(made.voters->voters[1].store.view()))}));
  const auto refused = [&](const Value& voters) {
    Value changed = map;
    std::get<Map>(changed.data)["voters"] = voters;
    return error_of([&] { (void)loam::decode_instance_entry(loam::encode(changed)); });
  };
  const auto with = [&](const Value& list) { return refused(Map{{"all", list}, {"sealed", false}}); };
  const Value id(Bytes(16, std::byte{7}));
  CHECK(with(all) == std::nullopt);
  CHECK(with(Array{Value(Array{id, id})}) == std::nullopt);
  CHECK(with(Array{}) == ErrorCode::invalid);
  CHECK(with(Array{all[1], all[0]}) == ErrorCode::invalid);
  CHECK(with(Array{all[0], all[2], all[1]}) == ErrorCode::invalid);
  CHECK(with(Array{all[0], all[0]}) == ErrorCode::invalid);
  // No pairs, or not of two ids.
  for (const Value& each : {Value(Array{id}), Value(Array{id, id, id}), Value(Array{}), id, Value("voter"), Value(1), Value()}) {
    CHECK(with(Array{each}) == ErrorCode::invalid);
    CHECK(with(Array{all[0], each}) == ErrorCode::invalid);
  }
  for (const Value& each : {Value(Bytes(15)), Value(Bytes(17)), Value("0123456789abcdef"), Value(1), Value()}) {
    CHECK(with(Array{Value(Array{each, id})}) == ErrorCode::invalid);
    CHECK(with(Array{Value(Array{id, each})}) == ErrorCode::invalid);
  }
  // Other types, or a part of it.
  for (const Value& each : {Value(), Value(true), Value(1), Value("all"), Value(Bytes(16)), Value(Array{}), Value(all), Value(Map{})}) {
    CHECK(refused(each) == ErrorCode::invalid);
  }
  CHECK(refused(Map{{"all", all}}) == ErrorCode::invalid);
  CHECK(refused(Map{{"sealed", true}}) == ErrorCode::invalid);
  for (const Value& each : {Value(), Value(1), Value("true")}) {
    CHECK(refused(Map{{"all", all}, {"sealed", each}}) == ErrorCode::invalid);
  }
  for (const Value& each : {Value(), Value(true), Value("all"), id, Value(Map{})}) CHECK(with(each) == ErrorCode::invalid);
  CHECK(refused(Map{{"all", all}, {"sealed", true}, {"colour", "green"}}) == std::nullopt);  // of a later version
}

TEST_CASE("an entry may name 15 voters and no more") {
  InstanceEntry made = member();
  made.voters = loam::VoterChange{some_voters(15), false};
  CHECK(loam::decode_instance_entry(loam::encode(made)) == made);
  made.voters->voters = some_voters(16);
  CHECK(error_of([&] { (void)loam::decode_instance_entry(loam::encode(made)); }) == ErrorCode::limit);
}

// Computed by another implementation: what was written before entries spoke of voters.
TEST_CASE("an entry that says nothing of voters has the octets that it always had") {
  InstanceEntry made = member();
  made.key = {};
  made.voter = true;
  CHECK(loam::to_hex(loam::encode(made)) ==
        "87"
        "a9656e64706f696e747390"
        "a36b6579c4200000000000000000000000000000000000000000000000000000000000000000"
        "a46e616d65a462657461"
        "ab7065726d697373696f6e7381af6c6573736f6e735f6c6561726e6564a172"
        "a4726f6c65a66d656d626572"
        "a6737461747573a6616374697665"
        "a5766f746572c3");
  loam::Value with_voters = loam::decode(loam::encode(made));
  made.voters = loam::VoterChange{some_voters(1), false};
  std::get<loam::Map>(with_voters.data)["voters"] = std::get<loam::Map>(loam::decode(loam::encode(made)).data).at("voters");
  CHECK(loam::encode(with_voters) == loam::encode(made));  // and nothing else is changed by them
}

TEST_CASE("fields of a later version do not count, and those that must be known are waited for") {
  loam::Value map = loam::decode(loam::encode(member()));
  auto& fields = std::get<loam::Map>(map.data);
  fields["colour"] = "green";
  CHECK(loam::decode_instance_entry(loam::encode(map)) == member());
  fields["must"] = loam::Array{loam::Value("role"), loam::Value("must"), loam::Value("voters")};
  CHECK(loam::decode_instance_entry(loam::encode(map)) == member());
  fields["must"] = loam::Array{loam::Value("role"), loam::Value("colour")};
  CHECK(loam::decode_instance_entry(loam::encode(map)) == std::nullopt);
  fields.erase("must");
  for (int i = 0; i < 56; ++i) fields["field " + std::to_string(i)] = i;
  CHECK(loam::decode_instance_entry(loam::encode(map)) == member());  // 64
  fields["one more"] = 1;
  CHECK(error_of([&] { (void)loam::decode_instance_entry(loam::encode(map)); }) == ErrorCode::limit);
}

TEST_CASE("letters of permissions are read as they are written") {
  for (std::uint8_t bits = 0; bits < 16; ++bits) CHECK(Permissions::parse(Permissions{bits}.text())->bits == bits);
  CHECK(Permissions{15}.text() == "rwtl");
}

TEST_CASE("the id of a federation is its founder's and its own") {
  loam::FederationRoot one{SigningKey(0).key(), {}};
  loam::FederationRoot other = one;
  other.nonce[3] = std::byte{1};
  CHECK(loam::federation_of(one) != loam::federation_of(other));
  other = {SigningKey(1).key(), {}};
  CHECK(loam::federation_of(one) != loam::federation_of(other));
}
