#include "tests/sim/world.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "crdt/error.hpp"
#include "crdt/hash.hpp"
#include "tests/sim/random_stream.hpp"

namespace loam::sim {
namespace {

constexpr std::int64_t start_ms = 1'700'000'000'000;
constexpr std::uint64_t map_page_octets = 4'096;
constexpr std::uint64_t map_octets = std::uint64_t{16} << 20;

InstanceId instance_of(std::size_t index) {
  return {hash128("sim instance", {bytes_of(std::to_string(index))})};
}

// Kept for all runs: their memory is locked, of which there is little.
const SigningKey& key_of(std::size_t index) {
  static std::map<std::size_t, SigningKey> keys;
  std::array<unsigned char, SigningKey::seed_octets> seed{};
  seed.fill(static_cast<unsigned char>(index + 1));
  return keys.try_emplace(index, seed).first->second;
}

}  // namespace

World::World(const Scenario& scenario, const Switches& switches, Trace& trace)
    : scenario_(scenario), switches_(switches), trace_(trace), setup_gen_(mixed(scenario.seed, 2)) {
  seed_randomness(mixed(scenario.seed, 3));
  choose_replicas();
  choose_edges();
  if (has_trust()) found_federation();
}

World::~World() {
  for (const auto& link : links_) {
    for (End& end : link->ends) end.session.reset();
  }
  (void)mend_disk();
}

// ---------------------------------------------------------------- the replicas

void World::choose_replicas() {
  const Setup& setup = scenario_.setup;
  const std::size_t count = setup.replicas + (setup.hostile ? 1 : 0);
  for (std::size_t i = 0; i < count; ++i) {
    Gen gen(mixed(scenario_.seed, 100 + i));
    Replica& replica = make_replica(i, gen);
    replica.is_hostile = setup.hostile && i + 1 == count;
    // Where there are rights, everybody has to hear of them first.
    replica.is_ahead =
        setup.skew && !setup.trust && !replica.is_hostile && Gen(mixed(scenario_.seed, 300 + i)).one_in(3);
    open(replica);
  }
}

Replica& World::make_replica(std::size_t index, Gen& gen) {
  const Setup& setup = scenario_.setup;
  auto& replica = *replicas_.emplace_back(std::make_unique<Replica>());
  replica.index = index;
  replica.dir = "r" + std::to_string(index);
  if (setup.trust) {
    replica.key = key_of(index);
    replica.root = FederationRoot{key_of(0).public_key(), {}};
    if (setup.strong) replica.root->nonce.fill(std::byte{7});
    if (setup.strong && index == 0) replica.first_store = StoreId{replica.root->nonce};
  }
  replica.instance = setup.trust ? loam::instance_of(replica.key.public_key()) : instance_of(index);
  std::vector<Segment> declared{{"drafts", Scope::priv, Kind::set, false}};
  const bool has_notes = !gen.one_in(4) || !setup.partial;
  const bool has_goals = !gen.one_in(3) || !setup.partial;
  if (has_notes) declared.push_back({"extra_notes", Scope::shared, Kind::set, false});
  if (has_goals) declared.push_back({"extra_goals", Scope::shared, Kind::map, false});
  replica.table = std::make_unique<SegmentTable>(declared);
  const std::uint64_t pages = gen.between(56, 110);
  replica.config.map_octets_max = setup.small_maps ? pages * map_page_octets : map_octets;
  static const std::vector<std::uint64_t> lengths{0, 1, 2, 4, 8};
  const std::uint64_t length = gen.pick(lengths);
  replica.config.journal_entries_max = setup.short_journals ? length : 100'000;
  if (setup.fuse) {
    replica.config.silent_removals_max = Gen(mixed(scenario_.seed, 200 + index)).below(4);
    replica.config.silent_removals_percent_max = 0;
  }
  const auto offset = static_cast<std::int64_t>(gen.below(200));
  switch (setup.clocks) {
    case Clocks::equal: break;
    case Clocks::near: replica.clock_offset_ms = (offset - 100) * 20; break;
    case Clocks::centuries: replica.clock_offset_ms = (offset - 100) * (century_ms / 100); break;
    case Clocks::drifting: replica.clock_drift = offset - 100; break;
  }
  std::filesystem::create_directories(replica.dir);
  return replica;
}

// Which replicas have a way to each other. A hostile one comes last and is nobody's only way.
void World::choose_edges() {
  const std::size_t count = scenario_.setup.replicas;
  const auto hub_of = [&](std::size_t i) -> std::size_t { return i % 2 == 0 ? 0 : 1; };
  for (std::size_t i = 1; i < count; ++i) {
    switch (scenario_.setup.topology) {
      case Topology::hub: edges_.emplace_back(0, i); break;
      case Topology::chain: edges_.emplace_back(i - 1, i); break;
      case Topology::two_hubs: edges_.emplace_back(i == 1 ? 0 : hub_of(i), i); break;
      case Topology::mesh:
        for (std::size_t j = 0; j < i; ++j) edges_.emplace_back(j, i);
        break;
    }
  }
  if (!scenario_.setup.hostile) return;
  edges_.emplace_back(setup_gen_.index(count), count);
  if (setup_gen_.coin()) edges_.emplace_back(setup_gen_.index(count), count);
}

std::int64_t World::wall_ms(const Replica& replica) const {
  const std::int64_t now = now_.count();
  return start_ms + now + now * replica.clock_drift / 1'000 + replica.clock_offset_ms;
}

// Opens the stores in one more process, and compares what is there with what ought to be.
Process& World::open(Replica& replica) {
  auto process = std::make_unique<Process>(replica, ++processes_made_,
                                           [this, &replica] { return wall_ms(replica); });
  const bool is_first = replica.processes.empty();
  const Readback stored = read_back(process->shared, {});
  if (replica.shared.segments.empty()) {
    replica.shared = stored.model;
  } else if (is_first) {
    const std::string shared = difference(replica.shared, stored.model);
    trace_.expect(shared.empty(), "reopened: " + shared);
    const std::string priv = difference(replica.priv, read_private(*process));
    trace_.expect(priv.empty(), "reopened: " + priv);
  }
  if (is_first) {
    replica.id = process->shared.id();
    for (const auto& [name, journal] : stored.journals) {
      replica.journals[name] = journal.id;
      replica.heads[name] = journal.head;
    }
  }
  trace_.line("open r" + std::to_string(replica.index) + " as process " +
              std::to_string(process->number) + ", store " + process->shared.id().text());
  return *replica.processes.emplace_back(std::move(process));
}

// A full store cannot be set up again after it was copied: an operator gives it more room.
Process* World::reopened(Replica& replica) {
  for (int tries = 0; tries < 8; ++tries) {
    try {
      return &open(replica);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::out_of_space) throw;
      replica.config.map_octets_max *= 2;
    }
  }
  trace_.expect(false, "a store cannot be opened for want of space");
  return nullptr;
}

