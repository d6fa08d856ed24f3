// Strong reads and writes of real instances over real links.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "tests/lib/opened.hpp"

namespace loam {
namespace {

using namespace std::chrono_literals;
using test::code_of;
using test::configure;
using test::Instances;
using test::listen;
using test::patience;

const CallOptions strongly{Consistency::strong, patience};
const CallOptions briefly{Consistency::strong, 200ms};

/// alpha, which founds, and others that keep a link to it.
struct Voters {
  Instances instances;
  std::map<std::string, std::unique_ptr<Memory>> all;
  std::string endpoint;

  explicit Voters(const std::vector<std::string>& names) {
    all["alpha"] = std::make_unique<Memory>(instances.open("alpha"));
    endpoint = listen(alpha());
    for (const std::string& name : names) add(name);
  }

  void add(const std::string& name) {
    all[name] = std::make_unique<Memory>(instances.open(name));
    all[name]->connect(endpoint);
    meet(name);
  }

  // It has to be met before it can vote.
  void meet(const std::string& name) {
    REQUIRE(test::eventually([&] {
      const Status status = alpha().status();
      return std::any_of(status.peers.begin(), status.peers.end(),
                         [&](const PeerStatus& peer) { return peer.name == name && peer.linked; });
    }));
  }

  Memory& alpha() { return *all.at("alpha"); }
  Memory& operator[](const std::string& name) { return *all.at(name); }

  StrongReport settle() { return alpha().sync_shared_segments({.endpoints = {}, .timeout = patience, .strong = true}).strong.value(); }

