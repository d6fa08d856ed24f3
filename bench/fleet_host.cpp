#include "bench/fleet_host.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <sstream>

#include "bench/corpus.hpp"
#include "bench/harness.hpp"
#include "bench/records.hpp"
#include "lib/loam.hpp"

namespace bench {
namespace {

constexpr const char* segment = "lessons_learned";
constexpr auto patience = std::chrono::minutes(10);

std::int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

/// One agent: its memory, and which records it has seen when.
struct Agent {
  Agent(const std::filesystem::path& dir, std::uint64_t number, std::size_t records)
      : memory(loam::Memory::open({.dir = dir / std::to_string(number),
                                   .name = "agent-" + std::to_string(number),
                                   .federation = {},
                                   .log = {},
                                   .now_ms = {}})),
        corpus(number + 1) {
    if (records > 0) memory.write(corpus.packets(0, records));
    written = count = records;
    watching = memory.watch({segment}, [this](const loam::Change& change) { note(change); });
  }

  void note(const loam::Change& change) {
    const std::lock_guard lock(mutex);
    const auto now = now_ns();
    for (const std::string& id : change.ids) {
      if (seen.emplace(id, now).second) ++news;
    }
    changed.notify_all();
  }

  // The watch tells of new ones; who counts them all reads the store.
  bool has(std::uint64_t records) {
    return memory.status().segments.at(segment).records >= records;
  }

  loam::Memory memory;
  Corpus corpus;
  std::uint64_t written = 0;
  std::uint64_t count = 0;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, std::int64_t> seen;
  std::uint64_t news = 0;
  loam::Subscription watching;
};

void wait_for_all(std::map<std::uint64_t, std::unique_ptr<Agent>>& agents, std::uint64_t records) {
  const auto end = std::chrono::steady_clock::now() + patience;
  for (auto& [number, agent] : agents) {
    std::unique_lock lock(agent->mutex);
    for (;;) {
      const std::uint64_t known = agent->news;
      lock.unlock();
      const bool has_all = agent->has(records);
      lock.lock();
      if (has_all) break;
      require(std::chrono::steady_clock::now() < end, "agents do not converge");
      agent->changed.wait_for(lock, std::chrono::milliseconds(100),
                              [&] { return agent->news != known; });
    }
  }
}

}  // namespace

void host_agents(const std::filesystem::path& dir, Lines& lines) {
  struct rlimit files {};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  std::map<std::uint64_t, std::unique_ptr<Agent>> agents;
  for (;;) {
    std::istringstream words(lines.hear());
    std::string order;
    std::uint64_t number = 0;
    words >> order;
    if (order == "open") {
      std::size_t records = 0;
      words >> number >> records;
      agents[number] = std::make_unique<Agent>(dir, number, records);
      lines.say("opened");
    } else if (order == "serve") {
      words >> number;
      lines.say("ws://" +
                agents.at(number)->memory.serve({.listen = "127.0.0.1:0", .dial_known = false}));
    } else if (order == "connect") {
      std::string endpoint;
      words >> number >> endpoint;
      agents.at(number)->memory.connect(endpoint);
    } else if (order == "wait") {
      std::uint64_t records = 0;
      words >> records;
      wait_for_all(agents, records);
      lines.say("all");
    } else if (order == "write") {
      words >> number;
      Agent& agent = *agents.at(number);
      const auto begun = now_ns();
      const auto receipt = agent.memory.write(agent.corpus.packet(agent.written++));
      lines.say(receipt.id + " " + std::to_string(begun));
    } else if (order == "seen") {
      std::string id;
      words >> id;
      for (auto& [each, agent] : agents) {
        std::unique_lock lock(agent->mutex);
        const bool is_seen =
            agent->changed.wait_for(lock, patience, [&] { return agent->seen.contains(id); });
        require(is_seen, "a record was not seen");
        lines.say(std::to_string(agent->seen.at(id)));
      }
      lines.say("end");
    } else if (order == "digest") {
      for (auto& [each, agent] : agents) lines.say(agent->memory.digest(segment).at(segment));
      lines.say("end");
    } else if (order == "memory") {
      lines.say(std::to_string(memory_of(::getpid()).anonymous));
    }
  }
}

}  // namespace bench
