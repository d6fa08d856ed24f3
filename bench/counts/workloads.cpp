// Fixed pieces of work in one thread, for whoever counts what they cost: bench/counts/check runs them
// under callgrind, which looks at the functions `work_…` only, and compares what is printed here.
#include <cstdio>
#include <cstdlib>
#include <new>

#include "bench/federation.hpp"
#include "bench/harness.hpp"
#include "bench/records.hpp"
#include "crdt/codec.hpp"
#include "lib/config.hpp"
#include "lib/loam.hpp"
#include "lib/identity.hpp"
#include "lib/shared_store.hpp"
#include "lib/store_source.hpp"
#include "transport/frame.hpp"

namespace {

thread_local std::uint64_t allocations = 0;  // of the thread that does the work, not of those beside it

void* allocate(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

constexpr const char* segment = "lessons_learned";
constexpr std::size_t records = 2'000;

// Not inlined, so that callgrind sees where the work begins and ends; what they take is passed by value or
// reference, so that nothing is worked out before.
[[gnu::noinline]] std::size_t work_get(const loam::Memory& memory, const std::vector<std::string>& ids) {
  std::size_t found = 0;
  for (const std::string& id : ids) found += memory.get(id) ? 1 : 0;
  return found;
}

// What the caller's thread does of a write: the writer's part is counted below.
[[gnu::noinline]] void work_write(loam::Memory& memory, std::vector<loam::PacketEnvelope> packets) {
  (void)memory.write_async(std::move(packets)).get();  // never on this thread
}

[[gnu::noinline]] std::size_t work_list(const loam::Memory& memory) {
  loam::ListQuery query{.segment = segment, .limit = 500, .cursor = {}};
  std::size_t found = 0;
  for (;;) {
    const auto page = memory.list(query);
    found += page.items.size();
    if (!page.next) return found;
    query.cursor = *page.next;
  }
}

// A decision of a thousand rules, with the snapshot of now.
[[gnu::noinline]] std::size_t work_check(const loam::Memory& memory, const loam::RuleRequest& request) {
  std::size_t denied = 0;
  loam::Decision decision;
  for (std::size_t i = 0; i < records; ++i) {
    memory.rules().check(request, decision);
    denied += decision.effect == loam::Effect::deny ? 1 : 0;
  }
  return denied;
}

void write_rules(loam::Memory& memory) {
  std::vector<loam::PacketEnvelope> packets;
  for (int i = 0; i < 1'000; ++i) {
    const std::string name = "service_" + std::to_string(i);
    loam::PacketEnvelope packet;
    packet.packet_type = "approval_rule";
    packet.payload = {{"key", name}, {"effect", i % 2 == 0 ? "deny" : "require_approval"},
                      {"actions", loam::Array{"deploy/" + name, i % 100 == 0 ? std::string("restart*") : name + "/*"}}};
    packets.push_back(std::move(packet));
  }
  memory.write(packets);
}

void add_all(loam::SharedStore& store, const std::vector<loam::SetRecord>& added) {
  store.env().write([&](loam::lmdb::WriteTxn& txn) {
    loam::SharedBatch batch(store, txn, bench::made_ms);
    for (const loam::SetRecord& each : added) (void)batch.add(store.number(segment), each.content, each.meta);
    batch.finish();
  });
}

[[gnu::noinline]] void work_add(loam::SharedStore& store, const std::vector<loam::SetRecord>& added) {
  add_all(store, added);
}

[[gnu::noinline]] void work_remove(loam::SharedStore& store, const std::vector<loam::SetRecord>& gone) {
  store.env().write([&](loam::lmdb::WriteTxn& txn) {
    loam::SharedBatch batch(store, txn, bench::made_ms);
    for (const loam::SetRecord& each : gone) {
      (void)batch.remove(store.number(segment), loam::element_of(segment, each.content));
    }
    batch.finish();
  });
}

[[gnu::noinline]] void work_join(loam::SharedStore& store, const std::vector<loam::Bytes>& frames) {
  store.env().write([&](loam::lmdb::WriteTxn& txn) {
    loam::SharedBatch batch(store, txn, bench::made_ms);
    for (const loam::Bytes& octets : frames) {
      const loam::Frame frame = loam::decode_frame(octets);
      const auto& chunk = std::get<loam::DeltaFrame>(frame);
      (void)batch.join(store.number(segment), chunk.delta, chunk.authors, chunk.batches, loam::StoreId{});
    }
    batch.finish();
  });
}

// All live records of the segment, as chunks.
std::vector<loam::Bytes> chunks_of(const loam::SharedStore& store) {
  const loam::StoreSource source(store);
  std::vector<loam::Bytes> chunks;
  for (const loam::ActorState& actor : source.actors(segment, {}, 10)) {
    loam::RangeSet left = actor.covered;
    while (!left.empty()) {
      loam::Slice slice = source.slice(segment, actor.actor, left, 48 * 1'024, 1'000);
      left = std::move(slice.rest);
      chunks.push_back(loam::encode_frame(loam::DeltaFrame{.index = 0, .upto = {}, .delta = std::move(slice.delta),
                                                           .authors = std::move(slice.authors),
                                                           .batches = std::move(slice.batches)}));
    }
  }
  return chunks;
}

// Prints what a piece of work took, by the record.
template <class Work>
void counted(const char* name, const loam::lmdb::Env& env, Work&& work) {
  const std::uint64_t before = allocations;
  const std::uint64_t used = env.octets_used();
  work();
  std::printf("%s allocations %.2f\n", name, static_cast<double>(allocations - before) / records);
  const std::uint64_t grown = env.octets_used() - used;
  if (grown > 0) std::printf("%s pages %.4f\n", name, static_cast<double>(grown) / 4'096 / records);
}

void run(bench::Run& run) {
  const bench::Corpus corpus(7);
  std::vector<loam::SetRecord> made;
  for (std::size_t i = 0; i < records; ++i) made.push_back(loam::decode_set_record(bench::set_record(corpus, i)));
  const auto open = [](const std::filesystem::path& dir) {
    return loam::Memory::open({.dir = dir, .name = "counts", .federation = {}, .log = {}, .now_ms = {}});
  };
  const auto dir = run.fresh();
  const auto other = run.fresh();
  bench::found({{dir, "one"}, {other, "other"}});
  {
    const loam::Config config;
    const loam::SegmentTable table;
    const auto store_of = [&](const std::filesystem::path& of) {
      const loam::InstanceKey key = loam::load_instance_key(of);
      return std::make_unique<loam::SharedStore>(of / "shared", table, config, key.id,
                                                 std::optional<loam::StoreIdentity>(), key.signing);
    };
    const auto own = store_of(dir);
    loam::SharedStore& store = *own;
    counted("add", store.env(), [&] { work_add(store, made); });
    counted("remove", store.env(), [&] { work_remove(store, made); });
    add_all(store, made);
    // A store that is open folds when it has nothing to do: not in the midst of what is counted.
    store.env().write([&](loam::lmdb::WriteTxn& txn) {
      loam::SharedBatch batch(store, txn, bench::made_ms);
      batch.fold();
      batch.finish();
    });
    const auto others = store_of(other);
    loam::SharedStore& copy = *others;
    const auto frames = chunks_of(store);
    counted("join", copy.env(), [&] { work_join(copy, frames); });
    const auto live = [](const loam::SharedStore& of) {
      return of.read([&](const loam::SharedReader& reader) { return reader.segment(of.number(segment)).records; });
    };
    bench::require(live(store) == records && live(copy) == records, "records are missing");
  }
  {
    auto memory = open(run.fresh());
    work_write(memory, corpus.packets(0, records));
  }
  auto memory = open(dir);
  std::vector<std::string> ids;
  for (const loam::SetRecord& each : made) ids.push_back(loam::element_of(segment, each.content).text());
  const loam::lmdb::Env& env = *loam::lmdb::Env::open({.dir = dir / "shared", .tables = loam::shared_table_names()});
  counted("get", env, [&] { bench::require(work_get(memory, ids) == records, "records are missing"); });
  write_rules(memory);
  (void)memory.rules();
  const loam::RuleRequest request{.action = "restart/service_7", .resource = ""};
  counted("check", env, [&] { bench::require(work_check(memory, request) == records, "decisions differ"); });
  counted("list", env, [&] { bench::require(work_list(memory) == records, "records are missing"); });
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_parts(argc, argv, "loam", {{"counts", run}});
}