  void make_voter(const std::string& name) {
    alpha().grant(name, {.voter = true});
    CHECK_FALSE(alpha().voters().sealed);
    const StrongReport report = settle();
    REQUIRE_MESSAGE(report.done, report.error);
    REQUIRE(report.sealed);
    CHECK(alpha().voters().sealed);
  }
};

TEST_CASE("who has founded a federation is its first voter, and needs nobody") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  CHECK(alpha.voters().voters == std::vector<std::string>{"alpha"});
  CHECK(alpha.voters().epoch == 0);
  CHECK(alpha.voters().sealed);
  alpha.put("governance_meta", "roles", Map{{"sre", Array{"alice"}}}, strongly);
  CHECK(alpha.value("governance_meta", "roles", strongly)->author == "alpha");
  CHECK(alpha.read_strongly({"lessons_learned"}, [&] { return alpha.list({}).items.size(); }) == 0);
  CHECK(code_of([&] { alpha.put("session_context", "goal", "ship", strongly); }) == ErrorCode::invalid);
  CHECK(code_of([&] { (void)alpha.read_strongly({"task_traces"}, [] { return 1; }); }) == ErrorCode::invalid);
  CHECK(code_of([&] { (void)alpha.read_strongly({"nothing"}, [] { return 1; }); }) == ErrorCode::unknown_segment);
  CHECK_THROWS_AS((void)alpha.read_strongly({"lessons_learned"}, []() -> int { throw std::out_of_range("mine"); }),
                  std::out_of_range);
  CHECK(code_of([&] { alpha.grant("alpha", {.voter = false}); }) == ErrorCode::invalid);  // the last one
  // Somebody else cannot do without it.
  Memory beta = instances.open("beta");
  CHECK(code_of([&] { (void)beta.value("governance_meta", "roles", briefly); }) == ErrorCode::unavailable);
  CHECK(code_of([&] { beta.put("governance_meta", "roles", Map{}, briefly); }) == ErrorCode::unavailable);
  CHECK_FALSE(beta.value("governance_meta", "roles"));
  CHECK(code_of([&] { alpha.grant("beta", {.voter = true}); }) == ErrorCode::unavailable);  // was never met
}

TEST_CASE("what one instance has written strongly every other one reads strongly at once") {
  Voters voters({"beta", "gamma"});
  voters.make_voter("beta");
  voters.make_voter("gamma");
  CHECK(voters.alpha().voters().epoch == 2);
  CHECK(voters.alpha().voters().voters == std::vector<std::string>{"alpha", "beta", "gamma"});
  for (std::int64_t i = 0; i < 20; ++i) {
    const std::string writer = i % 2 == 0 ? "beta" : "gamma";
    Rule rule;
    rule.effect = i % 3 == 0 ? Effect::deny : Effect::notify;
    rule.actions = std::vector{Glob::parse("deploy").value()};
    voters[writer].set_rule("deploy", rule, strongly);
    for (const char* reader : {"alpha", "beta", "gamma"}) {
      CAPTURE(reader);
      CHECK(voters[reader].rules(strongly).check({.action = "deploy"}).effect == rule.effect);
    }
  }
  voters["beta"].remove_rule("deploy", strongly);
  CHECK(voters["gamma"].rules(strongly).set().find("deploy")->heads.size() == 1);
  // Sets of records too.
  const Receipt lesson = voters["beta"].remember({.text = "ask before"}, strongly);
  const auto count = [&](const char* reader) {
    return voters[reader].read_strongly({"lessons_learned"}, [&] { return voters[reader].list({}).items.size(); });
  };
  CHECK(count("gamma") == 1);
  const Receipt revised = voters["gamma"].revise(lesson.id, "ask twice", strongly);
  CHECK(voters["alpha"].read_strongly({"lessons_learned"}, [&] { return voters["alpha"].get(revised.id).has_value(); }));
  CHECK(count("beta") == 1);  // a majority may have been without it
  voters["beta"].forget(revised.id, strongly);
  CHECK(count("alpha") == 0);
}

TEST_CASE("one voter of three may be away, and two may not: nothing is answered from one's own replica then") {
  Voters voters({"beta", "gamma"});
  voters.make_voter("beta");
  voters.make_voter("gamma");
  voters.alpha().put("governance_meta", "roles", Map{{"sre", Array{"one"}}}, strongly);
  voters["gamma"].stop();
  voters["beta"].put("governance_meta", "roles", Map{{"sre", Array{"two"}}}, strongly);
  CHECK(voters.alpha().value("governance_meta", "roles", strongly)->author == "beta");
  voters["beta"].stop();
  CHECK(code_of([&] { (void)voters.alpha().value("governance_meta", "roles", briefly); }) == ErrorCode::unavailable);
  CHECK(code_of([&] { (void)voters.alpha().rules(briefly); }) == ErrorCode::unavailable);
  bool is_unknown = false;
  try {
    voters.alpha().put("governance_meta", "roles", Map{{"sre", Array{"three"}}}, briefly);
  } catch (const UnknownOutcome&) {
    is_unknown = true;
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unavailable);
    CHECK(std::string(error.what()).find("nothing was written") != std::string::npos);
  }
  CHECK_FALSE(is_unknown);
  CHECK(voters.alpha().value("governance_meta", "roles")->author == "beta");
  const StrongReport report = voters.alpha().sync_shared_segments({.timeout = 200ms, .strong = true}).strong.value();
  CHECK_FALSE(report.done);
  CHECK(report.votes.at("alpha") == "yes");
  CHECK(report.votes.at("beta") == "not reached");
  CHECK(report.error.find("gamma not reached") != std::string::npos);
  voters["gamma"].connect(voters.endpoint);
  CHECK(voters.alpha().value("governance_meta", "roles", strongly)->author == "beta");
}

TEST_CASE("a write that a voter does not take has an unknown outcome, and says so") {
  Voters voters({"beta"});
  voters.make_voter("beta");
  voters.alpha().grant("beta", {.permissions = {{"org_patterns", ""}}});
  // The link begins anew by these rights.
  const CallOptions some_time{Consistency::strong, 3s};
  CHECK_THROWS_AS(voters.alpha().remember({.segment = "org_patterns", .text = "a pattern"}, some_time), UnknownOutcome);
  CHECK(voters.alpha().list({.segment = "org_patterns"}).items.size() == 1);
  voters.alpha().remember({.text = "a lesson"}, strongly);
}

