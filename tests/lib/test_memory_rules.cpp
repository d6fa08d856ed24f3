// Approval rules in real stores: who may change what, what several instances make of it, and when it is seen.
#include <doctest/doctest.h>

#include "crdt/codec.hpp"
#include "lib/identity.hpp"
#include "lib/rule_cache.hpp"
#include "lib/rule_rows.hpp"
#include "lib/shared_store.hpp"
#include "lib/signing_key.hpp"
#include "tests/lib/damaged.hpp"
#include "tests/lib/opened.hpp"

namespace loam {
namespace {

using namespace std::chrono_literals;
using test::code_of;
using test::Instances;
using test::listen;
using test::sync;

Rule rule(Effect effect, const std::string& action, std::uint32_t approvals = 1) {
  Rule made;
  made.effect = effect;
  made.actions = std::vector{Glob::parse(action).value()};
  made.requirement.min_approvals = approvals;
  return made;
}

Effect effect(const Memory& memory, const std::string& action = "deploy") {
  return memory.rules().check({.action = action}).effect;
}

void exchange(Memory& one, Memory& other) {
  REQUIRE(sync(one, listen(other)).converged);
  other.stop();
}

/// A member with these letters for both governed segments.
Memory member(const Instances& instances, Memory& founder, const std::string& name, const std::string& letters) {
  Memory made = instances.open(name);
  founder.grant(name, {.permissions = {{"approval_rules", letters}, {"governance_meta", letters}}, .role = "member"});
  exchange(made, founder);
  return made;
}

TEST_CASE("a rule counts at once, here and in what else has this store open") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  const Memory other = instances.open("alpha");
  CHECK(effect(alpha) == Effect::require_approval);
  const Receipt receipt = alpha.set_rule("push", rule(Effect::allow, "deploy"));
  CHECK(receipt.id == "push");
  CHECK_FALSE(receipt.existing);
  CHECK(effect(alpha) == Effect::allow);
  CHECK(effect(other) == Effect::allow);
  CHECK(alpha.set_rule("push", rule(Effect::deny, "deploy")).existing);
  CHECK(effect(other) == Effect::deny);
  alpha.remove_rule("push");
  CHECK(effect(other) == Effect::require_approval);
  CHECK(code_of([&] { alpha.remove_rule("push"); }) == ErrorCode::not_found);
  CHECK(alpha.keys("approval_rules").items.empty());
}

TEST_CASE("a snapshot stays as it is, and outlives the memory that gave it") {
  const Instances instances;
  std::optional<Rules> kept;
  Decision decision;
  {
    Memory alpha = instances.open("alpha");
    alpha.set_rule("push", rule(Effect::deny, "deploy"));
    kept = alpha.rules();
    alpha.remove_rule("push");
    CHECK(kept->check({.action = "deploy"}).effect == Effect::deny);
    CHECK(kept->digest() != alpha.rules().digest());
    CHECK(alpha.reload_rules().digest() == alpha.rules().digest());
    decision = kept->check({.action = "deploy"});
    kept.reset();
  }
  REQUIRE(decision.matched.size() == 1);
  CHECK(decision.matched[0].rule == "push");
  CHECK(decision.rules_digest.size() == 32);
}

TEST_CASE("rules are values with a JSON form: packets and put write them, value and show read them") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  alpha.put("approval_rules", "a", Map{{"effect", "deny"}, {"actions", Array{"deploy"}}, {"owner", "team x"}});
  PacketEnvelope packet;
  packet.packet_type = "approval_rule";
  packet.payload = {{"key", "b"}, {"effect", "notify"}};
  alpha.write(packet);
  packet.payload = {{"key", "c"}, {"value", Map{{"effect", "permit"}}}};
  CHECK(code_of([&] { alpha.write(packet); }) == ErrorCode::invalid);
  CHECK(alpha.value("approval_rules", "a")->value ==
        Value(Map{{"effect", "deny"}, {"actions", Array{"deploy"}}, {"owner", "team x"}}));
  CHECK(alpha.value("approval_rules", "b")->value == Value(Map{{"effect", "notify"}}));
  CHECK(alpha.keys("approval_rules").items == std::vector<std::string>{"a", "b"});
  CHECK(code_of([&] { alpha.put("approval_rules", "a", "deny"); }) == ErrorCode::invalid);
  CHECK(code_of([&] { alpha.put("governance_meta", "risk_classes", Map{{"read", "none"}}); }) == ErrorCode::invalid);
  CHECK(code_of([&] { alpha.put("approval_rules", "a", Map{{"effect", "allow"}, {"actions", Array{}}}); }) ==
        ErrorCode::invalid);
  CHECK(effect(alpha) == Effect::deny);
  alpha.put("governance_meta", "risk_classes", Map{{"read", "low"}});
  CHECK(effect(alpha, "read") == Effect::notify);  // by rule b, which is of everything
  alpha.erase("approval_rules", "b");
  CHECK(effect(alpha, "read") == Effect::allow);
}

