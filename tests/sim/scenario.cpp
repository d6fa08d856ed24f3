#include "tests/sim/scenario.hpp"

#include <algorithm>

#include "tests/sim/random_stream.hpp"
#include "tests/support/forall.hpp"
#include "tests/support/gen.hpp"

namespace loam::sim {
namespace {

using ::test::Gen;

struct StepKind {
  const char* name;
  unsigned weight;  ///< of a fault: the greatest that a run gives it
  bool is_fault;
};

constexpr std::array<StepKind, step_kinds> kinds{{
    {"add", 90, false},
    {"bulk_add", 6, false},
    {"remove", 45, false},
    {"revise", 25, false},
    {"put", 50, false},
    {"erase", 20, false},
    {"write_private", 25, false},
    {"retry", 25, false},
    {"commit", 150, false},
    {"fold", 8, false},
    {"start", 40, false},
    {"connect", 70, false},
    {"travel", 380, false},
    {"settle", 35, false},
    {"pass_time", 25, false},
    {"poll", 15, false},
    {"cut", 40, true},
    {"truncate", 12, true},
    {"stall", 20, true},
    {"resume", 30, true},
    {"leave", 12, true},
    {"flap", 12, true},
    {"double_link", 20, true},
    {"crash", 25, true},
    {"crash_before_commit", 25, true},
    {"crash_after_commit", 25, true},
    {"disk_error", 60, true},
    {"stop", 12, true},
    {"second_process", 15, true},
    {"snapshot", 40, true},
    {"restore_copy", 20, true},
    {"restore_in_place", 14, true},
    {"clone", 10, true},
    {"clock_jump", 20, true},
    {"drop_journal", 15, true},
    {"flip", 10, true},
    {"inject", 120, true},
    {"confirm", 20, false},
    {"change_version", 8, false},
    {"grant", 30, false},
    {"suspend", 10, false},
    {"revoke", 6, false},
    {"strong_write", 0, false},  // these come in between (with_strong_events)
    {"strong_read", 0, false},
    {"change_voters", 0, false},
    {"seal_voters", 0, false},
    {"ask_again", 0, false},
    {"forget", 0, false},
}};

Setup setup_of(std::uint64_t seed, Gen& gen, const Switches& switches) {
  Setup setup;
  setup.replicas = 2 + std::min(gen.index(6), gen.index(6));
  setup.topology = static_cast<Topology>(gen.below(4));
  setup.clocks = static_cast<Clocks>(gen.below(4));
  setup.hostile = gen.one_in(6) && switches.hostile;
  setup.small_maps = gen.one_in(5);
  setup.small_limits = !gen.one_in(4);
  setup.short_journals = gen.one_in(3);
  setup.partial = gen.coin();
  setup.large_records = gen.one_in(setup.small_maps ? 2 : 4);
  setup.heals_by_links = gen.one_in(3);
  Gen more(mixed(seed, 7));  // what came later draws for itself: the runs of old seeds stay
  setup.twins = more.one_in(4);
  setup.fuse = more.one_in(5);
  setup.skew = more.one_in(6);
  const auto force = [&](const char* name, bool& setting) {
    setting = setting || switches.forced.contains(name);
  };
  force("twins", setup.twins);
  force("fuse", setup.fuse);
  force("skew", setup.skew);
  force("trust", setup.trust);
  force("strong", setup.strong);
  setup.trust = setup.trust || setup.strong;
  if (setup.trust) setup.hostile = more.coin() && switches.hostile;
  force("hostile", setup.hostile);
  // Copies that keep what their original had said by its store break the rule that no store forgets what it has voted for.
  if (setup.strong) setup.twins = false;
  return setup;
}

// Every run has its own mixture: which faults there are at all, and how often.
std::array<unsigned, step_kinds> weights_of(Gen& gen, const Setup& setup,
                                            const Switches& switches) {
  std::array<unsigned, step_kinds> weights{};
  const bool is_calm = gen.one_in(8);
  for (std::size_t i = 0; i < step_kinds; ++i) {
    weights[i] = kinds[i].weight;
    if (!kinds[i].is_fault) continue;
    const bool is_off = is_calm || gen.one_in(3);
    const auto weight = static_cast<unsigned>(gen.between(1, kinds[i].weight));
    weights[i] = is_off ? 0 : weight;
  }
  const auto at = [&](Step step) -> unsigned& { return weights[static_cast<std::size_t>(step)]; };
  if (!setup.hostile) at(Step::inject) = 0;
  if (!switches.restores_in_place || gen.coin()) at(Step::restore_in_place) = 0;
  if (gen.one_in(4)) at(Step::commit) = 30;  // a slow disk: queues grow
  if (gen.one_in(4)) at(Step::travel) = 100;
  if (setup.twins) at(Step::clone) = 12;
  if (!setup.fuse) at(Step::confirm) = 0;
  if (!setup.skew) at(Step::change_version) = 0;
  for (const Step step : {Step::grant, Step::suspend, Step::revoke}) {
    if (!setup.trust) at(step) = 0;
  }
  return weights;
}

// Strong calls among the events of a run, and what they need: links, and time. All choices are made apart from the others'.
std::vector<Event> with_strong_events(std::uint64_t seed, const std::vector<Event>& events) {
  static const std::vector<Step> steps{
      Step::strong_write, Step::strong_write, Step::strong_write, Step::strong_write, Step::strong_read,   Step::strong_read,
      Step::strong_read,  Step::strong_read,  Step::strong_read,  Step::ask_again,    Step::change_voters, Step::seal_voters,
      Step::seal_voters,  Step::forget,       Step::change_voters, Step::connect,      Step::connect,      Step::connect,      Step::travel,        Step::travel,
      Step::travel,       Step::travel,       Step::settle,       Step::settle};
  Gen gen(mixed(seed, 9));
  const std::uint64_t rare = gen.between(1, 3);
  std::vector<Event> all;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const bool keeps_ids = events[i].step == Step::restore_in_place || events[i].step == Step::clone;
    if (!keeps_ids) all.push_back(events[i]);
    if (gen.one_in(rare)) all.push_back({gen.pick(steps), mixed(seed, 100'000 + i)});
  }
  return all;
}

std::vector<std::string> parts_of(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  std::erase(parts, "");
  return parts;
}

std::set<std::size_t> numbers_of(const std::string& text) {
  std::set<std::size_t> numbers;
  for (const std::string& part : parts_of(text)) {
    const auto dash = part.find('-');
    const std::size_t first = std::stoul(part);
    const std::size_t last = dash == std::string::npos ? first : std::stoul(part.substr(dash + 1));
    for (std::size_t number = first; number <= last; ++number) numbers.insert(number);
  }
  return numbers;
}

std::string text_of_numbers(const std::set<std::size_t>& numbers) {
  std::string text;
  for (auto at = numbers.begin(); at != numbers.end();) {
    auto last = at;
    while (std::next(last) != numbers.end() && *std::next(last) == *last + 1) ++last;
    text += (text.empty() ? "" : ",") + std::to_string(*at);
    if (last != at) text += "-" + std::to_string(*last);
    at = std::next(last);
  }
  return text.empty() ? "none" : text;
}

}  // namespace

const char* step_name(Step step) noexcept { return kinds[static_cast<std::size_t>(step)].name; }

Scenario scenario_of(std::uint64_t seed, const Switches& switches) {
  Gen gen(mixed(seed, 1));
  Scenario scenario;
  scenario.seed = seed;
  scenario.setup = setup_of(seed, gen, switches);
  const auto weights = weights_of(gen, scenario.setup, switches);
  unsigned total = 0;
  for (const unsigned weight : weights) total += weight;
  const std::uint64_t count = 30 + gen.below(gen.one_in(6) ? 300 : 130);
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint64_t at = gen.below(total);
    std::size_t kind = 0;
    while (at >= weights[kind]) at -= weights[kind++];
    scenario.events.push_back({static_cast<Step>(kind), mixed(seed, 1'000 + i)});
  }
  if (scenario.setup.strong) scenario.events = with_strong_events(seed, scenario.events);
  return scenario;
}

std::string Switches::text() const {
  std::string text = false_claims ? "ALLOW=false_claims " : "";
  std::string names;
  for (const std::string& name : forced) names += (names.empty() ? "FORCE=" : ",") + name;
  return names.empty() ? text : text + names + " ";
}

Switches switches_from_environment() {
  Switches switches;
  const char* forced = ::test::environment("FORCE");
  for (const std::string& name : parts_of(forced ? forced : "")) switches.forced.insert(name);
  const char* allowed = ::test::environment("ALLOW");
  for (const std::string& name : parts_of(allowed ? allowed : "")) {
    if (name == "false_claims") switches.false_claims = true;
  }
  return switches;
}

Scenario selected(const Scenario& whole, const Selection& selection) {
  Scenario part = whole;
  if (selection.replicas) part.setup.replicas = std::min(part.setup.replicas, *selection.replicas);
  const auto is_off = [&](const char* name) { return selection.off.contains(name); };
  Setup& setup = part.setup;
  if (is_off("hostile")) setup.hostile = false;
  if (is_off("small_maps")) setup.small_maps = false;
  if (is_off("small_limits")) setup.small_limits = false;
  if (is_off("short_journals")) setup.short_journals = false;
  if (is_off("partial")) setup.partial = false;
  if (is_off("large_records")) setup.large_records = false;
  if (is_off("clocks")) setup.clocks = Clocks::near;
  if (is_off("links")) setup.heals_by_links = false;
  if (is_off("twins")) setup.twins = false;
  if (is_off("fuse")) setup.fuse = false;
  if (is_off("skew")) setup.skew = false;
  if (is_off("trust")) setup.trust = setup.strong = false;
  if (is_off("strong")) setup.strong = false;
  if (!selection.kept) return part;
  part.events.clear();
  for (const std::size_t number : *selection.kept) {
    if (number < whole.events.size()) part.events.push_back(whole.events[number]);
  }
  return part;
}

std::string Selection::text() const {
  std::string text;
  if (kept) text += "KEEP=" + text_of_numbers(*kept) + " ";
  if (replicas) text += "REPLICAS=" + std::to_string(*replicas) + " ";
  if (off.empty()) return text;
  std::string names;
  for (const std::string& name : off) names += (names.empty() ? "" : ",") + name;
  return text + "OFF=" + names + " ";
}

Selection Selection::from_environment() {
  Selection selection;
  if (const char* text = ::test::environment("KEEP")) {
    selection.kept = std::string(text) == "none" ? std::set<std::size_t>{} : numbers_of(text);
  }
  if (const char* text = ::test::environment("REPLICAS")) selection.replicas = std::stoul(text);
  if (const char* text = ::test::environment("OFF")) {
    for (const std::string& name : parts_of(text)) selection.off.insert(name);
  }
  return selection;
}

}  // namespace loam::sim
