// What linked instances see of each other while they write, in processes of their own: how soon,
// and how much. Durable everywhere, always.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <thread>

#include "bench/attacker.hpp"
#include "bench/child.hpp"
#include "bench/corpus.hpp"
#include "bench/federation.hpp"
#include "bench/harness.hpp"
#include "bench/records.hpp"
#include "lib/loam.hpp"

namespace {

using bench::Lines;
using bench::Run;
using Clock = std::chrono::steady_clock;

constexpr const char* segment = "lessons_learned";

loam::Memory open(const std::filesystem::path& dir, const std::string& name) {
  return loam::Memory::open(
      {.dir = dir, .name = name, .federation = {}, .log = {}, .now_ms = {}});
}

// One clock for all processes of the machine.
std::int64_t now_ns() { return Clock::now().time_since_epoch().count(); }

/// When each record of a number is seen by a watch.
class Seen {
 public:
  void note(const loam::Change& change) {
    const std::lock_guard lock(mutex_);
    const auto now = now_ns();
    for (const std::string& id : change.ids) times_.emplace(id, now);
    changed_.notify_all();
  }

  bool wait_for(std::size_t count, std::chrono::seconds within) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, within, [&] { return times_.size() >= count; });
  }

  std::map<std::string, std::int64_t> times() {
    const std::lock_guard lock(mutex_);
    return times_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::int64_t> times_;
};

// Serves, and says where; ends when it hears so.
void hub(const std::filesystem::path& dir, Lines& lines) {
  auto memory = open(dir, "hub");
  lines.say("ws://" + memory.serve({.listen = "127.0.0.1:0", .dial_known = false}));
  (void)lines.hear();
}

// Connects, watches, says when each of so many records was seen.
void reader(const std::filesystem::path& dir, std::size_t records, Lines& lines) {
  const std::string endpoint = lines.hear();
  auto memory = open(dir, "reader");
  Seen seen;
  const auto watching =
      memory.watch({segment}, [&](const loam::Change& change) { seen.note(change); });
  memory.connect(endpoint);
  while (!memory.status().peers.size() || !memory.status().peers.front().linked) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  lines.say("linked");
  bench::require(seen.wait_for(records, std::chrono::seconds(300)), "records are missing");
  for (const auto& [id, time] : seen.times()) lines.say(id + " " + std::to_string(time));
  lines.say("end");
  (void)lines.hear();
}

std::map<std::string, std::int64_t> times_of(Lines& lines) {
  std::map<std::string, std::int64_t> times;
  for (std::string line = lines.hear(); line != "end"; line = lines.hear()) {
    const auto space = line.find(' ');
    times[line.substr(0, space)] = std::stoll(line.substr(space + 1));
  }
  return times;
}

// Troubles who listens on a port, in a process of its own: says that it is ready, hears the port, goes on until it hears
// another line, and says how much it has done.
using Trouble = std::function<void(const std::filesystem::path& member, Lines& lines)>;

// Strangers, without a key that anybody knows.
Trouble strangers(bench::Attack how) {
  return [how](const std::filesystem::path&, Lines& lines) {
    lines.say("ready");
    const auto port = static_cast<std::uint16_t>(std::stoul(lines.hear()));
    bench::attack(how, port, lines);
  };
}

// A member that brings as many batches of one record as there are, each of which has to be verified by itself.
Trouble member_with(std::size_t records) {
  return [records](const std::filesystem::path& dir, Lines& lines) {
    auto memory = open(dir, "member");
    const bench::Corpus corpus(3);
    for (std::size_t i = 0; i < records; ++i) {
      auto packet = corpus.packet(i);
      packet.segment = "org_patterns";
      memory.write(packet);
    }
    lines.say("ready");
    memory.connect("ws://127.0.0.1:" + lines.hear());
    (void)lines.hear();
    std::uint64_t left = 0;
    for (const auto& peer : memory.status().peers) {
      if (const auto lag = peer.lag.find("org_patterns"); lag != peer.lag.end()) left += lag->second;
    }
    lines.say(std::to_string(records - left));
  };
}

// What one may bring of another's a second, before the instance is opened; 0: as much as it likes.
void set_quota(const std::filesystem::path& dir, std::uint64_t per_second) {
  if (per_second == 0) return;
  std::ofstream(dir / "config.toml") << "[sync]\nauthor_batches_per_second = " << per_second << "\n";
}

