#include <doctest/doctest.h>

#include "lib/identity.hpp"
#include "lib/quarantine.hpp"
#include "lib/shared_store.hpp"
#include "tests/lib/damaged.hpp"
#include "tests/lib/opened.hpp"
#include "tests/lib/store_walk.hpp"

namespace loam {
namespace {

using test::damage_text;
using test::Instances;
using test::listen;
using test::sync;
using test::texts;

std::string walk(const Instances& instances, const std::string& name) {
  const auto dir = instances.path(name);
  return test::walk(SharedStore(dir / "shared", SegmentTable(), {}, load_instance_key(dir).id, {}));
}

QuarantineCounts counts(const Instances& instances, const std::string& name) {
  const auto dir = instances.path(name);
  return SharedStore(dir / "shared", SegmentTable(), {}, load_instance_key(dir).id, {})
      .read(quarantine_counts);
}

// Two instances in step, each with a record and an entry of its own; alpha closed.
struct Pair {
  explicit Pair(bool without_journal) {
    beta.remember({.text = "from beta, in beta's words"});
    beta.put("governance_meta", "beta", "the value of beta");
    Memory alpha = instances.open("alpha");
    alpha.remember({.text = "from alpha, in alpha's words"});
    alpha.put("governance_meta", "alpha", "the value of alpha");
    REQUIRE(sync(alpha, endpoint).converged);
    if (without_journal) {
      beta.drop_journal();
      REQUIRE(sync(alpha, endpoint).converged);
    }
    before = beta.digest();
    REQUIRE(alpha.digest() == before);
  }

  void damage(const std::string& text) const {
    damage_text(instances.path("alpha") / "shared", text);
  }

  Instances instances;
  Memory beta = instances.open("beta");
  std::string endpoint = listen(beta);
  std::map<std::string, std::string> before;
};

TEST_CASE(
    "what was damaged is fetched from a peer again, whoever wrote it, with and without a "
    "journal") {
  const std::vector<std::string> everything{"from beta, in beta's words", "the value of beta",
                                            "from alpha, in alpha's words", "the value of alpha"};
  for (const bool without_journal : {false, true}) {
    Pair pair(without_journal);
    for (const std::string& text : everything) pair.damage(text);
    Memory alpha = pair.instances.open("alpha");
    const RecordPage page = alpha.list({"lessons_learned", 10, {}});
    CHECK(page.items.empty());
    CHECK(page.damaged == 2);
    CHECK(alpha.keys("governance_meta").items.empty());
    CHECK(test::eventually([&] { return counts(pair.instances, "alpha").open == 4; }));
    CHECK(sync(alpha, pair.endpoint).converged);
    CHECK(alpha.digest() == pair.before);
    CHECK(pair.beta.digest() == pair.before);
    CHECK(texts(alpha) == std::vector<std::string>{everything[2], everything[0]});
    CHECK(alpha.value("governance_meta", "alpha")->value == Value("the value of alpha"));
    CHECK(counts(pair.instances, "alpha").open == 0);
    CHECK(counts(pair.instances, "alpha").repaired == 4);
    CHECK(alpha.recall({}).coverage.damaged == 0);
    CHECK(walk(pair.instances, "alpha") == "");
    // And it goes on writing.
    alpha.remember({.text = "afterwards"});
    CHECK(sync(alpha, pair.endpoint).converged);
    CHECK(texts(pair.beta).size() == 3);
  }
}

TEST_CASE("damage that a session meets first costs no other record, and no session more than one") {
  Pair pair(false);
  pair.damage("from alpha, in alpha's words");
  Memory alpha = pair.instances.open("alpha");
  Memory gamma = pair.instances.open("gamma");
  const std::string at_alpha = listen(alpha);
  (void)sync(gamma, at_alpha);  // alpha cannot send what it cannot read
  for (int rounds = 0; rounds < 3; ++rounds) {
    (void)sync(alpha, pair.endpoint);
    (void)sync(gamma, at_alpha);
  }
  CHECK(gamma.digest().at("lessons_learned") == pair.before.at("lessons_learned"));
  CHECK(alpha.digest().at("lessons_learned") == pair.before.at("lessons_learned"));
  CHECK(texts(gamma).size() == 2);
  CHECK(walk(pair.instances, "alpha") == "");
}

TEST_CASE("a removal that comes while a record is forgotten is a removal") {
  Pair pair(false);
  pair.damage("from beta, in beta's words");
  {
    Memory alpha = pair.instances.open("alpha");
    CHECK(alpha.list({}).damaged == 1);
    CHECK(test::eventually([&] { return counts(pair.instances, "alpha").open == 1; }));
  }
  pair.beta.forget(pair.beta.list({"lessons_learned", 1, {}}).items.at(0).id);
  pair.beta.forget(pair.beta.list({"lessons_learned", 1, {}}).items.at(0).id);
  Memory alpha = pair.instances.open("alpha");
  CHECK(sync(alpha, pair.endpoint).converged);
  CHECK(texts(alpha).empty());
  CHECK(counts(pair.instances, "alpha").open == 0);
}

}  // namespace
}  // namespace loam
