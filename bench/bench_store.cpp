// Durable writes, first copy and opening, beside what raw LMDB does on the same disk in the same run.
// Prints one JSON object a line; --smoke runs small sizes, for the ordinary tests.
#include <lmdb.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <thread>

#include "bench/corpus.hpp"
#include "crdt/error.hpp"
#include "lib/loam.hpp"

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t record_octets = 300;

struct Sizes {
  std::size_t batched = 200'000;
  std::size_t callers = 64;
  std::size_t per_caller = 1'000;
  std::size_t copied = 100'000;
  std::size_t opened = 1'000'000;
  int rounds = 3;
};

double seconds(const std::function<void()>& body) {
  const auto start = Clock::now();
  body();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Anonymous resident memory of this process, in octets: pages of mapped files are the kernel's cache.
std::uint64_t anonymous_octets() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.rfind("RssAnon:", 0) == 0) return std::stoull(line.substr(8)) * 1024;
  }
  return 0;
}

void check(int code, const char* what) {
  if (code == 0) return;
  std::cerr << what << ": " << mdb_strerror(code) << "\n";
  std::exit(1);
}

// Raw LMDB: the same octets under an appended key, `per_commit` in one transaction, default syncing.
double raw_commit_rate(const fs::path& dir, std::size_t records, std::size_t per_commit) {
  fs::create_directories(dir);
  MDB_env* env = nullptr;
  check(mdb_env_create(&env), "env");
  check(mdb_env_set_mapsize(env, std::size_t{4} << 30), "mapsize");
  check(mdb_env_open(env, dir.c_str(), 0, 0600), "open");
  MDB_dbi dbi = 0;
  const std::string value(record_octets, 'x');
  std::uint64_t key = 0;
  const double spent = seconds([&] {
    for (std::size_t done = 0; done < records; done += per_commit) {
      MDB_txn* txn = nullptr;
      check(mdb_txn_begin(env, nullptr, 0, &txn), "begin");
      if (dbi == 0) check(mdb_dbi_open(txn, nullptr, MDB_INTEGERKEY, &dbi), "dbi");
      for (std::size_t i = 0; i < per_commit; ++i, ++key) {
        MDB_val k{sizeof key, &key};
        MDB_val v{value.size(), const_cast<char*>(value.data())};
        check(mdb_put(txn, dbi, &k, &v, MDB_APPEND), "put");
      }
      check(mdb_txn_commit(txn), "commit");
    }
  });
  mdb_env_close(env);
  fs::remove_all(dir);
  return static_cast<double>(records) / spent;
}

struct Bench {
  fs::path dir;
  Sizes sizes;
  int made = 0;

  fs::path fresh() { return dir / std::to_string(++made); }

  loam::Memory open(const fs::path& at, const std::string& name,
                    std::optional<loam::FederationId> federation = {}) {
    return loam::Memory::open({.dir = at, .name = name, .federation = federation, .log = {}, .now_ms = {}});
  }

