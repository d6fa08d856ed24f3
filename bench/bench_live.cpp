// What linked instances see of each other while they write, in processes of their own: how soon,
// and how much. Durable everywhere, always.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
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

// How long until a write is seen in another process, at a steady rate, while somebody troubles the port. The time before
// the call of the writer counts, so its own commit does too.
void visible_under(Run& run, bench::Attack how, const std::string& name, std::size_t records, std::size_t per_second) {
  const auto writer_dir = run.fresh();
  const auto reader_dir = run.fresh();
  bench::found({{writer_dir, "writer"}, {reader_dir, "reader"}});
  bench::Child reading([&](Lines& lines) { reader(reader_dir, records, lines); });
  bench::Child attacking([&](Lines& lines) {
    const auto port = static_cast<std::uint16_t>(std::stoul(lines.hear()));
    bench::attack(how, port, lines);
  });
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
  const auto opened = std::stoull(attacking.lines().hear());
  run.report({name,
              {{"records", records}, {"per_s", per_second}},
              {{"p50_us", bench::percentile(waited, 0.5)},
               {"p99_us", bench::percentile(waited, 0.99)},
               {"commit_p50_us", bench::percentile(commits, 0.5)},
               {"commit_p99_us", bench::percentile(commits, 0.99)},
               {"connections_attacking", static_cast<double>(opened)},
               {"resident_mib", static_cast<double>(bench::memory_of(::getpid()).resident) / (1 << 20)}},
              std::to_string(waited.size())});
}

void visible(Run& run) { visible_under(run, bench::Attack::none, "live/visible", run.size(3'000, 60), 500); }

// The same while strangers do what they can.
void attacked(Run& run) {
  for (const auto how : {bench::Attack::none, bench::Attack::silent, bench::Attack::dripping, bench::Attack::passing,
                         bench::Attack::pings, bench::Attack::garbage}) {
    visible_under(run, how, std::string("live/attacked_") + bench::name_of(how), run.size(2'000, 40), 200);
  }
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
  return bench::run_parts(argc, argv, "loam", {{"visible", visible}, {"attacked", attacked}, {"flood", flood}});
}
