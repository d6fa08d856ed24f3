// Strong reads and writes: three voters in processes of their own, and a caller that is none.
#include <atomic>
#include <chrono>
#include <thread>

#include "bench/child.hpp"
#include "bench/federation.hpp"
#include "bench/harness.hpp"
#include "lib/loam.hpp"

namespace {

using bench::Run;
using std::chrono_literals::operator""s;

constexpr int voters = 3;

loam::Memory open(const std::filesystem::path& dir, const std::string& name) {
  return loam::Memory::open({.dir = dir, .name = name, .federation = {}, .log = {}, .now_ms = {}});
}

/// The voters' processes; what they are told, each does.
class Voters {
 public:
  explicit Voters(Run& run) {
    std::vector<std::pair<std::filesystem::path, std::string>> members;
    for (const char* name : {"alpha", "beta", "gamma", "delta"}) members.emplace_back(run.fresh(), name);
    caller_dir_ = members.back().first;
    bench::found(members);
    for (int i = 0; i < voters; ++i) {
      children_.emplace_back([member = members[static_cast<std::size_t>(i)], first = i == 0](bench::Lines& lines) {
        serve(member, first, lines);
      });
    }
    for (bench::Child& child : children_) endpoints_.push_back("ws://" + child.lines().hear());
    for (std::size_t i = 0; i < children_.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) say(i, "connect " + endpoints_[j]);
    }
    for (const char* name : {"beta", "gamma"}) say(0, std::string("voter ") + name);
  }

  loam::Memory caller() const {
    loam::Memory memory = open(caller_dir_, "delta");
    for (const std::string& endpoint : endpoints_) memory.connect(endpoint);
    (void)memory.rules({loam::Consistency::strong, 60s});  // links and all
    return memory;
  }

  void say(std::size_t to, const std::string& line) {
    children_[to].lines().say(line);
    bench::require(children_[to].lines().hear() == "done", "a voter did not do what it was told");
  }

 private:
  static void serve(const std::pair<std::filesystem::path, std::string>& member, bool is_first, bench::Lines& lines) {
    loam::Memory memory = open(member.first, member.second);
    lines.say(memory.serve({.listen = "127.0.0.1:0", .announce = {}, .dial_known = false}));
    std::atomic<bool> goes_on{true};
    std::thread writer;
    try {
      for (;;) {
        const std::string line = lines.hear();
        if (line.starts_with("connect ")) memory.connect(line.substr(8));
        if (line.starts_with("voter ") && is_first) make_voter(memory, line.substr(6));
        if (line.starts_with("write ")) {
          writer = std::thread([&memory, &goes_on, pause = std::chrono::microseconds(std::stol(line.substr(6)))] {
            auto next = std::chrono::steady_clock::now();
            for (std::int64_t i = 0; goes_on; ++i) {
              memory.remember({.text = memory.name() + " has written " + std::to_string(i)});
              std::this_thread::sleep_until(next += pause);
            }
          });
        }
        if (line == "quiet" && writer.joinable()) {
          goes_on = false;
          writer.join();
          goes_on = true;
        }
        lines.say("done");
      }
    } catch (const bench::Ended&) {
    }
    goes_on = false;
    if (writer.joinable()) writer.join();
  }

  static void make_voter(loam::Memory& memory, const std::string& name) {
    for (int tries = 0; tries < 600; ++tries) {
      try {
        memory.grant(name, {.voter = true});
        const auto report = memory.sync_shared_segments({.timeout = 60s, .strong = true});
        bench::require(report.strong->sealed, "the voters did not change: " + report.strong->error);
        return;
      } catch (const loam::Error&) {  // not met yet
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    }
    throw std::runtime_error("a voter was never met");
  }

  std::filesystem::path caller_dir_;
  std::vector<bench::Child> children_;
  std::vector<std::string> endpoints_;
};

struct Spent {
  std::vector<double> milliseconds;
  std::vector<double> rounds;

  template <class Call>
  void time(Call&& call) {
    loam::StrongReport report;
    const auto begun = std::chrono::steady_clock::now();
    call(loam::CallOptions{loam::Consistency::strong, 60s, &report});
    milliseconds.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun).count());
    rounds.push_back(static_cast<double>(report.rounds));
  }

  void report(Run& run, const std::string& name) const {
    run.report({name,
                {{"voters", voters}, {"calls", rounds.size()}},
                {{"p50_ms", bench::percentile(milliseconds, 0.5)}, {"p99_ms", bench::percentile(milliseconds, 0.99)},
                 {"rounds_p50", bench::percentile(rounds, 0.5)}, {"rounds_p99", bench::percentile(rounds, 0.99)}},
                std::to_string(rounds.size())});
  }
};

void read(Run& run, const std::string& name, std::size_t calls, std::size_t writers, int pause_us) {
  Voters all(run);
  const loam::Memory memory = all.caller();
  for (std::size_t i = 0; i < writers; ++i) all.say(i, "write " + std::to_string(pause_us));
  Spent spent;
  for (std::size_t i = 0; i < calls; ++i) {
    run.progress(name, i, calls);
    spent.time([&](const loam::CallOptions& options) {
      (void)memory.read_strongly({"lessons_learned"}, [&] { return memory.digest("lessons_learned"); }, options);
    });
    std::this_thread::sleep_for(std::chrono::microseconds(i * 7'919 % 20'000));  // at no certain time of a writer's
  }
  for (std::size_t i = 0; i < writers; ++i) all.say(i, "quiet");
  spent.report(run, name);
}

void read_quiet(Run& run) { read(run, "strong/read_quiet", run.size(1'000, 5), 0, 0); }
void read_busy(Run& run) { read(run, "strong/read_busy", run.size(1'000, 5), 1, 10'000); }
void read_rivals(Run& run) { read(run, "strong/read_rivals", run.size(1'000, 5), 2, 20'000); }

void write(Run& run) {
  Voters all(run);
  loam::Memory memory = all.caller();
  const std::size_t calls = run.size(1'000, 5);
  Spent strong;
  Spent eventual;
  for (std::size_t i = 0; i < calls; ++i) {
    run.progress("write", i, calls);
    strong.time([&](const loam::CallOptions& options) { memory.remember({.text = "strong " + std::to_string(i)}, options); });
    eventual.time([&](const loam::CallOptions&) { memory.remember({.text = "eventual " + std::to_string(i)}); });
  }
  strong.report(run, "strong/write");
  eventual.report(run, "strong/write_eventual");
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_parts(argc, argv, "loam",
                          {{"strong_read_quiet", read_quiet}, {"strong_read_busy", read_busy},
                           {"strong_read_rivals", read_rivals}, {"strong_write", write}});
}
