#include "crdt/batch.hpp"

#include <set>

#include "crdt/codec.hpp"
#include "crdt/delta.hpp"
#include "crdt/error.hpp"
#include "tests/crdt/signing.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/forall.hpp"

using loam::Batch;
using loam::Bytes;
using loam::ContentHash;
using loam::Dot;
using loam::ErrorCode;
using loam::Value;
using test::error_of;
using test::Gen;
using test::SigningKey;

namespace {

template <class Any>
Any random_id(Gen& gen) {
  Any id;
  for (std::byte& octet : id.bytes) octet = static_cast<std::byte>(gen.below(256));
  return id;
}

std::vector<ContentHash> random_hashes(Gen& gen, std::size_t count) {
  std::vector<ContentHash> hashes;
  for (std::size_t i = 0; i < count; ++i) hashes.push_back(random_id<ContentHash>(gen));
  return hashes;
}

Batch random_batch(Gen& gen, const SigningKey& author, const std::vector<ContentHash>& hashes) {
  Batch batch;
  batch.federation = random_id<loam::FederationId>(gen);
  batch.segment = "lessons_learned";
  batch.claim.author = author.instance();
  batch.actor = loam::actor_of(batch.claim, static_cast<std::int64_t>(gen.below(1'000'000)));
  batch.first = gen.one_in(10) ? loam::counter_max - hashes.size() + 1 : 1 + gen.below(1'000);
  batch.count = static_cast<std::uint32_t>(hashes.size());
  std::set<Dot> frontier;
  for (std::size_t i = gen.index(4); i > 0; --i) {
    frontier.insert({random_id<loam::ActorId>(gen), 1 + gen.below(100)});
  }
  batch.frontier.assign(frontier.begin(), frontier.end());
  batch.root = loam::tree_root(hashes);
  for (std::size_t i = gen.index(4); i > 0; --i) {
    batch.superseded.insert({random_id<loam::ActorId>(gen), 1 + gen.below(100)});
  }
  return batch;
}

std::optional<ErrorCode> decode_error(loam::BytesView octets) {
  return error_of([&] { (void)loam::decode_batch(octets); });
}

// The parts of a batch, one of them replaced.
Bytes with_part(const Batch& batch, std::size_t part, const Value& value) {
  Value parts = loam::decode(loam::encode(batch));
  std::get<loam::Array>(parts.data).at(part) = value;
  return loam::encode(parts);
}

}  // namespace

TEST_CASE("a batch survives its encoding") {
  test::forall("batch", 1'000, [](Gen& gen) {
    const auto batch = random_batch(gen, SigningKey(gen.below(50)), random_hashes(gen, 1 + gen.index(256)));
    const Bytes octets = loam::encode(batch);
    REQUIRE(loam::decode_batch(octets) == batch);
    REQUIRE(loam::encode(loam::decode_batch(octets)) == octets);
  });
}

TEST_CASE("a signed batch vouches for its records, and for each that is left when others have gone") {
  test::forall("signed batch", 300, [](Gen& gen) {
    const SigningKey author(gen.bits());
    const auto hashes = random_hashes(gen, 1 + gen.index(256));
    const auto batch = random_batch(gen, author, hashes);
    const loam::SignedBatch sealed{loam::encode(batch), author.sign(loam::batch_domain, loam::encode(batch))};
    REQUIRE(loam::is_signed_by(author.key(), sealed));
    std::vector<bool> is_live(hashes.size());
    for (std::size_t i = 0; i < hashes.size(); ++i) is_live[i] = gen.coin();
    loam::TreePart records{{}, loam::tree_rest(hashes, is_live)};
    for (std::uint32_t i = 0; i < hashes.size(); ++i) {
      if (is_live[i]) records.there.push_back({i, hashes[i]});
    }
    REQUIRE(loam::are_of(batch, records));
    if (records.there.empty()) return;
    records.there[gen.index(records.there.size())].hash = random_id<ContentHash>(gen);
    REQUIRE_FALSE(loam::are_of(batch, records));
  });
}

