#include "crdt/admission.hpp"

#include "crdt/codec.hpp"
#include "tests/crdt/signing.hpp"
#include "tests/support/forall.hpp"

using loam::Admission;
using loam::AdmissionPlace;
using loam::Batch;
using loam::ContentHash;
using loam::Dot;
using loam::ErrorCode;
using loam::InstanceEntry;
using loam::InstanceRole;
using loam::Permissions;
using loam::Registry;
using loam::RegistryAssignment;
using loam::SignedBatch;
using loam::Verdict;
using test::Gen;
using test::SigningKey;

namespace {

// The founder, a member that may write lessons and rules' tightening, and one that may only read.
struct AdmissionWorld {
  SigningKey founder{1};
  SigningKey writer{2};
  SigningKey reader{3};
  SigningKey stranger{4};
  loam::FederationRoot root{founder.key(), {}};
  std::vector<RegistryAssignment> log;
  AdmissionPlace place{loam::federation_of(root), "lessons_learned", false};

  AdmissionWorld() {
    admit(writer, {{"approval_rules", {Permissions::tighten}}, {"lessons_learned", {Permissions::write}}});
    admit(reader, {{"lessons_learned", {Permissions::read}}});
  }

  void admit(const SigningKey& key, std::map<std::string, Permissions> permissions) {
    InstanceEntry entry{"name", key.key(), {}, InstanceRole::member, std::move(permissions), false, {}, {}};
    log.push_back({{loam::ActorId{}, log.size() + 1}, founder.instance(), {log.size() + 1}, frontier(), {},
                   key.instance(), entry});
  }

  std::vector<Dot> frontier() const {
    if (log.empty()) return {};
    return {log.back().dot};
  }

  Registry registry() const { return Registry(root, log); }
};

// A batch of records with some that are gone, and what was signed.
struct Parcel {
  Batch batch;
  SignedBatch sealed;
  loam::TreePart records;

