// What two instances exchange: a first copy between two processes, catching up, and what does not
// depend on how much there is.
#include <unistd.h>

#include "bench/child.hpp"
#include "bench/federation.hpp"
#include "bench/harness.hpp"
#include "bench/records.hpp"
#include "crdt/key.hpp"
#include "lib/config.hpp"
#include "lib/identity.hpp"
#include "lib/loam.hpp"
#include "lib/shared_store.hpp"

namespace {

using bench::Run;
using bench::seconds;

constexpr const char* segment = "lessons_learned";
constexpr std::size_t fill_batch = 1'000;

// bench/unverified.cpp: a program in which every signature counts as its author's, for the difference.
#ifdef LOAM_BENCH_UNVERIFIED
constexpr bool verifies = false;
#else
constexpr bool verifies = true;
#endif

loam::Memory open(const std::filesystem::path& dir, const std::string& name) {
  return loam::Memory::open({.dir = dir, .name = name, .federation = {}, .log = {}, .now_ms = {}});
}

/// Two directories with instances of one federation.
std::pair<std::filesystem::path, std::filesystem::path> fresh_pair(Run& run) {
  const std::pair dirs{run.fresh(), run.fresh()};
  bench::found({{dirs.first, "one"}, {dirs.second, "other"}});
  return dirs;
}

using Take = std::function<void(const loam::Receipt&)>;

// Hands over the receipts of what was written, in order. Keeps none: a million would count as memory of loam.
void fill(const Run& run, loam::Memory& memory, std::size_t records, std::uint64_t seed,
          std::size_t batch = fill_batch, const Take& take = {}) {
  const bench::Corpus corpus(seed);
  for (std::size_t done = 0; done < records; done += batch) {
    const auto count = std::min(batch, records - done);
    for (const auto& receipt : memory.write(corpus.packets(done, count))) {
      if (take) take(receipt);
    }
    run.progress("filling", done + count, records);
  }
}

std::vector<std::string> filled(const Run& run, loam::Memory& memory, std::size_t records, std::uint64_t seed) {
  std::vector<std::string> ids;
  fill(run, memory, records, seed, fill_batch, [&](const loam::Receipt& each) { ids.push_back(each.id); });
  return ids;
}

std::string digest(const loam::Memory& memory) { return memory.digest(segment).at(segment); }

loam::PeerReport sync(loam::Memory& memory, const std::string& endpoint) {
  const auto report =
      memory.sync_shared_segments({.endpoints = {endpoint}, .timeout = std::chrono::minutes(10)});
  bench::require(report.converged, "not equal: " + report.peers.at(0).error);
  return report.peers.at(0);
}

std::string serve(loam::Memory& memory) {
  return "ws://" + memory.serve({.listen = "127.0.0.1:0", .dial_known = false});
}

double octets(const loam::PeerReport& report) {
  return static_cast<double>(report.bytes_sent + report.bytes_received);
}

// An instance that has nothing joins one that has all: two processes, durable at the receiver.
void first_copy_of(Run& run, const char* name, std::size_t records, std::size_t batch = fill_batch) {
  const auto dirs = fresh_pair(run);
  bench::Child source([&](bench::Lines& lines) {
    auto memory = open(dirs.first, "one");
    fill(run, memory, records, 3, batch);
    lines.say(serve(memory));
    while (lines.hear() == "digest") lines.say(digest(memory));
  });
  const std::string endpoint = source.lines().hear();
  auto copy = open(dirs.second, "other");
  loam::PeerReport report;
  const double processor = bench::processor_seconds();
  const double spent = seconds([&] { report = sync(copy, endpoint); });
  const double processor_spent = bench::processor_seconds() - processor;
  const auto ours = bench::memory_of(::getpid());
  const auto theirs = bench::memory_of(source.id());
  source.lines().say("digest");
  const std::string expected = source.lines().hear();
  bench::require(digest(copy) == expected, "the copy is another");
  const auto status = copy.status().segments.at(segment);
  run.report({name,
              {{"records", records}},
              {{"seconds", spent},
               {"receiver_cpu_s", processor_spent},
               {"octets", octets(report)},
               {"octets_beyond_record", (octets(report) - static_cast<double>(status.bytes)) /
                                            static_cast<double>(status.records)},
               {"receiver_anonymous_mib", static_cast<double>(ours.anonymous) / (1 << 20)},
               {"receiver_resident_mib", static_cast<double>(ours.resident) / (1 << 20)},
               {"source_anonymous_mib", static_cast<double>(theirs.anonymous) / (1 << 20)},
               {"source_resident_mib", static_cast<double>(theirs.resident) / (1 << 20)}},
              expected});
}

void first_copy(Run& run) {
  first_copy_of(run, "sync/first_copy_100000", run.size(100'000, 2'000));
}
void large_copy(Run& run) {
  first_copy_of(run, "sync/first_copy_1000000", run.size(1'000'000, 3'000));
}
void signed_copy(Run& run) {
  const bool is_forgery_refused = !loam::is_signed_by(loam::PublicKey{}, "bench", {}, loam::Signature{});
  bench::require(is_forgery_refused == verifies, "signatures are not verified as they should be");
  first_copy_of(run, "sync/signed_copy_100000", run.size(100'000, 2'000), 100);
}

/// Two instances in this process that have the same records, and the first serves.
struct Pair {
  loam::Memory one;
  loam::Memory other;
  std::vector<std::string> ids;
  std::string endpoint;

  Pair(Run& run, std::size_t records) : Pair(run, records, fresh_pair(run)) {}

  Pair(Run& run, std::size_t records, const std::pair<std::filesystem::path, std::filesystem::path>& dirs)
      : one(open(dirs.first, "one")),
        other(open(dirs.second, "other")),
        ids(filled(run, one, records, 7)),
        endpoint(serve(one)) {
    (void)sync(other, endpoint);
  }

  void drop_journals() {
    one.drop_journal();
    other.drop_journal();
  }
};

// 100 adds and 20 removes on both sides, then once more with nothing changed.
void catch_up(Run& run) {
  const std::size_t records = run.size(100'000, 1'000);
  constexpr std::size_t adds = 100;
  constexpr std::size_t removes = 20;
  Pair pair(run, records);
  std::uint64_t before = pair.one.status().segments.at(segment).bytes;
  fill(run, pair.one, adds, 8);
  std::uint64_t own = pair.one.status().segments.at(segment).bytes - before;
  before = pair.other.status().segments.at(segment).bytes;
  fill(run, pair.other, adds, 9);
  own += pair.other.status().segments.at(segment).bytes - before;
  std::vector<std::string> gone(pair.ids.begin(), pair.ids.begin() + removes);
  pair.one.forget(gone);
  gone.assign(pair.ids.end() - removes, pair.ids.end());
  pair.other.forget(gone);
  const auto measured = [&](const char* name, double beside) {
    loam::PeerReport report;
    const double processor = bench::processor_seconds();
    const double spent = seconds([&] { report = sync(pair.other, pair.endpoint); });
    std::map<std::string, double> values{{"ms", spent * 1e3},
                                         {"cpu_ms", (bench::processor_seconds() - processor) * 1e3},
                                         {"octets", octets(report)},
                                         {"octets_opening", static_cast<double>(report.bytes_opening)}};
    if (beside > 0) values["octets_per_octet_of_records"] = octets(report) / beside;
    bench::require(digest(pair.one) == digest(pair.other), "they differ");
    const auto live = pair.one.status().segments.at(segment).records;
    bench::require(live == records + 2 * adds - 2 * removes, "records are missing");
    run.report({name,
                {{"records", records}, {"adds", adds}, {"removes", removes}},
                values,
                std::to_string(live)});
  };
  measured("sync/catch_up", static_cast<double>(own));
  measured("sync/nothing_changed", 0);
}

// Scattered removals that no journal tells any more.
void scattered(Run& run) {
  const std::size_t records = run.size(1'000'000, 5'000);
  const std::size_t removes = 100;
  Pair pair(run, records);
  std::vector<std::string> gone;
  for (std::size_t i = 0; i < removes; ++i) gone.push_back(pair.ids[i * records / removes + 3]);
  const double idle = octets(sync(pair.other, pair.endpoint));
  pair.one.forget(gone);
  pair.drop_journals();
  loam::PeerReport report;
  const double spent = seconds([&] { report = sync(pair.other, pair.endpoint); });
  bench::require(digest(pair.one) == digest(pair.other), "they differ");
  run.report({"sync/scattered_removes",
              {{"records", records}, {"removes", removes}},
              {{"ms", spent * 1e3}, {"octets", octets(report)}, {"octets_beyond_idle", octets(report) - idle}},
              std::to_string(pair.other.status().segments.at(segment).records)});
}

// Ever more removals that no journal tells any more: what that costs beside what costs nothing.
void differences(Run& run) {
  const std::size_t records = run.size(100'000, 2'000);
  const std::size_t most = run.size(10'000, 100);
  Pair pair(run, records);
  const double idle = octets(sync(pair.other, pair.endpoint));
  std::size_t first = 0;
  for (std::size_t removes = 1; removes <= most; removes *= 10) {
    // Scattered over what is left.
    std::vector<std::string> gone;
    const std::size_t stride = records / (removes * 2);
    for (std::size_t i = 0; gone.size() < removes; ++i) {
      std::string& id = pair.ids[(first + i * stride) % records];
      if (!id.empty()) gone.push_back(std::exchange(id, {}));
    }
    first += 7;
    pair.one.forget(gone);
    pair.drop_journals();
    loam::PeerReport report;
    const double spent = seconds([&] { report = sync(pair.other, pair.endpoint); });
    bench::require(digest(pair.one) == digest(pair.other), "they differ");
    run.report({"sync/differences_" + std::to_string(removes),
                {{"records", records}, {"removes", removes}},
                {{"ms", spent * 1e3}, {"octets", octets(report)}, {"octets_beyond_idle", octets(report) - idle}},
                std::to_string(pair.other.status().segments.at(segment).records)});
  }
}

// Records of as many actors, put into the store of an instance as a peer would send them.
// Each actor is one session of the instance, and its record is signed.
void write_as_actors(const std::filesystem::path& dir, std::size_t actors) {
  const loam::SegmentTable table;
  const loam::Config config;
  const loam::InstanceKey key = loam::load_instance_key(dir);
  loam::SharedStore store(dir / "shared", table, config, key.id, {}, key.signing);
  const auto number = store.number(segment);
  const bench::Corpus corpus(10);
  constexpr std::size_t group = 5'000;
  for (std::size_t done = 0; done < actors; done += group) {
    store.env().write([&](loam::lmdb::WriteTxn& txn) {
      loam::SharedBatch batch(store, txn, bench::made_ms);
      for (std::size_t i = done; i < std::min(actors, done + group); ++i) {
        (void)batch.add(number, bench::content_of(corpus, i), bench::meta_of(corpus, i));
        store.renew_actor();
      }
      batch.finish();
    });
  }
}

// The same difference between instances that know few and very many actors.
void actors_of(Run& run, const char* name, std::size_t actors) {
  const auto [dir, other_dir] = fresh_pair(run);
  write_as_actors(dir, actors);
  auto one = open(dir, "one");
  auto other = open(other_dir, "other");
  const std::string endpoint = serve(one);
  (void)sync(other, endpoint);
  const auto measured = [&] {
    loam::PeerReport report;
    const double spent = seconds([&] { report = sync(other, endpoint); });
    return std::pair(spent * 1e3, octets(report));
  };
  const auto [idle_ms, idle_octets] = measured();
  fill(run, one, 100, 11);
  const auto [journal_ms, journal_octets] = measured();
  fill(run, one, 100, 12);
  one.drop_journal();
  other.drop_journal();
  const auto [compared_ms, compared_octets] = measured();
  bench::require(digest(one) == digest(other), "they differ");
  run.report({name,
              {{"actors", actors}},
              {{"nothing_changed_ms", idle_ms},
               {"nothing_changed_octets", idle_octets},
               {"journal_ms", journal_ms},
               {"journal_octets", journal_octets},
               {"compared_ms", compared_ms},
               {"compared_octets", compared_octets}},
              std::to_string(one.status().segments.at(segment).records)});
}

void few_actors(Run& run) { actors_of(run, "sync/actors_10", 10); }
void many_actors(Run& run) { actors_of(run, "sync/actors_100000", run.size(100'000, 500)); }

}  // namespace

int main(int argc, char** argv) {
  if (!verifies) return bench::run_parts(argc, argv, "unverified", {{"signed_copy", signed_copy}});
  return bench::run_parts(argc, argv, "loam",
                          {{"first_copy", first_copy},
                           {"signed_copy", signed_copy},
                           {"large_copy", large_copy},
                           {"catch_up", catch_up},
                           {"scattered", scattered},
                           {"differences", differences},
                           {"few_actors", few_actors},
                           {"many_actors", many_actors}});
}
