// The join by itself, in memory and into a store: one record after the other, a whole state, very
// many replicas, very many writers of one key.
#include "bench/harness.hpp"
#include "bench/records.hpp"
#include "crdt/hash.hpp"
#include "crdt/memory_store.hpp"
#include "lib/shared_store.hpp"
#include "transport/frame.hpp"

namespace {

using bench::Run;
using bench::seconds;

constexpr const char* set_segment = "lessons_learned";
constexpr const char* map_segment = "approval_rules";

// A hash of a state, the same for equal ones.
std::string hash_of(const loam::MemoryStore& store) {
  return loam::content_hash(store.canonical()).text();
}

// One record after the other, each encoded, made a delta and joined.
void add(Run& run) {
  const std::size_t records = run.size(100'000, 1'000);
  const bench::Corpus corpus(1);
  loam::MemoryStore store(set_segment, loam::Kind::set);
  double spent = 0;
  for (std::size_t i = 0; i < records; ++i) {
    const auto packet = corpus.packet(i);  // the text itself is not what is measured
    spent += seconds([&] {
      apply(store, bench::delta_of({bench::actor_of(1), i + 1}, bench::set_record(corpus, i)));
    });
  }
  bench::require(store.live().size() == records, "records are missing");
  run.report({"join/add",
              {{"records", records}},
              {{"per_s", static_cast<double>(records) / spent}},
              hash_of(store)});
}

// A state as frames, and those decoded, checked and joined by who has nothing.
void first_copy(Run& run) {
  const std::size_t records = run.size(100'000, 1'000);
  const bench::Corpus corpus(1);
  loam::MemoryStore source(set_segment, loam::Kind::set);
  for (std::size_t i = 0; i < records; ++i) {
    apply(source, bench::delta_of({bench::actor_of(1), i + 1}, bench::set_record(corpus, i)));
  }
  const loam::Authors authors{{bench::actor_of(1), loam::ActorClaim(bench::instance_of(1))}};
  std::vector<loam::Bytes> frames;
  const double encoded = seconds([&] { frames = bench::frames_of(source.full_state(), authors); });
  loam::MemoryStore copy(set_segment, loam::Kind::set);
  const double applied = seconds([&] {
    for (const loam::Bytes& octets : frames) {
      const auto frame = std::get<loam::DeltaFrame>(loam::decode_frame(octets));
      check_delta(loam::Kind::set, frame.delta);
      apply(copy, frame.delta);
    }
  });
  bench::require(copy == source, "the copy is another");
  double octets = 0;
  for (const loam::Bytes& frame : frames) octets += static_cast<double>(frame.size());
  run.report({"join/first_copy",
              {{"records", records}},
              {{"encode_ms", encoded * 1e3}, {"apply_ms", applied * 1e3}, {"octets", octets}},
              hash_of(copy)});
}

/// A shared store of its own.
struct Store {
  explicit Store(Run& run)
      : shared(run.fresh(), table, config, bench::instance_of(0),
               loam::StoreIdentity{"bench", loam::FederationId{}}) {}

  loam::SegmentTable table;
  loam::Config config;
  loam::SharedStore shared;
};

// Joins frames as they came, in one durable commit.
double joined(Store& store, const char* segment, const std::vector<loam::Bytes>& frames) {
  const auto number = store.shared.number(segment);
  return seconds([&] {
    store.shared.env().write([&](loam::lmdb::WriteTxn& txn) {
      loam::SharedBatch batch(store.shared, txn, bench::made_ms);
      for (const loam::Bytes& octets : frames) {
        const auto frame = std::get<loam::DeltaFrame>(loam::decode_frame(octets));
        (void)batch.join(number, frame.delta, frame.authors, {}, loam::StoreId{});
      }
      batch.finish();
    });
  });
}

// Very many replicas with a few records each become one.
void replicas(Run& run) {
  const std::size_t replicas = run.size(1'000, 20);
  constexpr std::size_t each = 10;
  const bench::Corpus corpus(2);
  std::vector<loam::Bytes> frames;
  for (std::size_t replica = 0; replica < replicas; ++replica) {
    loam::Delta state;
    const auto actor = bench::actor_of(replica);
    for (std::size_t i = 0; i < each; ++i) {
      const loam::Dot dot{actor, i + 1};
      state.context.insert(dot);
      state.live.emplace(dot, bench::set_record(corpus, replica * each + i));
    }
    const auto made = bench::frames_of(state, {{actor, loam::ActorClaim(bench::instance_of(replica))}});
    frames.insert(frames.end(), made.begin(), made.end());
  }
  Store store(run);
  const double spent = joined(store, set_segment, frames);
  const auto records = store.shared.read([&](const loam::SharedReader& reader) {
    return reader.segment(store.shared.number(set_segment)).records;
  });
  bench::require(records == replicas * each, "records are missing");
  run.report({"join/replicas",
              {{"replicas", replicas}, {"records", replicas * each}},
              {{"ms", spent * 1e3}},
              std::to_string(records)});
}

// Very many clients set one key at once.
void one_key(Run& run) {
  const std::size_t clients = run.size(1'540, 20);
  std::vector<loam::Bytes> frames;
  for (std::size_t client = 0; client < clients; ++client) {
    const auto actor = bench::actor_of(client);
    const auto made = bench::frames_of(
        bench::delta_of({actor, 1}, bench::map_record((bench::made_ms << 16) + client, "key",
                                                      "value " + std::to_string(client))),
        {{actor, loam::ActorClaim(bench::instance_of(client))}});
    frames.insert(frames.end(), made.begin(), made.end());
  }
  Store store(run);
  const double spent = joined(store, map_segment, frames);
  const auto siblings = store.shared.read([&](const loam::SharedReader& reader) {
    return reader.dots_of(store.shared.number(map_segment), "key").size();
  });
  bench::require(siblings == clients, "assignments are missing");
  const auto resolved = seconds([&] {
    store.shared.env().write([&](loam::lmdb::WriteTxn& txn) {
      loam::SharedBatch batch(store.shared, txn, bench::made_ms);
      (void)batch.put(store.shared.number(map_segment), "key",
                      loam::encode(loam::Value(std::string("resolved"))));
      batch.finish();
    });
  });
  const auto left = store.shared.read([&](const loam::SharedReader& reader) {
    return reader.segment(store.shared.number(map_segment)).octets;
  });
  run.report({"join/one_key",
              {{"clients", clients}},
              {{"ms", spent * 1e3},
               {"next_put_ms", resolved * 1e3},
               {"record_octets_left", static_cast<double>(left)}},
              std::to_string(siblings)});
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_parts(
      argc, argv, "loam",
      {{"add", add}, {"first_copy", first_copy}, {"replicas", replicas}, {"one_key", one_key}});
}