  Parcel(const AdmissionWorld& world, const SigningKey& author, Gen& gen, bool with_gone = true) {
    std::vector<ContentHash> hashes(1 + gen.index(40));
    for (ContentHash& hash : hashes) {
      for (std::byte& octet : hash.bytes) octet = static_cast<std::byte>(gen.below(256));
    }
    batch.federation = world.place.federation;
    batch.segment = world.place.segment;
    batch.claim.author = author.instance();
    batch.actor = loam::actor_of(batch.claim, 1'000);
    batch.first = 1;
    batch.count = static_cast<std::uint32_t>(hashes.size());
    batch.frontier = world.frontier();
    batch.root = loam::tree_root(hashes);
    std::vector<bool> is_live(hashes.size(), true);
    for (std::size_t i = 0; i < hashes.size(); ++i) is_live[i] = !with_gone || gen.coin();
    for (std::uint32_t i = 0; i < hashes.size(); ++i) {
      if (is_live[i]) records.there.push_back({i, hashes[i]});
    }
    records.rest = loam::tree_rest(hashes, is_live);
    seal(author);
  }

  void seal(const SigningKey& by) {
    sealed.octets = loam::encode(batch);
    sealed.signature = by.sign(loam::batch_domain, sealed.octets);
  }
};

Admission verdict_of(const AdmissionWorld& world, const Parcel& parcel) {
  return loam::admit(world.registry(), world.place, parcel.sealed, parcel.records);
}

bool is_refused(const AdmissionWorld& world, const Parcel& parcel, ErrorCode code) {
  const Admission admission = verdict_of(world, parcel);
  return admission.verdict == Verdict::refused && admission.code == code && !admission.reason.empty();
}

}  // namespace

TEST_CASE("what an author who may write has signed is admitted") {
  test::forall("admitted", 100, [](Gen& gen) {
    const AdmissionWorld world;
    REQUIRE(verdict_of(world, Parcel(world, world.writer, gen)));
  });
}

TEST_CASE("who may only read, and who had not yet been let in, is refused") {
  AdmissionWorld world;
  Gen gen(1);
  CHECK(is_refused(world, Parcel(world, world.reader, gen), ErrorCode::denied));
  Parcel early(world, world.writer, gen);
  early.batch.frontier.clear();
  early.seal(world.writer);
  CHECK(is_refused(world, early, ErrorCode::denied));
}

TEST_CASE("a right that was taken away does not make void what was written without knowing") {
  AdmissionWorld world;
  Gen gen(2);
  const Parcel before(world, world.writer, gen);
  InstanceEntry less = world.log[0].entry;
  less.permissions.clear();
  RegistryAssignment taken = world.log[0];
  taken.dot.counter = 3;
  taken.stamp = {3};
  taken.frontier = world.frontier();
  taken.superseded.insert(world.log[0].dot);
  taken.entry = less;
  world.log.push_back(taken);
  CHECK(verdict_of(world, before));
  CHECK(is_refused(world, Parcel(world, world.writer, gen), ErrorCode::denied));  // has seen it
}

TEST_CASE("a batch of whom nobody has named, or that rests on what is not here, waits") {
  AdmissionWorld world;
  Gen gen(3);
  CHECK(verdict_of(world, Parcel(world, world.stranger, gen)).verdict == Verdict::parked);
  Parcel ahead(world, world.writer, gen);
  ahead.batch.frontier.push_back({ahead.batch.actor, 7});
  ahead.seal(world.writer);
  CHECK(verdict_of(world, ahead).verdict == Verdict::parked);
  // And is admitted when they have come.
  const Parcel early(world, world.stranger, gen);
  AdmissionWorld later = world;
  later.admit(later.stranger, {{"lessons_learned", {Permissions::write}}});
  CHECK(is_refused(later, early, ErrorCode::denied));  // it had not seen that it may
  CHECK(verdict_of(later, Parcel(later, later.stranger, gen)));
}

TEST_CASE("what was altered, moved or signed by another is refused") {
  const AdmissionWorld world;
  Gen gen(4);
  const auto altered = [&](const char* what, ErrorCode code, auto&& change) {
    Parcel parcel(world, world.writer, gen);
    change(parcel);
    CHECK_MESSAGE(is_refused(world, parcel, code), what);
  };
  altered("another federation", ErrorCode::untrusted, [&](Parcel& p) {
    p.batch.federation = {};
    p.seal(world.writer);
  });
  altered("another segment", ErrorCode::untrusted, [&](Parcel& p) {
    p.batch.segment = "org_patterns";
    p.seal(world.writer);
  });
  altered("signed by another member", ErrorCode::untrusted, [&](Parcel& p) { p.seal(world.reader); });
  altered("signed by the founder", ErrorCode::untrusted, [&](Parcel& p) { p.seal(world.founder); });
  altered("signed for another purpose", ErrorCode::untrusted,
          [&](Parcel& p) { p.sealed.signature = world.writer.sign("loam auth 1", p.sealed.octets); });
  altered("changed after it was signed", ErrorCode::untrusted, [&](Parcel& p) {
    p.batch.first = 2;
    p.sealed.octets = loam::encode(p.batch);
  });
  altered("with another record", ErrorCode::untrusted, [&](Parcel& p) {
    if (p.records.there.empty()) p.records.rest.front().bytes[0] ^= std::byte{1};
    if (!p.records.there.empty()) p.records.there.front().hash.bytes[0] ^= std::byte{1};
  });
  altered("with a hash too many", ErrorCode::untrusted, [&](Parcel& p) { p.records.rest.push_back({}); });
  altered("cut short", ErrorCode::invalid, [&](Parcel& p) { p.sealed.octets.pop_back(); });
  altered("empty", ErrorCode::invalid, [&](Parcel& p) { p.sealed.octets.clear(); });
  altered("that supersedes in a set", ErrorCode::invalid, [&](Parcel& p) {
    p.batch.superseded.insert({p.batch.actor, 1});
    p.seal(world.writer);
  });
}

TEST_CASE("no bit of what is brought may change") {
  const AdmissionWorld world;
  Gen gen(5);
  Parcel parcel(world, world.writer, gen);
  const Registry registry = world.registry();
  const auto is_admitted = [&] {
    return static_cast<bool>(loam::admit(registry, world.place, parcel.sealed, parcel.records));
  };
  REQUIRE(is_admitted());
  // Each is verified: where everything is slow some are left out, of every octet others.
  const std::size_t step = ::test::scaled(100) < 100 ? 11 : 1;
  const auto try_all = [&](std::span<std::byte> octets) {
    for (std::size_t bit = 0; bit < 8 * octets.size(); bit += step) {
      octets[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      CHECK_FALSE(is_admitted());
      octets[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    }
  };
  try_all(parcel.sealed.octets);
  try_all(parcel.sealed.signature.bytes);
  for (auto& leaf : parcel.records.there) try_all(leaf.hash.bytes);
  for (auto& hash : parcel.records.rest) try_all(hash.bytes);
  CHECK(is_admitted());
}

TEST_CASE("of a governed segment nothing may be missing, and who may tighten may write") {
  AdmissionWorld world;
  world.place = {world.place.federation, "approval_rules", true};
  Gen gen(6);
  Parcel whole(world, world.writer, gen, false);
  CHECK(verdict_of(world, whole));
  CHECK(is_refused(world, Parcel(world, world.reader, gen, false), ErrorCode::denied));
  loam::TreePart& records = whole.records;
  std::vector<std::uint32_t> gone{records.there.front().place};
  records.rest = loam::tree_rest(whole.batch.count, records.there, records.rest, gone).value();
  records.there.erase(records.there.begin());
  CHECK(is_refused(world, whole, ErrorCode::invalid));
}

TEST_CASE("in the registry only governors write") {
  AdmissionWorld world;
  world.place = {world.place.federation, std::string(loam::registry_name), true};
  Gen gen(7);
  CHECK(verdict_of(world, Parcel(world, world.founder, gen, false)));
  CHECK(is_refused(world, Parcel(world, world.writer, gen, false), ErrorCode::denied));
}

TEST_CASE("what a fence makes void is admitted all the same, and void") {
  AdmissionWorld world;
  Gen gen(8);
  const Parcel parcel(world, world.writer, gen);
  RegistryAssignment revocation = world.log[0];
  revocation.dot.counter = 9;
  revocation.frontier = world.frontier();
  revocation.entry.status = loam::InstanceStatus::revoked;
  world.log.push_back(revocation);
  CHECK(verdict_of(world, parcel));
  CHECK(world.registry().is_fenced(world.writer.instance(), "lessons_learned", {parcel.batch.actor, 1}));
}
