// What one instance does with its own store: durable writes, opening, reading, churn.
#include <algorithm>
#include <deque>
#include <thread>

#include "bench/corpus.hpp"
#include "bench/harness.hpp"
#include "lib/loam.hpp"

namespace {

using bench::Run;
using bench::seconds;

constexpr const char* segment = "lessons_learned";

loam::Memory open(const std::filesystem::path& dir) {
  return loam::Memory::open(
      {.dir = dir, .name = "bench", .federation = {}, .log = {}, .now_ms = {}});
}

std::uint64_t live(const loam::Memory& memory) {
  return memory.status().segments.at(segment).records;
}

// Stores records in large batches: not what is measured.
void fill(const Run& run, loam::Memory& memory, std::size_t records, std::uint64_t seed) {
  const bench::Corpus corpus(seed);
  constexpr std::size_t batch = 1'000;
  for (std::size_t done = 0; done < records; done += batch) {
    memory.write(corpus.packets(done, std::min(batch, records - done)));
    run.progress("filling", std::min(records, done + batch), records);
  }
}

// One caller, one durable write after the other.
void single(Run& run) {
  const std::size_t records = run.size(2'000, 50);
  auto memory = open(run.fresh());
  const bench::Corpus corpus(2);
  std::vector<double> each;
  const double spent = seconds([&] {
    for (std::size_t i = 0; i < records; ++i) {
      const auto packet = corpus.packet(i);
      each.push_back(seconds([&] { memory.write(packet); }));
    }
  });
  bench::require(live(memory) == records, "records are missing");
  run.report({"store/single",
              {{"records", records}},
              {{"per_s", static_cast<double>(records) / spent},
               {"p50_us", bench::percentile(each, 0.5) * 1e6},
               {"p99_us", bench::percentile(each, 0.99) * 1e6}},
              std::to_string(live(memory))});
}

void callers(Run& run) {
  const std::size_t callers = run.size(64, 8);
  const std::size_t each = run.size(1'000, 25);
  auto memory = open(run.fresh());
  const bench::Corpus corpus(2);
  const double spent = seconds([&] {
    std::vector<std::thread> threads;
    for (std::size_t caller = 0; caller < callers; ++caller) {
      threads.emplace_back([&, caller] {
        for (std::size_t i = 0; i < each; ++i) memory.write(corpus.packet(caller * each + i));
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  bench::require(live(memory) == callers * each, "records are missing");
  run.report({"store/callers",
              {{"callers", callers}, {"records", callers * each}},
              {{"per_s", static_cast<double>(callers * each) / spent}},
              std::to_string(live(memory))});
}

void batches_of(Run& run, const char* name, std::size_t records, std::size_t batch) {
  auto memory = open(run.fresh());
  const bench::Corpus corpus(1);
  double spent = 0;
  for (std::size_t done = 0; done < records; done += batch) {
    const auto packets = corpus.packets(done, batch);
    spent += seconds([&] { memory.write(packets); });
    run.progress(name, done + batch, records);
  }
  bench::require(live(memory) == records, "records are missing");
  run.report({name,
              {{"records", records}, {"batch", batch}},
              {{"per_s", static_cast<double>(records) / spent}},
              std::to_string(live(memory))});
}

void batches_of_100(Run& run) {
  batches_of(run, "store/batches_100", run.size(50'000, 1'000), 100);
}
void batches(Run& run) { batches_of(run, "store/batches_1000", run.size(200'000, 2'000), 1'000); }

// Opens a store anew until its first record is read.
void opening_of(Run& run, const char* name, std::size_t records) {
  const auto dir = run.fresh();
  std::string id;
  {
    auto memory = open(dir);
    fill(run, memory, records, 4);
    id = memory.remember({.text = "the record that is read first"}).id;
  }
  std::vector<double> spent;
  for (int i = 0; i < 5; ++i) {
    bool is_there = false;
    spent.push_back(seconds([&] { is_there = open(dir).get(id).has_value(); }));
    bench::require(is_there, "the record is missing");
  }
  run.report({name,
              {{"records", records}},
              {{"ms", bench::percentile(spent, 0.5) * 1e3},
               {"disk_octets", static_cast<double>(bench::octets_on_disk(dir))}},
              "read"});
}

void open_small(Run& run) { opening_of(run, "store/open_10000", run.size(10'000, 500)); }
void open_middle(Run& run) { opening_of(run, "store/open_100000", run.size(100'000, 1'000)); }
void open_large(Run& run) { opening_of(run, "store/open_1000000", run.size(1'000'000, 2'000)); }

// Records by their ids, in no order; and all of them, page by page.
void reading(Run& run) {
  const std::size_t records = run.size(100'000, 1'000);
  auto memory = open(run.fresh());
  fill(run, memory, records, 5);
  std::vector<std::string> ids;
  const auto scan = [&] {
    ids.clear();
    loam::ListQuery query{.segment = segment, .limit = 1'000, .cursor = {}};
    for (;;) {
      const auto page = memory.list(query);
      for (const auto& record : page.items) ids.push_back(record.id);
      if (!page.next) return;
      query.cursor = *page.next;
    }
  };
  const double scanned = seconds(scan);
  bench::require(ids.size() == records, "records are missing");
  const std::size_t gets = run.size(200'000, 1'000);
  std::size_t found = 0;
  const double got = seconds([&] {
    for (std::size_t i = 0; i < gets; ++i) found += memory.get(ids[i * 7'919 % records]) ? 1 : 0;
  });
  bench::require(found == gets, "records are missing");
  run.report({"store/get",
              {{"records", records}, {"gets", gets}},
              {{"per_s", static_cast<double>(gets) / got}},
              std::to_string(found)});
  run.report({"store/scan",
              {{"records", records}},
              {{"per_s", static_cast<double>(records) / scanned}},
              std::to_string(ids.size())});
}

// Adds and removes over a number of records that stays the same: nothing may grow.
void churn(Run& run) {
  const std::size_t kept = run.size(10'000, 500);
  const std::size_t cycles = run.size(100'000, 2'000);
  constexpr std::size_t batch = 500;
  const auto dir = run.fresh();
  auto memory = open(dir);
  const bench::Corpus corpus(6);
  std::deque<std::string> ids;
  for (std::size_t i = 0; i < kept; i += batch) {
    for (const auto& receipt : memory.write(corpus.packets(i, batch))) ids.push_back(receipt.id);
  }
  const auto before = memory.status().segments.at(segment);
  const double disk_before = static_cast<double>(bench::octets_on_disk(dir));
  const double spent = seconds([&] {
    for (std::size_t i = 0; i < cycles; i += batch) {
      std::vector<std::string> old(ids.begin(), ids.begin() + batch);
      ids.erase(ids.begin(), ids.begin() + batch);
      memory.forget(old);
      for (const auto& receipt : memory.write(corpus.packets(kept + i, batch))) {
        ids.push_back(receipt.id);
      }
      run.progress("churn", i + batch, cycles);
    }
  });
  const auto after = memory.status().segments.at(segment);
  bench::require(after.records == before.records, "records are missing");
  run.report(
      {"store/churn",
       {{"kept", kept}, {"cycles", cycles}, {"batch", batch}},
       {{"per_s", static_cast<double>(cycles) / spent},
        {"state_growth", static_cast<double>(after.bytes) / static_cast<double>(before.bytes)},
        {"disk_growth", static_cast<double>(bench::octets_on_disk(dir)) / disk_before}},
       std::to_string(after.records)});
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_parts(argc, argv, "loam",
                          {{"single", single},
                           {"callers", callers},
                           {"batches_100", batches_of_100},
                           {"batches_1000", batches},
                           {"open_10000", open_small},
                           {"open_100000", open_middle},
                           {"open_1000000", open_large},
                           {"reading", reading},
                           {"churn", churn}});
}
