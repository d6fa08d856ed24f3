#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "crdt/error.hpp"
#include "tests/lib/scratch.hpp"
#include "tests/sim/random_stream.hpp"
#include "tests/sim/world.hpp"

namespace loam::sim {
namespace {

constexpr std::size_t snapshots_max = 3;
constexpr std::size_t replicas_max = 9;

std::string shared_path(const Replica& replica) { return replica.dir + "/shared/data.mdb"; }
std::string private_path(const Replica& replica) { return replica.dir + "/private/data.mdb"; }

// The same file with other octets: what a virtual machine that is rolled back sees.
void overwrite(const std::string& path, const std::string& content) {
  const int file = ::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (file < 0 ||
      ::write(file, content.data(), content.size()) != static_cast<ssize_t>(content.size())) {
    throw Error(ErrorCode::failed, path + ": cannot be overwritten");
  }
  ::close(file);
}

// Another file of the same name: what somebody who restores a backup makes.
void replace(const std::string& path, const std::string& content) {
  test::write_file(path + ".new", content);
  std::filesystem::rename(path + ".new", path);
}

}  // namespace

void World::disaster(Step step, Gen& gen) {
  Replica& replica = *gen.pick(replicas_);
  Process* running = replica.processes.empty() ? nullptr : gen.pick(replica.processes).get();
  switch (step) {
    case Step::start:
      if (replica.processes.empty()) (void)reopened(replica);
      return;
    case Step::second_process:
      if (replica.processes.size() != 1) return;
      trace_.met("two processes on one store");
      (void)open(replica);
      return;
    case Step::crash:
      if (running == nullptr) return;
      if (!running->queue.empty()) trace_.met("a crash with queued jobs");
      return end(*running);
    case Step::stop:
      if (running == nullptr) return;
      trace_.met("a clean stop");
      while (!running->queue.empty() || !running->held.empty()) {
        const bool has_work = !running->queue.empty();
        commit(*running, 100, Fate::normal, gen);
        if (replica.processes.empty()) return;
        if (!has_work) break;
      }
      return end(*running);
    case Step::fold: return running != nullptr ? fold(*running) : void();
    case Step::clock_jump: {
      const auto jump = static_cast<std::int64_t>(gen.below(2'000)) - 1'000;
      const bool is_far = gen.one_in(4);
      if (jump < 0) trace_.met("a clock jumped backwards");
      replica.clock_offset_ms += is_far ? jump * (century_ms / 1'000) : jump * 100;
      return;
    }
    case Step::drop_journal: return running != nullptr ? drop_journal(*running) : void();
    case Step::snapshot: return snapshot(replica);
    case Step::restore_copy: return restore(replica, gen, false);
    case Step::restore_in_place: return restore(replica, gen, true);
    case Step::clone: return clone(replica, gen);
    case Step::flip: return flip(replica, gen);
    default: return;
  }
}

void World::snapshot(Replica& replica) {
  if (replica.snapshots.size() >= snapshots_max) replica.snapshots.erase(replica.snapshots.begin());
  replica.snapshots.push_back({test::read_file(shared_path(replica)),
                               test::read_file(private_path(replica)), replica.shared,
                               replica.priv});
}

// The machine goes back to an older state of its disk. Whatever only it had is lost, as it would
// be.
void World::restore(Replica& replica, Gen& gen, bool in_place) {
  if (replica.snapshots.empty()) return;
  const Replica::Snapshot chosen = gen.pick(replica.snapshots);
  end_all(replica);
  for (const auto& [name, segment] : replica.shared.segments) {
    Truth& truth = truth_[name];
    const SegmentModel& old = chosen.shared.segments.at(name);
    for (const auto& [dot, content] : truth.acknowledged) {
      if (!contains(segment.covered, dot)) continue;
      const bool is_plain = !truth.rivals.contains(dot);
      const bool stays =
          is_plain ? contains(old.covered, dot) : knows(chosen.shared, name, dot, content);
      if (stays || !(is_plain || knows(replica.shared, name, dot, content))) continue;
      truth.lost.insert({dot, content});
      trace_.met("a restore lost what had been acknowledged");
    }
  }
  const StoreId before = replica.id;
  if (!in_place && had_vote(replica, before)) trace_.met("a voter lost its store");
  const auto journals = replica.journals;
  const auto write = in_place ? overwrite : replace;
  write(shared_path(replica), chosen.shared_file);
  write(private_path(replica), chosen.private_file);
  replica.shared = chosen.shared;
  replica.priv = chosen.priv;
  trace_.met(in_place ? "a backup was restored in place" : "a backup was restored as a new file");
  has_rolled_back_ = has_rolled_back_ || in_place;
  if (reopened(replica) == nullptr || in_place) return;
  trace_.expect(replica.id != before, "a restored copy keeps the id of its store");
  for (const auto& [name, journal] : replica.journals) {
    trace_.expect(journal != journals.at(name), name + ": a restored copy keeps its journal's id");
  }
}

// The directory is copied and opened elsewhere, while the original goes on.
void World::clone(Replica& replica, Gen& gen) {
  if (replicas_.size() >= replicas_max || replica.is_hostile) return;
  if (scenario_.setup.hostile) return;
  trace_.met("a directory was cloned");
  const std::size_t original = replica.index;
  auto& copy = *replicas_.emplace_back(std::make_unique<Replica>());
  Replica& from = *replicas_[original];
  copy.index = replicas_.size() - 1;
  copy.dir = "r" + std::to_string(copy.index);
  copy.instance = from.instance;
  copy.key = from.key;
  copy.root = from.root;
  copy.table = std::make_unique<SegmentTable>(*from.table);
  copy.config = from.config;
  copy.clock_offset_ms = from.clock_offset_ms;
  copy.clock_drift = from.clock_drift;
  copy.is_ahead = from.is_ahead;
  copy.packets = from.packets;
  copy.shared = from.shared;
  copy.priv = from.priv;
  copy.clock_ms = from.clock_ms;
  for (const char* part : {"/shared", "/private"}) {
    std::filesystem::create_directories(copy.dir + part);
    ::chmod((copy.dir + part).c_str(), 0700);
    test::write_file(copy.dir + part + "/data.mdb", test::read_file(from.dir + part + "/data.mdb"));
  }
  edges_.emplace_back(original, copy.index);
  Process* const process = reopened(copy);
  if (process == nullptr) return;
  trace_.expect(copy.id != from.id, "a clone keeps the id of its store");
  if (scenario_.setup.twins && !from.processes.empty()) twin(from, *process, gen);
}

void World::drop_journal(Process& process) {
  Job job;
  job.space = lmdb::Space::removal;
  job.shared = [](SharedBatch& batch) { batch.drop_journals(); };
  trace_.met("the journals were dropped");
  enqueue(
      process, std::move(job), [](Judgement&) { return std::optional<ErrorCode>{}; },
      "drop the journals");
}

// One octet of a live record changes on the disk. Whoever reads it must be told so.
void World::flip(Replica& replica, Gen& gen) {
  std::vector<Bytes> records;
  for (const auto& [name, segment] : replica.shared.segments) {
    for (const auto& [dot, record] : segment.live) records.push_back(record);
  }
  if (records.empty()) return;
  end_all(replica);
  const std::string whole = test::read_file(shared_path(replica));
  std::string file = whole;
  const std::string record(loam::text_of(gen.pick(records)));
  const std::size_t offset = gen.index(record.size());
  for (auto at = file.find(record); at != std::string::npos; at = file.find(record, at + 1)) {
    file[at + offset] = static_cast<char>(file[at + offset] ^ (1 << gen.below(8)));
  }
  if (file == whole) return;
  overwrite(shared_path(replica), file);
  std::string found = "nothing";
  try {
    Process process(replica, ++processes_made_, [this, &replica] { return wall_ms(replica); });
    const Readback stored = read_back(process.shared, {});
    found = difference(replica.shared, stored.model);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::damaged) found.clear();
  }
  trace_.met("a stored record was damaged");
  trace_.expect(found.empty(), "a damaged record was read as if it were whole: " + found);
  overwrite(shared_path(replica), whole);
  (void)reopened(replica);
}

}  // namespace loam::sim