TEST_CASE("no bit of a signed batch may change") {
  Gen gen(11);
  const SigningKey author(4);
  const auto batch = random_batch(gen, author, random_hashes(gen, 3));
  loam::SignedBatch sealed{loam::encode(batch), author.sign(loam::batch_domain, loam::encode(batch))};
  for (std::size_t bit = 0; bit < 8 * sealed.octets.size(); ++bit) {
    sealed.octets[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    CHECK_FALSE(loam::is_signed_by(author.key(), sealed));
    sealed.octets[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
  }
  CHECK(loam::is_signed_by(author.key(), sealed));
}

TEST_CASE("the octets of a batch decode to that batch alone") {
  test::forall("altered batch", 2'000, [](Gen& gen) {
    const auto batch = random_batch(gen, SigningKey(gen.below(50)), random_hashes(gen, 1 + gen.index(8)));
    Bytes octets = loam::encode(batch);
    switch (gen.below(3)) {
      case 0: octets[gen.index(octets.size())] ^= static_cast<std::byte>(1 + gen.below(255)); break;
      case 1: octets.resize(gen.index(octets.size())); break;
      default: octets.push_back(static_cast<std::byte>(gen.below(256)));
    }
    Batch other;
    const auto error = error_of([&] { other = loam::decode_batch(octets); });
    if (error) return;
    REQUIRE(other != batch);
    REQUIRE(loam::encode(other) == octets);
  });
}

TEST_CASE("a batch that says what cannot be is refused") {
  Gen gen(3);
  const auto batch = random_batch(gen, SigningKey(1), random_hashes(gen, 2));
  const auto id = [&] { return Value(loam::copy_of(random_id<loam::ActorId>(gen).view())); };
  using loam::Array;
  const struct {
    const char* what;
    std::size_t part;
    Value value;
    ErrorCode code;
  } cases[] = {
      {"another version", 0, 2, ErrorCode::invalid},
      {"a federation of another size", 1, Value(Bytes(15)), ErrorCode::invalid},
      {"a segment that is no text", 2, 1, ErrorCode::invalid},
      {"the actor of another author", 3, id(), ErrorCode::invalid},
      {"a nonce of another size", 4, Value(Bytes(9)), ErrorCode::invalid},
      {"another nonce", 4, Value(Bytes(8, std::byte{1})), ErrorCode::invalid},
      {"another actor", 5, id(), ErrorCode::invalid},
      {"counter 0", 6, 0, ErrorCode::invalid},
      {"a counter beyond the greatest", 6, Value(loam::counter_max + 1), ErrorCode::invalid},
      {"a last counter beyond the greatest", 6, Value(loam::counter_max), ErrorCode::invalid},
      {"a negative counter", 6, -1, ErrorCode::invalid},
      {"no records", 7, 0, ErrorCode::invalid},
      {"one record too many", 7, 257, ErrorCode::limit},
      {"2^63 records", 7, Value(std::uint64_t{1} << 63), ErrorCode::limit},
      {"a frontier that is no list", 8, 0, ErrorCode::invalid},
      {"a frontier of one number", 8, Array{Array{1}}, ErrorCode::invalid},
      {"a frontier with counter 0", 8, Array{Array{id(), 0}}, ErrorCode::invalid},
      {"a frontier too wide", 8, Value(Array(65, Value(0))), ErrorCode::limit},
      {"a root of another size", 9, Value(Bytes(17)), ErrorCode::invalid},
      {"superseded of another form", 10, Array{Array{id(), 1}}, ErrorCode::invalid},
      {"superseded without counters", 10, Array{Array{id(), Value(Bytes())}}, ErrorCode::invalid},
  };
  for (const auto& each : cases) {
    CHECK_MESSAGE(decode_error(with_part(batch, each.part, each.value)) == each.code, each.what);
  }
  const Value one = id();
  CHECK(decode_error(with_part(batch, 8, Array{Array{one, 5}, Array{one, 5}})) == ErrorCode::invalid);
  CHECK(decode_error(with_part(batch, 8, Array{Array{one, 6}, Array{one, 5}})) == ErrorCode::invalid);
  const Value counter(Bytes{std::byte{4}, std::byte{0}});
  CHECK(decode_error(with_part(batch, 10, Array{Array{one, counter}, Array{one, counter}})) == ErrorCode::invalid);
}

TEST_CASE("a batch may have 256 records, 64 dots of the registry and 1,024 superseded ranges, and not one more") {
  Gen gen(2);
  const SigningKey author(1);
  auto batch = random_batch(gen, author, random_hashes(gen, 256));
  batch.first = 1;
  batch.frontier.clear();
  for (std::uint64_t i = 1; i <= 64; ++i) batch.frontier.push_back({batch.actor, i});
  batch.superseded = {};
  for (std::uint64_t i = 0; i < 1'024; ++i) batch.superseded.insert({batch.actor, 1 + 2 * i});
  CHECK(loam::decode_batch(loam::encode(batch)) == batch);
  const auto refuses = [&](auto&& change) {
    Batch larger = batch;
    change(larger);
    return decode_error(loam::encode(larger)) == ErrorCode::limit;
  };
  CHECK(refuses([](Batch& larger) { larger.count = 257; }));
  CHECK(refuses([](Batch& larger) { larger.frontier.push_back({larger.actor, 65}); }));
  CHECK(refuses([](Batch& larger) { larger.superseded.insert({larger.actor, 5'000}); }));
}
