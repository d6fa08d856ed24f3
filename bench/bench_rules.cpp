// Approval rules: how long a decision takes, and how soon a change is seen by another process on the store.
#include <algorithm>
#include <chrono>

#include "bench/child.hpp"
#include "bench/harness.hpp"
#include "lib/loam.hpp"

namespace {

using bench::Run;

std::int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

// Of every ten rules three name one action each, three the beginning of one, two are about resources only, one asks the
// context, and one allows.
loam::Map rule_of(std::size_t number) {
  const std::string name = "service_" + std::to_string(number);
  loam::Map rule{{"effect", number % 4 == 0 ? "deny" : "require_approval"}, {"reason", "rule " + name}};
  switch (number % 10) {
    case 0: case 1: case 2: rule.emplace("actions", loam::Array{"deploy/" + name}); break;
    case 3: case 4: case 5: rule.emplace("actions", loam::Array{name + "*", "restart/" + name + "/*"}); break;
    case 6: case 7: rule.emplace("resources", loam::Array{"prod/" + name + "/*"}); break;
    case 8:
      rule.emplace("actions", loam::Array{"pay*"});
      rule.emplace("conditions", loam::Array{loam::Map{{"field", "amount"}, {"op", "greater_than"},
                                                       {"value", static_cast<std::int64_t>(1'000 + number)}}});
      break;
    default:
      rule.insert_or_assign("effect", "allow");
      rule.emplace("actions", loam::Array{"read/" + name, "list/*"});
  }
  return rule;
}

void write_rules(loam::Memory& memory, std::size_t rules) {
  std::vector<loam::PacketEnvelope> packets;
  for (std::size_t i = 0; i < rules; ++i) {
    loam::PacketEnvelope packet;
    packet.packet_type = "approval_rule";
    packet.payload = {{"key", "rule_" + std::to_string(i)}, {"value", rule_of(i)}};
    packets.push_back(std::move(packet));
    if (packets.size() == 1'000 || i + 1 == rules) {
      memory.write(packets);
      packets.clear();
    }
  }
}

loam::Memory open(const std::filesystem::path& dir) {
  return loam::Memory::open({.dir = dir, .name = "alpha", .federation = {}, .log = {}, .now_ms = {}});
}

// Decisions as a host makes them: the snapshot of now is asked for each time.
void check(Run& run, std::size_t rules) {
  loam::Memory memory = open(run.fresh());
  write_rules(memory, rules);
  std::vector<std::string> actions;
  for (std::size_t i = 0; i < 1'000; ++i) {
    const std::string name = "service_" + std::to_string(i * 7 % (rules + 10));
    actions.push_back(i % 4 == 0 ? "deploy/" + name : i % 4 == 1 ? name + "_now" : i % 4 == 2 ? "pay/invoice" : "list/" + name);
  }
  const std::size_t checks = run.size(200'000, 2'000);
  std::vector<double> spent;
  spent.reserve(checks);
  std::size_t denied = 0;
  loam::Decision decision;
  loam::RuleRequest request{.resource = "prod/service_6/db", .subject = "agent", .context = {{"amount", 1'200}}};
  for (std::size_t i = 0; i < checks; ++i) {
    request.action = actions[i % actions.size()];
    const std::int64_t begun = now_ns();
    memory.rules().check(request, decision);
    spent.push_back(static_cast<double>(now_ns() - begun) / 1e3);
    denied += decision.effect == loam::Effect::deny ? 1 : 0;
  }
  bench::require(denied > 0 && denied < checks, "all decisions are the same");
  run.report({"rules/check_" + std::to_string(rules),
              {{"rules", rules}, {"checks", checks}},
              {{"p50_us", bench::percentile(spent, 0.5)}, {"p99_us", bench::percentile(spent, 0.99)},
               {"p999_us", bench::percentile(spent, 0.999)}},
              std::to_string(denied)});
}

void check_1000(Run& run) { check(run, run.size(1'000, 50)); }
void check_10000(Run& run) { check(run, run.size(10'000, 100)); }

// From the commit of a change in one process to the decision that differs in another, which asks all the time; and how
// long that other takes for the decision which sees it.
void change(Run& run) {
  const std::size_t rules = run.size(1'000, 50);
  const std::size_t changes = run.size(200, 5);
  const auto dir = run.fresh();
  {
    loam::Memory memory = open(dir);
    write_rules(memory, rules);
  }
  bench::Child writer([&](bench::Lines& lines) {
    loam::Memory memory = open(dir);
    loam::Rule rule;
    rule.actions = std::vector{loam::Glob::parse("switch").value()};
    for (std::size_t i = 0; i < changes; ++i) {
      (void)lines.hear();
      rule.effect = i % 2 == 0 ? loam::Effect::deny : loam::Effect::allow;
      memory.set_rule("switch", rule);
      lines.say(std::to_string(now_ns()));
    }
  });
  const loam::Memory memory = open(dir);
  std::vector<double> seen_after;
  std::vector<double> first;
  loam::Effect before = memory.rules().check({.action = "switch", .resource = ""}).effect;
  for (std::size_t i = 0; i < changes; ++i) {
    writer.lines().say("change");
    std::int64_t begun = 0;
    std::int64_t ended = 0;
    loam::Effect now = before;
    while (now == before) {
      begun = now_ns();
      now = memory.rules().check({.action = "switch", .resource = ""}).effect;
      ended = now_ns();
    }
    before = now;
    const std::int64_t committed = std::stoll(writer.lines().hear());
    seen_after.push_back(static_cast<double>(std::max<std::int64_t>(0, ended - committed)) / 1e3);
    first.push_back(static_cast<double>(ended - begun) / 1e3);
  }
  run.report({"rules/change",
              {{"rules", rules}, {"changes", changes}},
              {{"seen_after_p99_us", bench::percentile(seen_after, 0.99)},
               {"first_decision_p50_us", bench::percentile(first, 0.5)},
               {"first_decision_p99_us", bench::percentile(first, 0.99)}},
              std::to_string(changes)});
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_parts(argc, argv, "loam",
                          {{"check_1000", check_1000}, {"check_10000", check_10000}, {"rule_change", change}});
}
