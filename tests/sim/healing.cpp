#include <algorithm>

#include "tests/sim/random_stream.hpp"
#include "tests/sim/world.hpp"

namespace loam::sim {
namespace {

using std::chrono_literals::operator""s;

constexpr std::size_t nowhere = ~std::size_t{0};
constexpr std::uint64_t roomy_octets = std::uint64_t{64} << 20;

}  // namespace

// Which replicas can reach each other through replicas that declare the segment.
std::map<std::string, std::vector<std::size_t>> World::components() const {
  std::map<std::string, std::vector<std::size_t>> found;
  for (const auto& replica : replicas_) {
    for (const auto& [name, segment] : replica->shared.segments) found[name];
  }
  for (auto& [name, component] : found) {
    for (const auto& replica : replicas_) {
      const bool is_in = replica->has(name) && !replica->is_apart();
      component.push_back(is_in ? replica->index : nowhere);
    }
    for (std::size_t pass = 0; pass < replicas_.size(); ++pass) {
      for (const auto& [left, right] : edges_) {
        if (component[left] == nowhere || component[right] == nowhere) continue;
        component[left] = component[right] = std::min(component[left], component[right]);
      }
    }
  }
  return found;
}

// The longest way that news has to go: of a segment only over those that have it.
std::size_t World::diameter() const {
  std::set<std::string> segments;
  for (const auto& replica : replicas_) {
    for (const auto& each : replica->shared.segments) segments.insert(each.first);
  }
  std::size_t most = 0;
  for (const std::string& segment : segments) most = std::max(most, diameter(segment));
  return most;
}

std::size_t World::diameter(const std::string& segment) const {
  const std::size_t count = replicas_.size();
  const std::size_t far = count + 1;
  std::vector<std::vector<std::size_t>> ways(count, std::vector<std::size_t>(count, far));
  for (std::size_t i = 0; i < count; ++i) ways[i][i] = 0;
  for (const auto& [left, right] : edges_) {
    const bool carries = replicas_[left]->has(segment) && replicas_[right]->has(segment);
    if (carries) ways[left][right] = ways[right][left] = 1;
  }
  for (std::size_t via = 0; via < count; ++via) {
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t j = 0; j < count; ++j) {
        ways[i][j] = std::min(ways[i][j], ways[i][via] + ways[via][j]);
      }
    }
  }
  std::size_t most = 0;
  for (const auto& row : ways) {
    for (const std::size_t way : row) {
      if (way < far) most = std::max(most, way);
    }
  }
  return most;
}

bool World::is_equal(const Replica& left, const Replica& right) const {
  return std::all_of(
      left.shared.segments.begin(), left.shared.segments.end(), [&](const auto& segment) {
        const auto other = right.shared.segments.find(segment.first);
        return other == right.shared.segments.end() || other->second == segment.second;
      });
}

bool World::all_equal() const {
  return std::all_of(edges_.begin(), edges_.end(), [&](const auto& edge) {
    return is_equal(*replicas_[edge.first], *replicas_[edge.second]);
  });
}

void World::heal() {
  Gen gen(mixed(scenario_.seed, 5));
  seed_randomness(mixed(scenario_.seed, 6));
  trace_.line("-- healing");
  is_healing_ = true;
  calm_down(gen);
  if (has_trust()) reconcile_rights(gen);
  heal_once(gen);
  if (is_strong()) return finish_strongly(gen);
  if (twins_.empty()) return;
  write_as_twins(gen);
  heal_once(gen);
}

void World::heal_once(Gen& gen) {
  if (trace_.has_failed()) return;
  expected_at_end();
  scenario_.setup.heals_by_links ? heal_by_links(gen) : heal_by_rounds(gen);
  if (!trace_.has_failed()) check_end();
}