TEST_CASE("a voter that has lost its store has no vote until it is granted one again") {
  Voters voters({"beta", "gamma"});
  voters.make_voter("beta");
  voters.make_voter("gamma");
  voters.all.erase("gamma");
  std::filesystem::remove_all(voters.instances.path("gamma") / "shared");
  voters.instances.clock.ms->fetch_add(1'000);  // the store that was met last is the one that counts
  voters.add("gamma");
  CHECK(test::eventually([&] { return voters.alpha().voters().lost == std::vector<std::string>{"gamma"}; }));
  voters["beta"].stop();
  // It answers, and its word does not count.
  CHECK(code_of([&] { voters.alpha().remember({.text = "lost"}, briefly); }) == ErrorCode::unavailable);
  voters["beta"].connect(voters.endpoint);
  voters.meet("beta");
  voters.make_voter("gamma");
  CHECK(voters.alpha().voters().lost.empty());
  CHECK(voters.alpha().voters().epoch == 3);
  voters["beta"].stop();
  voters.alpha().remember({.text = "kept"}, strongly);
}

TEST_CASE("voters change one at a time, or by force") {
  Voters voters({"beta", "gamma"});
  voters.alpha().grant("beta", {.voter = true});
  CHECK(code_of([&] { voters.alpha().grant("gamma", {.voter = true}); }) == ErrorCode::unavailable);
  voters.alpha().grant("beta", {.voter = true});  // it is one already
  REQUIRE(voters.settle().sealed);
  CHECK_FALSE(voters.settle().sealed);  // there is nothing to end
  voters.make_voter("gamma");
  // Both others are gone for good.
  voters.all.erase("beta");
  voters.all.erase("gamma");
  voters.alpha().grant("beta", {.voter = false});
  CHECK(code_of([&] { voters.alpha().remember({.text = "x"}, briefly); }) == ErrorCode::unavailable);
  voters.alpha().grant("gamma", {.voter = false, .force = true});
  CHECK(voters.alpha().voters().sealed);
  CHECK(voters.alpha().voters().voters == std::vector<std::string>{"alpha"});
  voters.alpha().remember({.text = "x"}, strongly);
}

TEST_CASE("a segment may be strong unless a call says otherwise") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  configure(instances.path("beta"), "strong_segments = [\"approval_rules\"]\n");
  Memory beta = instances.open("beta");
  CHECK(beta.segments().find("approval_rules").consistency == Consistency::strong);
  CHECK(alpha.segments().find("approval_rules").consistency == Consistency::eventual);
  Rule rule;
  rule.effect = Effect::deny;
  CHECK(code_of([&] { beta.set_rule("stop", rule, {.timeout = 200ms}); }) == ErrorCode::unavailable);
  CHECK(code_of([&] { (void)beta.rules(CallOptions{.timeout = 200ms}); }) == ErrorCode::unavailable);
  CHECK_FALSE(beta.value("approval_rules", "stop", {Consistency::eventual}));
  beta.connect(listen(alpha));
  beta.set_rule("stop", rule);
  CHECK(alpha.rules(strongly).check({.action = "deploy"}).effect == Effect::deny);
  for (const char* bad : {"strong_segments = [\"task_traces\"]", "strong_segments = [\"nothing\"]", "strong_segments = 1"}) {
    CAPTURE(bad);
    configure(instances.path("gamma"), bad);
    CHECK(code_of([&] { (void)instances.open("gamma"); }) == ErrorCode::invalid);
    std::filesystem::remove_all(instances.path("gamma"));
  }
}

TEST_CASE("many strong calls at once, from several threads, while others write") {
  Voters voters({"beta", "gamma"});
  voters.make_voter("beta");
  voters.make_voter("gamma");
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (const char* name : {"alpha", "beta", "gamma"}) {
    threads.emplace_back([&, name] {
      for (int i = 0; i < 15; ++i) {
        try {
          const std::string key = std::string(name) + std::to_string(i);
          voters[name].remember({.segment = "common_failures", .text = key, .payload = {{"error_signature", key}}}, strongly);
          const auto found = voters[name].read_strongly(
              {"common_failures"}, [&] { return voters[name].list({.segment = "common_failures", .limit = 1'000}).items; },
              strongly);
          const bool has_own = std::any_of(found.begin(), found.end(), [&](const Record& record) { return record.text == key; });
          if (!has_own) ++failed;
        } catch (const Error&) {
          ++failed;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failed == 0);
}

TEST_CASE("a strong sync is asynchronous too, and ends with the memory") {
  Voters voters({"beta"});
  voters.alpha().grant("beta", {.voter = true});
  auto future = voters.alpha().sync_shared_segments_async({.timeout = patience, .strong = true});
  CHECK(future.get().strong->sealed);
}

}  // namespace
}  // namespace loam