// How long until a write is seen in another process, at a steady rate, while somebody makes trouble. The time before
// the call of the writer counts, so its own commit does too. Trouble comes from other machines: here it has what
// processor time the others leave, and its store is in memory.
void visible_under(Run& run, const Trouble& trouble, const std::string& name, std::size_t records,
                   std::size_t per_second, std::uint64_t quota = 0) {
  const auto writer_dir = run.fresh();
  const auto reader_dir = run.fresh();
  const bench::InMemory member_dir;
  bench::found({{writer_dir, "writer"}, {reader_dir, "reader"}, {member_dir.path(), "member"}});
  for (const auto& dir : {writer_dir, reader_dir}) set_quota(dir, quota);
  bench::Child reading([&](Lines& lines) { reader(reader_dir, records, lines); });
  bench::Child attacking([&](Lines& lines) {
    bench::require(::setpriority(PRIO_PROCESS, 0, 19) == 0, "no lower priority");
    trouble(member_dir.path(), lines);
  });
  bench::require(attacking.lines().hear() == "ready", "the attack");
  auto memory = open(writer_dir, "writer");
  const std::string address = memory.serve({.listen = "127.0.0.1:0", .dial_known = false});
  reading.lines().say("ws://" + address);
  (void)reading.lines().hear();
  attacking.lines().say(address.substr(address.rfind(':') + 1));
  const bench::Corpus corpus(1);
  std::map<std::string, std::int64_t> written;
  std::vector<double> commits;
  auto due = Clock::now();
  for (std::size_t i = 0; i < records; ++i) {
    std::this_thread::sleep_until(due);
    due += std::chrono::microseconds(1'000'000 / per_second);
    run.progress(name, i, records);
    const auto packet = corpus.packet(i);
    const std::int64_t begun = now_ns();
    written[memory.write(packet).id] = begun;
    commits.push_back(static_cast<double>(now_ns() - begun) / 1e3);
  }
  const auto seen = times_of(reading.lines());
  std::vector<double> waited;
  for (const auto& [id, begun] : written) {
    waited.push_back(static_cast<double>(seen.at(id) - begun) / 1e3);
  }
  attacking.lines().say("enough");
  const auto troubles = std::stoull(attacking.lines().hear());
  run.report({name,
              {{"records", records}, {"per_s", per_second}},
              {{"p50_us", bench::percentile(waited, 0.5)},
               {"p99_us", bench::percentile(waited, 0.99)},
               {"commit_p50_us", bench::percentile(commits, 0.5)},
               {"commit_p99_us", bench::percentile(commits, 0.99)},
               {"troubles", static_cast<double>(troubles)},
               {"resident_mib", static_cast<double>(bench::memory_of(::getpid()).resident) / (1 << 20)}},
              std::to_string(waited.size())});
}

void visible(Run& run) {
  visible_under(run, strangers(bench::Attack::none), "live/visible", run.size(3'000, 60), 500);
}

// The same while strangers do what they can.
void attacked(Run& run) {
  const auto under = [&](const Trouble& trouble, const std::string& name) {
    visible_under(run, trouble, "live/attacked_" + name, run.size(2'000, 40), 200);
  };
  for (const auto how : {bench::Attack::none, bench::Attack::silent, bench::Attack::dripping, bench::Attack::passing,
                         bench::Attack::pings, bench::Attack::garbage}) {
    under(strangers(how), bench::name_of(how));
  }
}

// The same while a member brings much, without a quota for it and with one.
void crowded(Run& run) {
  constexpr std::size_t per_second = 200;
  const Trouble member = member_with(run.size(60'000, 300));
  visible_under(run, member, "live/crowded", run.size(2'000, 40), per_second);
  visible_under(run, member, "live/crowded_quota", run.size(2'000, 40), per_second, 2 * per_second);
}

// As fast as it goes from one instance over a hub to another.
void flood(Run& run) {
  const std::size_t records = run.size(100'000, 2'000);
  constexpr std::size_t batch = 500;
  const auto hub_dir = run.fresh();
  const auto reader_dir = run.fresh();
  const auto writer_dir = run.fresh();
  bench::found({{hub_dir, "hub"}, {reader_dir, "reader"}, {writer_dir, "writer"}});
  bench::Child serving([&](Lines& lines) { hub(hub_dir, lines); });
  bench::Child reading([&](Lines& lines) { reader(reader_dir, records, lines); });
  const std::string endpoint = serving.lines().hear();
  reading.lines().say(endpoint);
  (void)reading.lines().hear();
  auto memory = open(writer_dir, "writer");
  memory.connect(endpoint);
  const bench::Corpus corpus(2);
  std::vector<std::vector<loam::PacketEnvelope>> batches;
  for (std::size_t done = 0; done < records; done += batch) {
    batches.push_back(corpus.packets(done, batch));
  }
  const std::int64_t begun = now_ns();
  std::vector<std::future<std::vector<loam::Receipt>>> pending;
  for (auto& packets : batches) pending.push_back(memory.write_async(std::move(packets)));
  for (auto& each : pending) each.wait();
  const std::int64_t written = now_ns();
  const auto seen = times_of(reading.lines());
  std::int64_t last = 0;
  for (const auto& [id, time] : seen) last = std::max(last, time);
  const auto per_s = [&](std::int64_t end) {
    return static_cast<double>(records) / (static_cast<double>(end - begun) / 1e9);
  };
  run.report({"live/flood",
              {{"records", records}, {"batch", batch}},
              {{"per_s", per_s(last)}, {"written_per_s", per_s(written)}},
              std::to_string(seen.size())});
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_parts(argc, argv, "loam", {{"visible", visible}, {"attacked", attacked}, {"crowded", crowded}, {"flood", flood}});
}
