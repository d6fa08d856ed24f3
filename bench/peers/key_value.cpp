#include "bench/peers/key_value.hpp"

#include <algorithm>
#include <thread>

#include "bench/harness.hpp"
#include "bench/records.hpp"

namespace bench {
namespace {

OpenKeyValue open_store;  // of the one peer that this process measures

std::unique_ptr<KeyValue> open_in(const std::filesystem::path& dir) {
  std::filesystem::create_directories(dir);
  return open_store(dir);
}

std::string key_of(std::size_t number) {
  std::string key(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) key[7 - i] = static_cast<char>(number >> (8 * i));
  return key;
}

KeyValue::Pairs pairs(std::size_t first, std::size_t count) {
  const Corpus corpus(1);
  KeyValue::Pairs all;
  for (std::size_t i = first; i < first + count; ++i) {
    all.emplace_back(key_of(i), std::string(loam::text_of(set_record(corpus, i))));
  }
  return all;
}

void fill(const Run& run, KeyValue& store, std::size_t records) {
  constexpr std::size_t batch = 10'000;
  for (std::size_t done = 0; done < records; done += batch) {
    store.put(pairs(done, std::min(batch, records - done)));
    run.progress("filling", std::min(records, done + batch), records);
  }
}

void single(Run& run) {
  const std::size_t records = run.size(2'000, 50);
  const auto store = open_in(run.fresh());
  std::vector<double> each;
  for (std::size_t i = 0; i < records; ++i) {
    const auto one = pairs(i, 1);
    each.push_back(seconds([&] { store->put(one); }));
  }
  require(store->scan() == records, "records are missing");
  double spent = 0;
  for (const double one : each) spent += one;
  run.report({"store/single",
              {{"records", records}},
              {{"per_s", static_cast<double>(records) / spent},
               {"p50_us", percentile(each, 0.5) * 1e6},
               {"p99_us", percentile(each, 0.99) * 1e6}},
              std::to_string(records)});
}

void callers(Run& run) {
  const std::size_t callers = run.size(64, 8);
  const std::size_t each = run.size(1'000, 25);
  const auto store = open_in(run.fresh());
  std::vector<std::unique_ptr<KeyValue>> handles;
  std::vector<KeyValue::Pairs> records;
  for (std::size_t i = 0; i < callers; ++i) {
    handles.push_back(store->another());
    if (!handles.back()) return;
    records.push_back(pairs(i * each, each));
  }
  const double spent = seconds([&] {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < callers; ++i) {
      threads.emplace_back([&, i] {
        for (const auto& pair : records[i]) handles[i]->put({pair});
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  require(store->scan() == callers * each, "records are missing");
  run.report({"store/callers",
              {{"callers", callers}, {"records", callers * each}},
              {{"per_s", static_cast<double>(callers * each) / spent}},
              std::to_string(callers * each)});
}

void batches_of(Run& run, const char* name, std::size_t records, std::size_t batch) {
  const auto store = open_in(run.fresh());
  double spent = 0;
  for (std::size_t done = 0; done < records; done += batch) {
    const auto some = pairs(done, batch);
    spent += seconds([&] { store->put(some); });
  }
  require(store->scan() == records, "records are missing");
  run.report({name,
              {{"records", records}, {"batch", batch}},
              {{"per_s", static_cast<double>(records) / spent}},
              std::to_string(records)});
}

void batches_of_100(Run& run) {
  batches_of(run, "store/batches_100", run.size(50'000, 1'000), 100);
}
void batches(Run& run) { batches_of(run, "store/batches_1000", run.size(200'000, 2'000), 1'000); }

void opening_of(Run& run, const char* name, std::size_t records) {
  const auto dir = run.fresh();
  fill(run, *open_in(dir), records);
  std::vector<double> spent;
  for (int i = 0; i < 5; ++i) {
    std::unique_ptr<KeyValue> store;
    bool is_there = false;
    spent.push_back(seconds([&] {
      store = open_in(dir);
      is_there = store->get(key_of(records / 2));
    }));
    require(is_there, "the record is missing");
  }
  run.report({name,
              {{"records", records}},
              {{"ms", percentile(spent, 0.5) * 1e3},
               {"disk_octets", static_cast<double>(octets_on_disk(dir))}},
              "read"});
}

void open_small(Run& run) { opening_of(run, "store/open_10000", run.size(10'000, 500)); }
void open_middle(Run& run) { opening_of(run, "store/open_100000", run.size(100'000, 1'000)); }
void open_large(Run& run) { opening_of(run, "store/open_1000000", run.size(1'000'000, 2'000)); }

void reading(Run& run) {
  const std::size_t records = run.size(100'000, 1'000);
  const std::size_t gets = run.size(200'000, 1'000);
  const auto store = open_in(run.fresh());
  fill(run, *store, records);
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < gets; ++i) keys.push_back(key_of(i * 7'919 % records));
  std::size_t found = 0;
  const double got = seconds([&] {
    for (const std::string& key : keys) found += store->get(key) ? 1 : 0;
  });
  require(found == gets, "records are missing");
  const double scanned = seconds([&] { found = store->scan(); });
  require(found == records, "records are missing");
  run.report({"store/get",
              {{"records", records}, {"gets", gets}},
              {{"per_s", static_cast<double>(gets) / got}},
              std::to_string(gets)});
  run.report({"store/scan",
              {{"records", records}},
              {{"per_s", static_cast<double>(records) / scanned}},
              std::to_string(records)});
}

void churn(Run& run) {
  const std::size_t kept = run.size(10'000, 500);
  const std::size_t cycles = run.size(100'000, 2'000);
  constexpr std::size_t batch = 500;
  const auto dir = run.fresh();
  const auto store = open_in(dir);
  for (std::size_t i = 0; i < kept; i += batch) store->put(pairs(i, batch));
  const auto before = static_cast<double>(octets_on_disk(dir));
  double spent = 0;
  for (std::size_t i = 0; i < cycles; i += batch) {
    std::vector<std::string> old;
    for (std::size_t k = i; k < i + batch; ++k) old.push_back(key_of(k));
    const auto some = pairs(kept + i, batch);
    spent += seconds([&] {
      store->remove(old);
      store->put(some);
    });
  }
  require(store->scan() == kept, "records are missing");
  run.report({"store/churn",
              {{"kept", kept}, {"cycles", cycles}, {"batch", batch}},
              {{"per_s", static_cast<double>(cycles) / spent},
               {"disk_growth", static_cast<double>(octets_on_disk(dir)) / before}},
              std::to_string(kept)});
}

}  // namespace

int run_key_value(int argc, char** argv, const std::string& implementation,
                  const OpenKeyValue& open) {
  open_store = open;
  return run_parts(argc, argv, implementation,
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

}  // namespace bench