TEST_CASE("a rule of 256 KiB is taken, and a larger one refused") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Rule large = rule(Effect::deny, "deploy");
  large.reason = std::string(200'000, 'x');
  alpha.set_rule("large", large);
  CHECK(effect(alpha) == Effect::deny);
  large.reason = std::string(256 * 1'024 + 1, 'x');
  CHECK(code_of([&] { alpha.set_rule("larger", large); }) == ErrorCode::limit);
  CHECK(alpha.keys("approval_rules").items.size() == 1);
}

TEST_CASE("the incident: one tightens, another who has not heard of it relaxes, and everywhere both hold") {
  // In every order in which two others may hear of it.
  for (int order = 0; order < 6; ++order) {
    CAPTURE(order);
    const Instances instances;
    Memory alpha = instances.open("alpha");
    Memory beta = instances.open("beta");
    Memory gamma = instances.open("gamma");
    alpha.set_rule("deploy_prod", rule(Effect::require_approval, "deploy"));
    exchange(beta, alpha);
    exchange(gamma, alpha);
    alpha.set_rule("deploy_prod", rule(Effect::require_approval, "deploy", 2));
    instances.clock.ms->fetch_add(180'000);  // beta is three minutes fast
    beta.set_rule("deploy_prod", rule(Effect::notify, "deploy"));
    instances.clock.ms->fetch_sub(180'000);
    CHECK(effect(beta) == Effect::notify);
    const auto meet = [&](int pair) {
      if (pair == 0) exchange(gamma, alpha);
      if (pair == 1) exchange(gamma, beta);
      if (pair == 2) exchange(beta, alpha);
    };
    meet(order % 3);
    meet((order % 3 + 1 + order / 3) % 3);
    meet((order % 3 + 2 - order / 3) % 3);
    meet(order % 3);
    for (const Memory* memory : {&alpha, &beta, &gamma}) {
      CAPTURE(memory->name());
      const Rules rules = memory->rules();
      const Decision decision = rules.check({.action = "deploy"});
      CHECK(decision.effect == Effect::require_approval);
      CHECK(decision.requirement.min_approvals == 2);
      REQUIRE(decision.conflicts.size() == 1);
      CHECK(decision.conflicts[0] == "deploy_prod");
      CHECK(rules.conflicts() == std::vector<std::string>{"deploy_prod"});
      CHECK(rules.digest() == alpha.rules().digest());
      // What a register shows is the last writer's.
      CHECK(memory->value("approval_rules", "deploy_prod")->author == "beta");
      CHECK(memory->siblings("approval_rules", "deploy_prod").size() == 1);
    }
    // One assignment that has seen both resolves it.
    gamma.set_rule("deploy_prod", rule(Effect::notify, "deploy"));
    CHECK(effect(gamma) == Effect::notify);
    exchange(gamma, alpha);
    CHECK(effect(alpha) == Effect::notify);
    CHECK(alpha.rules().conflicts().empty());
  }
}

TEST_CASE("who may only tighten is refused what would loosen, and what is provably as strict is taken") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  alpha.set_rule("ask", rule(Effect::require_approval, "deploy"));
  alpha.set_rule("allow", rule(Effect::allow, "push*"));
  Memory beta = member(instances, alpha, "beta", "rt");
  const auto denied = [&](const std::string& id, const Rule& made) {
    return code_of([&] { beta.set_rule(id, made); }) == ErrorCode::denied;
  };
  CHECK(denied("ask", rule(Effect::notify, "deploy")));
  CHECK(denied("ask", rule(Effect::require_approval, "deploy/eu")));
  CHECK(denied("new", rule(Effect::allow, "pull")));
  CHECK(denied("new", rule(Effect::notify, "pull")));
  CHECK(denied("allow", rule(Effect::allow, "p*")));
  CHECK(code_of([&] { beta.remove_rule("ask"); }) == ErrorCode::denied);
  CHECK(code_of([&] { beta.put("governance_meta", "risk_classes", Map{{"read", "low"}}); }) == ErrorCode::denied);
  CHECK(code_of([&] { beta.put("governance_meta", "defaults", Map{{"medium", "notify"}}); }) == ErrorCode::denied);
  beta.set_rule("ask", rule(Effect::deny, "deploy"));
  beta.set_rule("new", rule(Effect::require_approval, "pull", 2));
  beta.set_rule("allow", rule(Effect::allow, "push"));
  beta.put("governance_meta", "defaults", Map{{"critical", "deny"}});
  beta.put("governance_meta", "risk_classes", Map{{"drop", "critical"}});
  CHECK(effect(beta) == Effect::deny);
  CHECK(effect(beta, "push") == Effect::allow);  // as far as it was allowed before
  CHECK(effect(beta, "push_all") == Effect::require_approval);
  CHECK(effect(beta, "drop") == Effect::deny);
  CHECK(effect(beta, "deploy_all") == Effect::require_approval);
  exchange(beta, alpha);
  CHECK(alpha.rules().digest() == beta.rules().digest());
  CHECK(effect(alpha, "push_all") == Effect::require_approval);
  CHECK(alpha.rules().conflicts().empty());
  beta.remove_rule("allow");
  CHECK(effect(beta, "push") == Effect::require_approval);
}

TEST_CASE("who may not write rules changes none, and reads them if that was granted") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  alpha.set_rule("ask", rule(Effect::deny, "deploy"));
  Memory beta = member(instances, alpha, "beta", "r");
  CHECK(effect(beta) == Effect::deny);
  CHECK(code_of([&] { beta.set_rule("ask", rule(Effect::deny, "deploy")); }) == ErrorCode::denied);
  CHECK(code_of([&] { beta.remove_rule("ask"); }) == ErrorCode::denied);
  CHECK(effect(beta) == Effect::deny);
}

TEST_CASE("a revoked governor's rules loosen nothing any more, and restrict still") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  Memory gamma = instances.open("gamma");
  alpha.set_rule("ask", rule(Effect::require_approval, "deploy", 2));
  exchange(beta, alpha);
  exchange(gamma, beta);
  // Beyond what alpha has seen, beta loosens one rule and adds another, and gamma hears of it.
  beta.set_rule("ask", rule(Effect::notify, "deploy"));
  beta.set_rule("stop", rule(Effect::deny, "drop"));
  beta.set_rule("free", rule(Effect::allow, "push"));
  exchange(gamma, beta);
  CHECK(effect(gamma) == Effect::notify);
  CHECK(effect(gamma, "push") == Effect::allow);
  alpha.revoke("beta");
  exchange(gamma, alpha);
  for (Memory* memory : {&alpha, &gamma}) {
    CAPTURE(memory->name());
    CHECK(effect(*memory) == Effect::require_approval);
    CHECK(memory->rules().check({.action = "deploy"}).requirement.min_approvals == 2);
    CHECK(effect(*memory, "push") == Effect::require_approval);
    CHECK(effect(*memory, "drop") == Effect::deny);
  }
  CHECK(alpha.rules().digest() == gamma.rules().digest());
  const RuleRegister* stop = gamma.rules().set().find("stop");
  REQUIRE(stop != nullptr);
  CHECK(stop->heads.at(0).is_void);
  // A governor takes it away.
  gamma.remove_rule("stop");
  CHECK(effect(gamma, "drop") == Effect::require_approval);
}

