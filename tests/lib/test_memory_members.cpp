// Members of a federation over real links: what a revocation makes void, and what may not be read.
#include <doctest/doctest.h>

#include "lib/identity.hpp"
#include "lib/shared_store.hpp"
#include "tests/lib/opened.hpp"
#include "tests/lib/site.hpp"

namespace loam {
namespace {

using test::code_of;
using test::Instances;
using test::listen;
using test::sync;
using test::texts;

TEST_CASE("what a revoked instance wrote beyond what the revoker had seen is void wherever it has got to") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  Memory gamma = instances.open("gamma");
  const std::string seen = beta.remember({.text = "seen by alpha"}).id;
  REQUIRE(sync(gamma, listen(alpha)).converged);
  REQUIRE(sync(alpha, listen(beta)).converged);
  const std::string unseen = beta.remember({.text = "unseen by alpha"}).id;
  beta.remember({.text = "said by both"});
  alpha.remember({.text = "said by both"});
  const std::string of_gamma = listen(gamma);
  REQUIRE(sync(beta, of_gamma).converged);
  REQUIRE(gamma.get(unseen));
  alpha.revoke("beta");
  CHECK(sync(alpha, of_gamma).converged);
  for (const Memory* memory : {&alpha, &gamma}) {
    CAPTURE(memory->name());
    CHECK(texts(*memory) == std::vector<std::string>{"said by both", "seen by alpha"});
    CHECK(memory->get(seen));
    CHECK_FALSE(memory->get(unseen));
    CHECK_FALSE(memory->get(unseen.substr(0, 10)));
    CHECK(memory->recall({.text = "unseen"}).items.empty());
    const auto both = memory->recall({.text = "both"}).items;
    REQUIRE(both.size() == 1);
    CHECK(both[0].record.authors == std::vector<std::string>{"alpha"});
    std::size_t lines = 0;
    memory->export_records({.segments = {"lessons_learned"}}, [&](std::string_view line) {
      ++lines;
      CHECK(line.find("unseen") == std::string_view::npos);
    });
    CHECK(lines == 2);
  }
  CHECK(alpha.digest() == gamma.digest());
  const PeerReport refused = sync(beta, of_gamma).peers.at(0);
  CHECK(refused.code == ErrorCode::untrusted);
  CHECK(refused.segments.empty());
}

// Each session of an instance writes under an actor of its own, and whoever is to be revoked decides how many there are.
TEST_CASE("an instance that has written under very many actors can be revoked, and what was seen of it stays") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  constexpr std::size_t actors = entry_fence_ranges_max + 100;
  const auto write = [&](std::size_t from, std::size_t count) {
    Memory(instances.open("beta")).remember({.text = "an instance"});
    const InstanceKey key = load_instance_key(instances.path("beta"));
    const SegmentTable segments;
    SharedStore store(instances.path("beta") / "shared", segments, {}, key.id, std::nullopt, key.signing);
    store.env().write([&](lmdb::WriteTxn& txn) {
      SharedBatch batch(store, txn, 1'700'000'000'000);
      for (std::size_t i = from; i < from + count; ++i) {
        store.renew_actor();
        batch.add(store.number("lessons_learned"), test::content_of("lesson " + std::to_string(i)), test::meta_of(""));
      }
      batch.finish();
    });
  };
  write(0, actors);
  const std::string endpoint = listen(alpha);
  {
    Memory beta = instances.open("beta");
    REQUIRE(sync(beta, endpoint).converged);
  }
  const std::size_t seen = texts(alpha).size();
  REQUIRE(seen == actors + 1);
  alpha.revoke("beta");
  CHECK(alpha.members().at(1).status == "revoked");
  CHECK(texts(alpha).size() == seen);
  CHECK(alpha.verify({.deep = true}).is_sound());
  // A third learns of all of it.
  Memory gamma = instances.open("gamma");
  REQUIRE(sync(gamma, endpoint).converged);
  CHECK(texts(gamma) == texts(alpha));
  CHECK(gamma.digest() == alpha.digest());
}

TEST_CASE("a segment that a member may not read is not there for it, and what it may not write is denied") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  alpha.grant("beta", {.permissions = {{"org_patterns", ""}, {"lessons_learned", "r"}}, .role = "member"});
  alpha.remember({.segment = "org_patterns", .text = "not for beta"});
  alpha.remember({.text = "for beta"});
  const std::string endpoint = listen(alpha);
  REQUIRE(sync(beta, endpoint).converged);
  CHECK(sync(beta, endpoint).converged);
  CHECK(beta.status().segments.at("org_patterns").records == 0);
  CHECK(beta.digest("org_patterns") != alpha.digest("org_patterns"));
  CHECK(texts(beta) == std::vector<std::string>{"for beta"});
  CHECK(code_of([&] { beta.remember({.text = "x"}); }) == ErrorCode::denied);
  CHECK(code_of([&] { beta.remember({.segment = "org_patterns", .text = "x"}); }) == ErrorCode::denied);
  CHECK(code_of([&] { beta.forget(beta.list({}).items.at(0).id); }) == ErrorCode::denied);
  CHECK(code_of([&] { beta.admit({.name = "x", .public_key = beta.identity().public_key}); }) == ErrorCode::denied);
  CHECK(code_of([&] { beta.grant("beta", {.role = "governor"}); }) == ErrorCode::denied);
  CHECK(code_of([&] { beta.put("instance_registry", "x", 1); }) == ErrorCode::denied);
}

}  // namespace
}  // namespace loam
