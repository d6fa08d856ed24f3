// Many agents that write offline and merge over links: how long until all have everything, what
// that costs, and how soon a write is seen when all are linked.
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include "bench/child.hpp"
#include "bench/federation.hpp"
#include "bench/fleet_host.hpp"
#include "bench/harness.hpp"

namespace {

using bench::Run;

enum class Shape { chain, star, two_hubs, mesh };

const char* name_of(Shape shape) {
  switch (shape) {
    case Shape::chain: return "chain";
    case Shape::star: return "star";
    case Shape::two_hubs: return "two_hubs";
    case Shape::mesh: return "mesh";
  }
  return "mesh";
}

using Edge = std::pair<std::size_t, std::size_t>;  // who dials, whom

// A mesh is a ring with as many random links again.
std::vector<Edge> edges_of(Shape shape, std::size_t agents) {
  std::vector<Edge> edges;
  std::mt19937_64 random(agents);
  for (std::size_t i = 1; i < agents; ++i) {
    switch (shape) {
      case Shape::chain: edges.emplace_back(i, i - 1); break;
      case Shape::star: edges.emplace_back(i, 0); break;
      case Shape::two_hubs: edges.emplace_back(i, i == 1 ? 0 : i % 2); break;
      case Shape::mesh:
        edges.emplace_back(i, i - 1);
        edges.emplace_back(i, random() % i);
        break;
    }
  }
  return edges;
}

// Octets that the loopback device has carried, headers and all. Whatever else runs counts too.
std::uint64_t loopback_octets() {
  std::ifstream devices("/proc/net/dev");
  std::string line;
  while (std::getline(devices, line)) {
    const auto at = line.find("lo:");
    if (at != std::string::npos) return std::stoull(line.substr(at + 3));
  }
  return 0;
}

/// Agents, spread over a few processes. The first, a hub where the shape has one, has its own.
class Fleet {
 public:
  /// `dir` is of the first, `others` of all others.
  Fleet(Run& run, std::size_t agents, std::size_t records, const std::filesystem::path& dir,
        const std::filesystem::path& others) {
    constexpr std::size_t hosts_max = 8;
    std::vector<std::pair<std::filesystem::path, std::string>> members;
    for (std::size_t i = 0; i < agents; ++i) {
      members.emplace_back((i == 0 ? dir : others) / std::to_string(i), "agent-" + std::to_string(i));
    }
    bench::found(members);
    for (std::size_t i = 0; i < std::min(agents, 1 + hosts_max); ++i) {
      const auto& place = i == 0 ? dir : others;
      std::filesystem::create_directories(place);
      hosts_.emplace_back([&](bench::Lines& lines) { bench::host_agents(place, lines); });
    }
    for (std::size_t i = 0; i < agents; ++i) {
      host(i).say("open " + std::to_string(i) + " " + std::to_string(records));
    }
    for (std::size_t i = 0; i < agents; ++i) {
      (void)host(i).hear();
      run.progress("agents", i + 1, agents);
    }
  }

  bench::Lines& host(std::size_t agent) {
    const std::size_t others = hosts_.size() - 1;
    return hosts_[agent == 0 || others == 0 ? 0 : 1 + agent % others].lines();
  }

  void link(const std::vector<Edge>& edges) {
    std::map<std::size_t, std::string> endpoints;
    for (const auto& [from, to] : edges) {
      if (endpoints.contains(to)) continue;
      host(to).say("serve " + std::to_string(to));
      endpoints[to] = host(to).hear();
    }
    for (const auto& [from, to] : edges) {
      host(from).say("connect " + std::to_string(from) + " " + endpoints.at(to));
    }
  }

  void wait_for(std::size_t records) {
    for (auto& each : hosts_) each.lines().say("wait " + std::to_string(records));
    for (auto& each : hosts_) bench::require(each.lines().hear() == "all", "no answer");
  }

  std::set<std::string> digests() {
    std::set<std::string> all;
    for (auto& each : hosts_) {
      each.lines().say("digest");
      for (auto line = each.lines().hear(); line != "end"; line = each.lines().hear()) {
        all.insert(line);
      }
    }
    return all;
  }

  double anonymous_octets() {
    double all = 0;
    for (auto& each : hosts_) all += anonymous_octets_of(each);
    return all;
  }

  /// Of the process of the first agent alone.
  double hub_octets() { return anonymous_octets_of(hosts_.front()); }

