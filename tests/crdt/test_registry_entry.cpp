#include "crdt/registry_entry.hpp"

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "crdt/registry.hpp"
#include "tests/crdt/signing.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/forall.hpp"

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

TEST_CASE("fields of a later version do not count, and those that must be known are waited for") {
  loam::Value map = loam::decode(loam::encode(member()));
  auto& fields = std::get<loam::Map>(map.data);
  fields["colour"] = "green";
  CHECK(loam::decode_instance_entry(loam::encode(map)) == member());
  fields["must"] = loam::Array{loam::Value("role"), loam::Value("must")};
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