TEST_CASE("a modified governor who claims to have seen what it has not displaces nothing") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  alpha.set_rule("ask", rule(Effect::require_approval, "deploy", 2));
  exchange(beta, alpha);
  // With beta's own key, beneath what the product would write: the right dot with a made-up hash, the next dots of
  // alpha, and an assignment that names nothing.
  const auto forge = [&](const std::vector<SeenAssignment>& seen) {
    const SegmentTable segments;
    const InstanceKey key = load_instance_key(instances.path("beta"));
    SharedStore store(instances.path("beta") / "shared", segments, {}, key.id, std::nullopt, key.signing);
    store.env().write([&](lmdb::WriteTxn& txn) {
      SharedBatch batch(store, txn, instances.clock.ms->load() + 1'000'000);
      const Rule loose = rule(Effect::notify, "deploy");
      batch.put(store.number("approval_rules"), "ask", encode(RuleAssignment{Value(map_of(loose)), seen, 7}));
      batch.finish();
    });
  };
  Dot of_alpha;
  {
    const auto heads = beta.rules().set().find("ask")->heads;
    of_alpha = heads.at(0).dot;
  }
  ContentHash made_up;
  made_up.bytes.fill(std::byte{5});
  forge({{of_alpha, made_up}, {{of_alpha.actor, of_alpha.counter + 1}, made_up}});
  forge({});
  exchange(beta, alpha);
  alpha.set_rule("ask", rule(Effect::require_approval, "deploy", 3));
  CHECK(alpha.rules().check({.action = "deploy"}).requirement.min_approvals == 3);
  for (Memory* memory : {&alpha, &beta}) CHECK(effect(*memory) == Effect::require_approval);
  // Nor does the value of an assignment that is none: it is the strictest reading.
  const SegmentTable segments;
  const InstanceKey key = load_instance_key(instances.path("beta"));
  {
    SharedStore store(instances.path("beta") / "shared", segments, {}, key.id, std::nullopt, key.signing);
    store.env().write([&](lmdb::WriteTxn& txn) {
      SharedBatch batch(store, txn, instances.clock.ms->load() + 1'000'000);
      batch.put(store.number("approval_rules"), "odd", encode(Value("allow everything")));
      batch.finish();
    });
  }
  CHECK(effect(beta, "whatever") == Effect::deny);
  CHECK(beta.rules().check({.action = "whatever"}).matched[0].defects == "not a map");
}