  // Lets an agent write, and says how long each of the others waited for it, in ms.
  void write(std::size_t agent, std::vector<std::string>& ids, std::vector<double>& begun) {
    host(agent).say("write " + std::to_string(agent));
    const std::string line = host(agent).hear();
    ids.push_back(line.substr(0, line.find(' ')));
    begun.push_back(std::stod(line.substr(line.find(' '))));
  }

  void waited(const std::string& id, double begun, std::vector<double>& all) {
    for (auto& each : hosts_) each.lines().say("seen " + id);
    for (auto& each : hosts_) {
      for (auto line = each.lines().hear(); line != "end"; line = each.lines().hear()) {
        all.push_back((std::stod(line) - begun) / 1e6);
      }
    }
  }

 private:
  static double anonymous_octets_of(bench::Child& host) {
    host.lines().say("memory");
    return std::stod(host.lines().hear());
  }

  std::vector<bench::Child> hosts_;
};

void merge(Run& run, Shape shape, std::size_t agents) {
  // Every agent ends up with the records of all: a million of a thousand agents, ten each would be 9 GB.
  const std::size_t each = 1;
  const bench::InMemory others;  // each agent has a disk of its own in life; here they would share one
  Fleet fleet(run, agents, each, run.fresh(), others.path());
  const auto edges = edges_of(shape, agents);
  const double before = fleet.anonymous_octets();
  const auto carried = loopback_octets();
  const double spent = bench::seconds([&] {
    fleet.link(edges);
    fleet.wait_for(agents * each);
  });
  const auto digests = fleet.digests();
  bench::require(digests.size() == 1, "agents differ");
  const auto octets = static_cast<double>(loopback_octets() - carried);
  run.report(
      {std::string("fleet/") + name_of(shape) + "_" + std::to_string(agents),
       {{"agents", agents}, {"records_each", each}, {"links", edges.size()}},
       {{"seconds", spent},
        {"octets_per_link", octets / static_cast<double>(edges.size())},
        {"octets_per_record_and_agent",
         octets / static_cast<double>(agents * each) / static_cast<double>(agents - 1)},
        {"anonymous_kib_per_agent", fleet.anonymous_octets() / 1'024 / static_cast<double>(agents)},
        {"anonymous_kib_grown_per_link",
         (fleet.anonymous_octets() - before) / 1'024 / static_cast<double>(edges.size())}},
       *digests.begin()});
}

void small(Run& run) {
  for (const Shape shape : {Shape::chain, Shape::star, Shape::two_hubs, Shape::mesh}) {
    merge(run, shape, run.size(10, 4));
  }
}

void middle(Run& run) {
  for (const Shape shape : {Shape::chain, Shape::star, Shape::two_hubs, Shape::mesh}) {
    merge(run, shape, run.size(100, 6));
  }
}

void large(Run& run) {
  for (const Shape shape : {Shape::chain, Shape::star, Shape::two_hubs, Shape::mesh}) {
    merge(run, shape, run.size(1'000, 8));
  }
}

// All linked to one hub, and a few writes a second of all together: what the last of them sees
// when.
void idle(Run& run) {
  const std::size_t agents = run.size(1'000, 6);
  const std::size_t writes = run.size(100, 5);
  constexpr auto pause = std::chrono::milliseconds(100);
  const bench::InMemory others;  // each agent has a disk of its own in life; here they would share one
  Fleet fleet(run, agents, 1, run.fresh(), others.path());
  const double before = fleet.hub_octets();
  const auto edges = edges_of(Shape::star, agents);
  fleet.link(edges);
  fleet.wait_for(agents);
  const double linked = fleet.hub_octets();
  std::vector<std::string> ids;
  std::vector<double> begun;
  for (std::size_t i = 0; i < writes; ++i) {
    std::this_thread::sleep_for(pause);
    fleet.write(i * 7 % agents, ids, begun);
  }
  std::vector<double> waited;
  for (std::size_t i = 0; i < writes; ++i) fleet.waited(ids[i], begun[i], waited);
  run.report(
      {"fleet/idle_" + std::to_string(agents),
       {{"agents", agents}, {"writes", writes}, {"per_s", 10}},
       {{"visible_p50_ms", bench::percentile(waited, 0.5)},
        {"visible_p99_ms", bench::percentile(waited, 0.99)},
        {"hub_anonymous_kib_per_link", (linked - before) / 1'024 / static_cast<double>(edges.size())}},
       std::to_string(waited.size())});
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_parts(argc, argv, "loam",
                          {{"small", small}, {"middle", middle}, {"large", large}, {"idle", idle}});
}
