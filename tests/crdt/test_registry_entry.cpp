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
    }
    const auto octets = loam::encode(made);
    REQUIRE(loam::decode_instance_entry(octets) == made);
  });
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