// The faults are over: links are cut for the last time, every job is committed or lost with its
// process, every machine runs, and full stores get more room.
void World::calm_down(Gen& gen) {
  const bool loses = gen.coin();
  for (const auto& link : links_) {
    for (End& end : link->ends) {
      end.inbox.clear();
      end.is_cut = true;
    }
  }
  for (const auto& replica : replicas_) {
    for (std::size_t i = 0; i < replica->processes.size() && !loses; ++i) {
      Process& process = *replica->processes[i];
      while (!process.queue.empty()) commit(process, 100, Fate::normal, gen);
    }
    if (replica->is_ahead) change_version(*replica);
    const bool has_stopped = loses || replica->processes.empty() || scenario_.setup.small_maps;
    if (has_stopped) end_all(*replica);
    if (scenario_.setup.small_maps) replica->config.map_octets_max = roomy_octets;
    if (replica->processes.empty()) (void)reopened(*replica);
    for (const auto& process : replica->processes) {
      for (auto& each : process->calls) each.second.seals = false;  // nobody writes while it is seen whether all agree
    }
  }
  std::erase_if(links_, [](const auto&) { return true; });
  // The hostile one is known by now, and nobody talks to it any more.
  std::erase_if(edges_, [&](const auto& edge) {
    return replicas_[edge.first]->is_hostile || replicas_[edge.second]->is_hostile;
  });
}

// One round between the two ends of every edge, again and again, at most as often as news needs to
// cross the federation, and once more to see that there are none.
void World::heal_by_rounds(Gen& gen) {
  const std::size_t rounds_max = diameter() + 2;
  for (std::size_t round = 0; round < rounds_max && !all_equal(); ++round) {
    for (std::size_t edge = 0; edge < edges_.size() && !trace_.has_failed(); ++edge) {
      // Each side may hold what the other has removed, and then what was removed meanwhile.
      for (int tries = 0; tries < 4 && heal_edge(edge, gen); ++tries) (void)confirm_all(gen);
      if (trace_.has_failed()) return;
      trace_.expect(is_equal(*replicas_[edges_[edge].first], *replicas_[edges_[edge].second]),
                    "a round leaves two replicas different");
    }
  }
  trace_.expect(all_equal(), "replicas differ after " + std::to_string(rounds_max) + " rounds");
}

// One round. True: they differ still, because one side keeps what the other has removed.
bool World::heal_edge(std::size_t edge, Gen& gen) {
  Link* const link = connect(edge, gen, true);
  if (!trace_.expect(link != nullptr, "healed, and still not connected")) return false;
  (void)advance(now_ + 9s, gen);
  if (trace_.has_failed()) return false;
  trace_.expect(link->is_over(), "a round does not end");
  const std::array<SessionReport, 2> reports{link->ends[0].session->report(),
                                             link->ends[1].session->report()};
  std::uint64_t held = 0;
  for (const SessionReport& report : reports) {
    for (const auto& [name, tally] : report.segments) held += tally.held;
  }
  if (held > 0) {
    trace_.expect(reports[0].holding && reports[1].holding, "a removal is held in silence");
    trace_.expect(!reports[0].converged, "a round has converged although a removal is held");
  }
  // What was held when the dialler judged may have died since, of a removal that was told.
  if (held > 0 || reports[0].holding) return true;
  trace_.expect(reports[0].problem.empty(), "a round ends with a problem: " + reports[0].problem);
  trace_.expect(reports[0].converged, "a round ends without having converged");
  return false;
}

// Live links: what was missed arrives at once, what went wrong is noticed at the next states.
void World::heal_by_links(Gen& gen) {
  for (std::size_t edge = 0; edge < edges_.size(); ++edge) {
    trace_.expect(connect(edge, gen, false) != nullptr, "healed, and still not connected");
  }
  settle(gen);
  const bool must_be_equal =
      !has_rolled_back_ && !has_held_ && !has_rivals() && !is_tainted();
  trace_.expect(all_equal() || !must_be_equal || trace_.has_failed(),
                "live links leave replicas different");
  const std::size_t passes_max = (diameter() + 2) * (has_held_ ? 3 : 1);
  for (std::size_t pass = 0; pass < passes_max && !all_equal(); ++pass) {
    if (confirm_all(gen)) settle(gen);
    (void)advance(now_ + 16s, gen);
  }
  trace_.expect(all_equal() || trace_.has_failed(), "replicas differ although all links are good");
}

}  // namespace loam::sim