  void fill(loam::Memory& memory, std::size_t records, std::uint64_t seed) {
    const bench::Corpus corpus(seed);
    for (std::size_t done = 0; done < records; done += 1'000) {
      memory.write(corpus.packets(done, std::min<std::size_t>(1'000, records - done)));
    }
  }

  void batches() {
    std::vector<double> ours;
    std::vector<double> raw;
    std::string digest;
    const bench::Corpus corpus(1);
    for (int round = 0; round < sizes.rounds; ++round) {
      raw.push_back(raw_commit_rate(fresh(), sizes.batched, 1'000));
      const fs::path at = fresh();
      auto memory = open(at, "bench");
      double spent = 0;
      for (std::size_t done = 0; done < sizes.batched; done += 1'000) {
        const auto packets = corpus.packets(done, 1'000);
        spent += seconds([&] { memory.write(packets); });
      }
      ours.push_back(static_cast<double>(sizes.batched) / spent);
      digest = std::to_string(memory.status().segments.at("lessons_learned").records);
    }
    std::printf(
        "{\"bench\":\"durable batches of 1000\",\"records\":%zu,\"records_per_s\":%.0f,"
        "\"raw_lmdb_per_s\":%.0f,\"ratio\":%.3f,\"goal_per_s\":100000,\"live\":%s}\n",
        sizes.batched, median(ours), median(raw), median(ours) / median(raw), digest.c_str());
  }

  void callers() {
    std::vector<double> ours;
    std::vector<double> raw;
    std::uint64_t live = 0;
    for (int round = 0; round < sizes.rounds; ++round) {
      raw.push_back(raw_commit_rate(fresh(), std::min<std::size_t>(2'000, sizes.per_caller * 4), 1));
      auto memory = open(fresh(), "bench");
      const bench::Corpus corpus(2);
      const double spent = seconds([&] {
        std::vector<std::thread> threads;
        for (std::size_t caller = 0; caller < sizes.callers; ++caller) {
          threads.emplace_back([&, caller] {
            for (std::size_t i = 0; i < sizes.per_caller; ++i) {
              memory.write(corpus.packet(caller * sizes.per_caller + i));
            }
          });
        }
        for (std::thread& thread : threads) thread.join();
      });
      ours.push_back(static_cast<double>(sizes.callers * sizes.per_caller) / spent);
      live = memory.status().segments.at("lessons_learned").records;
    }
    std::printf(
        "{\"bench\":\"concurrent durable writes\",\"callers\":%zu,\"writes_per_s\":%.0f,"
        "\"raw_lmdb_single_commits_per_s\":%.0f,\"ratio\":%.2f,\"goal_per_s\":20000,\"live\":%llu}\n",
        sizes.callers, median(ours), median(raw), median(ours) / median(raw),
        static_cast<unsigned long long>(live));
  }

  void first_copy() {
    auto source = open(fresh(), "source");
    fill(source, sizes.copied, 3);
    std::vector<double> spent;
    std::vector<double> raw;
    std::uint64_t octets = 0;
    bool equal = true;
    const std::string address = source.serve({.listen = "127.0.0.1:0", .dial_known = false});
    for (int round = 0; round < sizes.rounds; ++round) {
      raw.push_back(static_cast<double>(sizes.copied) /
                    raw_commit_rate(fresh(), sizes.copied, 10'000));
      auto copy = open(fresh(), "copy", source.identity().federation);
      loam::SyncReport report;
      spent.push_back(seconds([&] {
        report = copy.sync_shared_segments(
            {.endpoints = {"ws://" + address}, .timeout = std::chrono::minutes(5)});
      }));
      octets = report.peers.at(0).bytes_received;
      equal = equal && report.converged && copy.digest() == source.digest();
    }
    const auto records = source.status().segments.at("lessons_learned");
    std::printf(
        "{\"bench\":\"first copy\",\"records\":%zu,\"seconds\":%.3f,\"raw_lmdb_seconds\":%.3f,"
        "\"ratio\":%.2f,\"goal_seconds\":1,\"octets_received\":%llu,"
        "\"octets_beyond_record\":%.2f,\"equal\":%s,\"anonymous_mib\":%.1f}\n",
        sizes.copied, median(spent), median(raw), median(spent) / median(raw),
        static_cast<unsigned long long>(octets),
        (static_cast<double>(octets) - static_cast<double>(records.bytes)) /
            static_cast<double>(records.records),
        equal ? "true" : "false", static_cast<double>(anonymous_octets()) / (1 << 20));
    if (!equal) std::exit(1);
  }

  void opening() {
    const fs::path at = fresh();
    std::string id;
    std::uint64_t memory_before = anonymous_octets();
    {
      auto memory = open(at, "bench");
      fill(memory, sizes.opened, 4);
      id = memory.remember({.text = "the record that is read first"}).id;
    }
    const std::uint64_t memory_after = anonymous_octets();
    std::vector<double> spent;
    for (int round = 0; round < 5; ++round) {
      std::optional<loam::Record> record;
      spent.push_back(seconds([&] {
        const auto memory = loam::Memory::open({.dir = at, .name = {}, .federation = {}, .log = {}, .now_ms = {}});
        record = memory.get(id);
      }));
      if (!record) std::exit(1);
    }
    std::printf(
        "{\"bench\":\"open to first read\",\"records\":%zu,\"milliseconds\":%.2f,\"goal_ms\":10,"
        "\"anonymous_mib_grown_while_writing\":%.1f}\n",
        sizes.opened, median(spent) * 1000,
        (static_cast<double>(memory_after) - static_cast<double>(memory_before)) / (1 << 20));
    fs::remove_all(at);
  }
};

}  // namespace

int main(int argc, char** argv) {
  Bench bench;
  std::string only;
  bench.dir = fs::current_path() / ("bench-store." + std::to_string(::getpid()));
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--smoke") {
      bench.sizes = {2'000, 8, 25, 2'000, 5'000, 1};
    } else if (argument == "--dir" && i + 1 < argc) {
      bench.dir = fs::path(argv[++i]) / ("bench-store." + std::to_string(::getpid()));
    } else if (argument == "--only" && i + 1 < argc) {
      only = argv[++i];
    } else {
      std::cerr << "bench_store [--smoke] [--dir DIRECTORY] [--only batches|callers|copy|open]\n";
      return argument == "--help" ? 0 : 2;
    }
  }
  const std::map<std::string, void (Bench::*)()> all{{"batches", &Bench::batches},
                                                     {"callers", &Bench::callers},
                                                     {"copy", &Bench::first_copy},
                                                     {"open", &Bench::opening}};
  if (!only.empty() && all.count(only) == 0) {
    std::cerr << "no such part: " << only << "\n";
    return 2;
  }
  fs::create_directories(bench.dir);
  fs::permissions(bench.dir, fs::perms::owner_all);
  int code = 0;
  try {
    for (const auto& [name, part] : all) {
      if (only.empty() || only == name) (bench.*part)();
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    code = 1;
  }
  fs::remove_all(bench.dir);
  return code;
}
