#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/apply_job.hpp"
#include "lib/committer.hpp"
#include "lib/registry_gate.hpp"
#include "lib/store_source.hpp"
#include "lib/voting.hpp"
#include "lib/write_plan.hpp"
#include "tests/sim/model.hpp"
#include "tests/sim/strong.hpp"

namespace loam::sim {

struct Process;

/// What the oracle makes of one commit: the state that it ought to lead to, and what is true from
/// then on. Taken over when the commit is known to be durable.
struct Judgement {
  Process& process;
  const Readback& stored;
  StoreModel shared;
  PrivateModel priv;
  Changes changes;
  std::optional<ActorId> actor;
  std::vector<std::pair<std::string, std::pair<Dot, Bytes>>> written;  ///< by segment
  std::vector<std::pair<std::string, Dot>> removed;
  bool may_have_renewed = false;  ///< jobs that were undone may have made it give its actor up
  std::string problem;  ///< what no correct store would have done
};

/// Carries out in the models what a job ought to do. Answers with the error that it ought to end
/// in; absent: none.
using Effect = std::function<std::optional<ErrorCode>(Judgement&)>;

/// A job on its way through a process.
struct Todo {
  struct Outcome {
    bool is_told = false;
    std::exception_ptr failure;
  };

  Job job;
  Effect effect;
  std::string what;
  std::function<void(const Outcome&)> then;  ///< the process hears of it; may be empty
  std::shared_ptr<Outcome> outcome = std::make_shared<Outcome>();
};

/// One directory of an instance, and all that the oracle knows of it.
struct Replica {
  struct Snapshot {
    std::string shared_file;
    std::string private_file;
    StoreModel shared;
    PrivateModel priv;
  };

  std::size_t index = 0;
  std::string dir;
  InstanceId instance;
  SigningKey key;                      ///< none: nothing is signed
  std::optional<FederationRoot> root;  ///< absent: nobody's rights are asked
  std::optional<StoreId> first_store;  ///< the id of its store when that is made; absent: any
  std::unique_ptr<SegmentTable> table;
  Config config;
  bool is_hostile = false;
  bool is_out = false;    ///< revoked, at the end
  bool is_ahead = false;  ///< it speaks a later version of the wire, and no other
  std::int64_t clock_offset_ms = 0;
  std::int64_t clock_drift = 0;  ///< thousandths
  std::vector<std::unique_ptr<Process>> processes;
  std::vector<Snapshot> snapshots;

  StoreId id;
  StoreModel shared;
  PrivateModel priv;
  std::map<std::string, JournalId> journals;
  std::map<std::string, std::uint64_t> heads;
  std::int64_t clock_ms = 0;                   ///< the greatest that its stored clock has read
  std::map<PacketId, PacketEnvelope> packets;  ///< everything that a caller handed over

  bool has(const std::string& segment) const { return shared.segments.contains(segment); }
  bool is_apart() const { return is_hostile || is_out; }
  std::string name() const { return "replica-" + std::to_string(index); }
};

/// One process that has the stores of a replica open.
struct Process {
  Process(Replica& owner, std::uint64_t session, std::function<std::int64_t()> clock)
      : replica(owner),
        number(session),
        now_ms(std::move(clock)),
        shared(owner.dir + "/shared", *owner.table, owner.config, owner.instance,
               StoreIdentity{owner.name(), owner.root ? federation_of(*owner.root) : federation_id(), owner.root,
                             owner.first_store},
               owner.key),
        priv(owner.dir + "/private", *owner.table, owner.config),
        source(shared),
        stores{*owner.table, shared, priv, now_ms},
        committer(shared, priv, now_ms, [this] { has_committed = true; }) {
    if (owner.root) gate.emplace(shared, now_ms);
  }

  static FederationId federation_id() {
    FederationId id;
    id.bytes.fill(std::byte{9});
    return id;
  }

  Replica& replica;
  std::uint64_t number;
  std::function<std::int64_t()> now_ms;
  SharedStore shared;
  PrivateStore priv;
  StoreSource source;
  std::optional<RegistryGate> gate;
  StoreVoting voting{shared};
  WriteStores stores;
  Committer committer;
  Refusals refusals;
  std::deque<Todo> queue;
  std::vector<Todo> held;               ///< lazy ones, already answered
  std::optional<ActorId> actor;         ///< once it has written
  std::optional<ActorId> minted;        ///< by the store's own account; not to judge it by
  std::uint64_t mint_stream = 0;        ///< its randomness then
  std::int64_t mint_ms = 0;
  bool may_have_renewed = false;  ///< since its last write, jobs that were undone heard of a clone
  std::uint64_t seen = 0;               ///< the last transaction that its sessions were told of
  bool has_committed = false;
  std::map<std::uint64_t, RunningCall> calls;
  std::uint64_t calls_made = 0;
};

/// The private environment of a process, read back.
PrivateModel read_private(const Process& process);

/// What differs first; empty: nothing.
std::string difference(const PrivateModel& wanted, const PrivateModel& found);

}  // namespace loam::sim
