#include "tests/sim/runner.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "tests/sim/world.hpp"
#include "tests/support/forall.hpp"

namespace loam::sim {
namespace {

constexpr int shrink_tries = 600;

std::string made_directory() {
  const char* chosen = ::test::environment("TMPDIR");
  const bool has_memory = std::filesystem::is_directory("/dev/shm");
  std::string pattern = chosen ? chosen : has_memory ? "/dev/shm" : "/tmp";
  pattern += "/loam-sim.XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no scratch directory");
  return pattern;
}

/// The state of one attempt to make a failure smaller.
class Shrinker {
 public:
  Shrinker(const Scenario& scenario, Selection failing, int tries,
           const std::function<bool(const Selection&)>& fails)
      : scenario_(scenario), best_(std::move(failing)), tries_(tries), fails_(fails) {}

  Selection run() {
    if (!best_.kept) {
      best_.kept.emplace();
      for (std::size_t i = 0; i < scenario_.events.size(); ++i) best_.kept->insert(i);
    }
    for (bool more = true; more && tries_ > 0;) {
      const std::size_t before = best_.kept->size() + best_.replicas.value_or(100);
      without_kinds();
      for (std::size_t size = best_.kept->size() / 2; size >= 1; size /= 2) without_runs(size);
      fewer_replicas();
      without_settings();
      more = best_.kept->size() + best_.replicas.value_or(100) < before;
    }
    return best_;
  }

 private:
  bool attempt(const Selection& smaller) {
    if (tries_-- <= 0 || !fails_(smaller)) return false;
    best_ = smaller;
    return true;
  }

  void without_kinds() {
    for (std::size_t kind = 0; kind < step_kinds; ++kind) {
      Selection smaller = best_;
      std::erase_if(*smaller.kept, [&](std::size_t number) {
        return scenario_.events[number].step == static_cast<Step>(kind);
      });
      if (smaller.kept->size() < best_.kept->size()) (void)attempt(smaller);
    }
  }

  void without_runs(std::size_t size) {
    for (std::size_t first = 0; first < best_.kept->size();) {
      Selection smaller = best_;
      auto from = std::next(smaller.kept->begin(), static_cast<std::ptrdiff_t>(first));
      for (std::size_t i = 0; i < size && from != smaller.kept->end(); ++i) {
        from = smaller.kept->erase(from);
      }
      if (!attempt(smaller)) first += size;
      if (tries_ <= 0) return;
    }
  }

  void fewer_replicas() {
    const std::size_t most = best_.replicas.value_or(scenario_.setup.replicas);
    for (std::size_t count = 2; count < most; ++count) {
      Selection smaller = best_;
      smaller.replicas = count;
      if (attempt(smaller)) return;
    }
  }

  void without_settings() {
    for (const char* name : setting_names) {
      Selection smaller = best_;
      if (smaller.off.insert(name).second) (void)attempt(smaller);
    }
  }

  const Scenario& scenario_;
  Selection best_;
  int tries_;
  const std::function<bool(const Selection&)>& fails_;
};

}  // namespace

Selection shrunk(const Scenario& scenario, Selection failing, int tries,
                 const std::function<bool(const Selection&)>& fails) {
  return Shrinker(scenario, std::move(failing), tries, fails).run();
}

Runner::Runner(const Switches& switches) : switches_(switches), dir_(made_directory()) {}

Runner::~Runner() {
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

Result Runner::run(std::uint64_t seed, const Selection& selection, bool is_shown) const {
  ::test::running_seed = seed;
  const Scenario scenario = selected(scenario_of(seed, switches_), selection);
  Trace trace(is_shown);
  run_world(scenario, switches_, std::filesystem::path(dir_) / "run", trace);
  ::test::running_seed = 0;
  return {trace.failure(), trace.hash(), trace.markers(), scenario.events.size()};
}

Selection Runner::shrunk(std::uint64_t seed, const Selection& failing) const {
  return sim::shrunk(scenario_of(seed, switches_), failing, shrink_tries,
                     [&](const Selection& smaller) { return !run(seed, smaller).failure.empty(); });
}

}  // namespace loam::sim