// A process ends without a word: what it had queued is gone, its connections break.
void World::end(Process& process) {
  Replica& replica = process.replica;
  trace_.line("end of process " + std::to_string(process.number));
  for (const auto& link : links_) {
    for (int side = 0; side < 2; ++side) {
      End& end = link->ends[static_cast<std::size_t>(side)];
      if (end.process != &process) continue;
      end.session.reset();
      end.process = nullptr;
      end.inbox.clear();
    }
  }
  std::erase_if(replica.processes, [&](const auto& each) { return each.get() == &process; });
}

void World::end_all(Replica& replica) {
  while (!replica.processes.empty()) end(*replica.processes.back());
}

Process& World::process_of(Replica& replica, Gen& gen) {
  if (replica.processes.empty()) return *reopened(replica);
  return *gen.pick(replica.processes);
}

Process* World::any_process(Gen& gen, bool with_work) {
  std::vector<Process*> found;
  for (const auto& replica : replicas_) {
    for (const auto& process : replica->processes) {
      if (!with_work || !process->queue.empty()) found.push_back(process.get());
    }
  }
  return found.empty() ? nullptr : gen.pick(found);
}

// ---------------------------------------------------------------- the run

void World::run() {
  for (std::size_t i = 0; i < scenario_.events.size() && !trace_.has_failed(); ++i) {
    step(i, scenario_.events[i]);
  }
  if (is_strong()) check_history();
  if (!trace_.has_failed()) heal();
}

void World::step(std::size_t number, const Event& event) {
  Gen gen(event.seed);
  seed_randomness(mixed(event.seed, 4));
  trace_.line("-- " + std::to_string(number) + " " + step_name(event.step));
  switch (event.step) {
    case Step::add:
    case Step::bulk_add:
    case Step::remove:
    case Step::revise:
    case Step::put:
    case Step::erase:
    case Step::write_private:
    case Step::retry: return write(event.step, gen);
    case Step::commit:
    case Step::crash_before_commit:
    case Step::crash_after_commit:
    case Step::disk_error: {
      Process* process = any_process(gen, true);
      if (process == nullptr) return;
      const Fate fate = event.step == Step::commit                ? Fate::normal
                        : event.step == Step::crash_before_commit ? Fate::crash_before
                        : event.step == Step::crash_after_commit  ? Fate::crash_after
                                                                  : Fate::disk_error;
      if (fate == Fate::disk_error || scenario_.setup.small_maps) arrive(*process, gen);
      const bool is_partial = fate != Fate::disk_error && gen.one_in(3);
      return commit(*process, is_partial ? gen.between(1, 3) : 100, fate, gen);
    }
    case Step::connect:
    case Step::travel:
    case Step::settle:
    case Step::pass_time:
    case Step::poll:
    case Step::cut:
    case Step::truncate:
    case Step::stall:
    case Step::resume:
    case Step::leave:
    case Step::flap:
    case Step::double_link: return network(event.step, gen);
    case Step::inject: return inject(gen);
    case Step::confirm: return confirm_any(gen);
    case Step::change_version: return change_version(*gen.pick(replicas_));
    case Step::grant:
    case Step::suspend:
    case Step::revoke: return change_rights(event.step, gen);
    case Step::strong_write:
    case Step::strong_read:
    case Step::change_voters:
    case Step::seal_voters:
    case Step::ask_again:
    case Step::forget: return strong_step(event.step, gen);
    default: return disaster(event.step, gen);
  }
}

void run_world(const Scenario& scenario, const Switches& switches, const std::filesystem::path& dir,
               Trace& trace) {
  const auto before = std::filesystem::current_path();
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir);
  ::chmod(dir.c_str(), 0700);
  std::filesystem::current_path(dir);
  try {
    World world(scenario, switches, trace);
    world.run();
  } catch (const std::exception& error) {
    trace.expect(false, std::string("thrown: ") + error.what());
  }
  std::filesystem::current_path(before);
}

}  // namespace loam::sim