TEST_CASE("rules are as old as the hub or voter that was not heard for longest") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  alpha.put("governance_meta", "max_rule_age_ms", Map{{"low", 60'000}});
  alpha.put("governance_meta", "risk_classes", Map{{"read", "low"}});
  Memory beta = instances.open("beta");
  exchange(beta, alpha);  // who has founded it is a voter
  // It was heard some real milliseconds before it was noted, and the clock of the test stands still.
  const auto age = [&] { return beta.rules().check({.action = "read"}).age_ms; };
  beta.remember({.text = "a write of its own takes along what waits"});
  std::this_thread::sleep_for(2 * heard_reread);
  REQUIRE(age() < 60'000);
  CHECK(effect(beta, "read") == Effect::allow);
  CHECK(alpha.rules().check({.action = "read"}).age_ms == 0);  // nobody but itself matters
  instances.clock.ms->fetch_add(60'000 - age());
  CHECK(age() == 60'000);
  CHECK_FALSE(beta.rules().check({.action = "read"}).stale);
  const Rules kept = beta.rules();
  instances.clock.ms->fetch_add(1);
  CHECK(beta.rules().check({.action = "read"}).stale);
  CHECK(effect(beta, "read") == Effect::notify);
  CHECK(kept.check({.action = "read"}).stale);  // who keeps a snapshot grows old with it
  exchange(beta, alpha);
  CHECK(test::eventually([&] { return !beta.rules().check({.action = "read"}).stale; }));
  // A hub that was never heard makes them as old as can be; without others that are voters or hubs age means nothing.
  (void)instances.open("gamma");
  alpha.grant("gamma", {.role = "hub"});
  exchange(beta, alpha);
  CHECK(beta.rules().check({.action = "read"}).stale);
  alpha.grant("gamma", {.role = "member"});
  alpha.grant("beta", {.voter = true, .force = true});  // itself does not matter to it
  alpha.grant("alpha", {.voter = false, .force = true});
  exchange(beta, alpha);
  instances.clock.ms->fetch_add(3'600'000);
  CHECK(beta.rules().check({.action = "read"}).age_ms == 0);
}

TEST_CASE("a link that stays keeps the rules young, also for other processes on the store") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  alpha.put("governance_meta", "max_rule_age_ms", Map{{"low", 3'600'000}, {"critical", 4'000}});
  Memory beta = instances.open("beta");
  exchange(beta, alpha);
  beta.connect(listen(alpha));
  instances.clock.ms->fetch_add(600'000);
  // What the links tell is in the store, so any other handle sees it.
  const Memory other = instances.open("beta");
  CHECK(test::eventually([&] { return other.rules().check({.action = "read"}).age_ms < 60'000; }));
}

TEST_CASE("a damaged rule denies everything until it is fetched again, also once it is forgotten") {
  const Instances instances;
  std::optional<Memory> alpha(instances.open("alpha"));
  Memory beta = instances.open("beta");
  Rule stop = rule(Effect::deny, "deploy");
  stop.reason = "the text that is hit";
  alpha->set_rule("stop", stop);
  alpha->set_rule("free", rule(Effect::allow, "push"));
  exchange(beta, *alpha);
  alpha.reset();
  test::damage_text(instances.path("alpha") / "shared", "the text that is hit");
  alpha.emplace(instances.open("alpha"));
  CHECK(effect(*alpha, "push") == Effect::deny);
  const Decision unread = alpha->rules().check({.action = "push"});
  CHECK(std::any_of(unread.matched.begin(), unread.matched.end(), [](const auto& rule) { return !rule.defects.empty(); }));
  REQUIRE(test::eventually([&] { return alpha->rules().set().find("") != nullptr; }));  // it is forgotten now
  CHECK(effect(*alpha, "push") == Effect::deny);
  CHECK(effect(*alpha, "deploy") == Effect::deny);
  CHECK(alpha->rules().check({.action = "push"}).matched[0].defects == "a damaged record waits to be fetched again");
  exchange(*alpha, beta);
  CHECK(effect(*alpha, "push") == Effect::allow);
  CHECK(effect(*alpha, "deploy") == Effect::deny);
  CHECK(alpha->rules().digest() == beta.rules().digest());
}

TEST_CASE("a digest stands for the rules that were, and what has changed since is told") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  const std::string empty = alpha.rules().digest();
  alpha.set_rule("a", rule(Effect::deny, "deploy"));
  const std::string first = alpha.rules().digest();
  alpha.set_rule("b", rule(Effect::notify, "push"));
  alpha.set_rule("a", rule(Effect::require_approval, "deploy"));
  alpha.put("governance_meta", "roles", Map{{"sre", Array{"alice"}}});
  const auto before = alpha.rules_with_digest(first);
  REQUIRE(before);
  CHECK(before->check({.action = "deploy"}).effect == Effect::deny);
  const auto differences = alpha.rules().since(*before);
  REQUIRE(differences.size() == 3);
  CHECK(differences[0].id == "a");
  CHECK(differences[0].before.size() == 1);
  CHECK(differences[0].after.size() == 1);
  CHECK(differences[1].id == "b");
  CHECK(differences[1].before.empty());
  CHECK(differences[2].id == "governance_meta/roles");
  CHECK(alpha.rules_with_digest(empty)->set().registers().empty());
  CHECK(alpha.rules().since(*alpha.rules_with_digest(alpha.rules().digest())).empty());
  CHECK_FALSE(alpha.rules_with_digest("0123"));
}

TEST_CASE("rules are exported with all that was signed, and come back as their authors'") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  alpha.set_rule("a", rule(Effect::deny, "deploy"));
  alpha.set_rule("a", rule(Effect::require_approval, "deploy"));
  std::vector<std::string> lines;
  alpha.export_records({.segments = {"approval_rules"}}, [&](std::string_view line) { lines.emplace_back(line); });
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("\"effect\":\"require_approval\"") != std::string::npos);
  Memory beta = instances.open("beta");
  std::size_t next = 0;
  const auto report = beta.import_records(
      [&]() -> std::optional<std::string> { return next < lines.size() ? std::optional(lines[next++]) : std::nullopt; });
  CHECK(report.refused.empty());
  CHECK(report.written == 1);
  CHECK(beta.rules().digest() == alpha.rules().digest());
  CHECK(effect(beta) == Effect::require_approval);
}

TEST_CASE("ten thousand rules are folded once, and a change of one folds one") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  std::vector<PacketEnvelope> packets;
  for (int i = 0; i < 10'000; ++i) {
    PacketEnvelope packet;
    packet.packet_type = "approval_rule";
    packet.payload = {{"key", "rule" + std::to_string(i)}, {"effect", "deny"},
                      {"actions", Array{"action" + std::to_string(i)}}};
    packets.push_back(std::move(packet));
  }
  for (std::size_t i = 0; i < packets.size(); i += 1'000) {
    alpha.write(std::span<const PacketEnvelope>(packets).subspan(i, 1'000));
  }
  CHECK(effect(alpha, "action7777") == Effect::deny);
  CHECK(effect(alpha, "action10000") == Effect::require_approval);
  alpha.remove_rule("rule7777");
  CHECK(effect(alpha, "action7777") == Effect::require_approval);
}

}  // namespace
}  // namespace loam
