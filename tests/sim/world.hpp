#pragma once

#include <filesystem>

#include "lib/rule_rows.hpp"
#include "tests/sim/canary.hpp"
#include "tests/sim/disk_faults.hpp"
#include "tests/sim/replica.hpp"
#include "tests/sim/scenario.hpp"
#include "tests/sim/strong.hpp"
#include "tests/sim/trace.hpp"
#include "tests/strong/history.hpp"
#include "tests/support/gen.hpp"
#include "tests/support/registry_oracle.hpp"
#include "tests/support/rule_oracle.hpp"
#include "transport/session.hpp"

namespace loam::sim {

using ::test::Gen;

inline constexpr std::int64_t century_ms = std::int64_t{100} * 365 * 24 * 3'600'000;

/// One side of a connection.
struct End {
  std::size_t replica = 0;
  Process* process = nullptr;  ///< null: it has ended
  std::unique_ptr<Session> session;
  SessionLimits limits;
  std::optional<Hello> peer;  ///< as it said it
  std::deque<Bytes> inbox;    ///< frames on their way here
  bool is_stalled = false;    ///< nothing arrives, and nobody is told
  bool is_cut = false;
  bool is_asked = false;  ///< the peer has heard the questions of this side's strong calls
  bool was_truncated = false;  ///< the next frame is damaged: it must be refused
  std::optional<Time> wake;
  std::optional<Close> close;
  std::map<std::uint64_t, std::string> segments;  ///< how this side numbers them
  std::uint64_t counted_octets = 0;  ///< of chunks and parts that this side has sent
  std::uint64_t acked_octets = 0;    ///< of those, confirmed by the other
  std::size_t largest_frame = 0;     ///< of those
  std::vector<Bytes> said;         ///< of a hostile side: what it may say again
  std::set<std::string> compared;  ///< segments that it compares
  std::map<std::string, std::uint64_t> silent;  ///< dots that it dropped for the other's silence

  bool is_up() const noexcept { return session && !close && !is_cut; }
};

struct Link {
  std::array<End, 2> ends;
  std::uint64_t number = 0;
  std::size_t edge = 0;
  bool is_once = false;
  bool is_skewed = false;  ///< its ends have no version in common
  bool is_broken = false;  ///< nothing new travels; what is on its way may still arrive

  bool is_over() const noexcept { return !ends[0].is_up() && !ends[1].is_up(); }
};

/// What is true of one segment of the federation, whoever holds it.
struct Truth {
  using Write = std::pair<Dot, ContentHash>;

  std::map<Dot, Bytes> written;           ///< of two contents the one that wins
  std::map<Dot, std::set<Bytes>> rivals;  ///< those that lose: copies of one process wrote them
  std::set<Dot> removed;
  std::set<Write> acknowledged;
  std::set<Write> lost;  ///< a store that held it went back to a backup from before

  bool has(const Dot& dot, const Bytes& record) const;
};

/// What an author says with a record, under his signature.
struct Signed {
  InstanceId author;
  std::vector<Dot> frontier;  ///< of the registry, as he had seen it
  Context superseded;         ///< in a governed segment
};

/// The registry that some assignments make.
struct RightsView {
  std::map<Dot, Bytes> live;
  std::vector<RegistryAssignment> log;
  std::unique_ptr<const ::test::RegistryOracle> oracle;
};

/// What was written before a commit: by which processes, and which records.
struct Known {
  const std::map<ActorId, std::uint64_t>& actors;
  const std::map<std::string, Truth>& truth;
};

/// One run: replicas with real stores, sessions over a network in memory, faults, then healing.
/// Every step is held against the oracle. Uses the current directory, which is empty and its own.
class World {
 public:
  World(const Scenario& scenario, const Switches& switches, Trace& trace);
  ~World();

  void run();

 private:
  enum class Fate { normal, crash_before, crash_after, disk_error };

  // world.cpp: the replicas.
  void choose_replicas();
  void choose_edges();
  Replica& make_replica(std::size_t index, Gen& gen);
  std::int64_t wall_ms(const Replica& replica) const;
  Process& open(Replica& replica);
  Process* reopened(Replica& replica);
  void end(Process& process);
  void end_all(Replica& replica);
  void step(std::size_t number, const Event& event);
  Process* any_process(Gen& gen, bool with_work = false);
  Process& process_of(Replica& replica, Gen& gen);

  // local_writes.cpp
  void write(Step step, Gen& gen);
  void add(Process& process, Gen& gen);
  void remove(Process& process, Gen& gen);
  void revise(Process& process, Gen& gen);
  void put(Process& process, Gen& gen);
  void erase(Process& process, Gen& gen);
  void write_private(Process& process, Gen& gen);
  void retry(Process& process, Gen& gen);
  void hand_over(Process& process, const PacketEnvelope& packet);
  Known known() const { return {actors_, truth_}; }
  void enqueue(Process& process, Job job, Effect effect, const std::string& what);
  void write_record(Judgement& now, const std::string& segment, const std::vector<Dot>& superseded,
                    const Bytes& placeholder);

  // rules.cpp
  Value some_rule(Gen& gen);
  ::test::RuleOracle rules_under(const StoreModel& store, const std::string& segment, const std::string& key);
  std::optional<ErrorCode> refused_rule(const Judgement& now, const std::string& segment, const std::string& key,
                                        const std::optional<Value>& value);
  void check_links(Judgement& now, const std::string& segment, const ::test::RuleOracle& before, const Bytes& record);
  void put_rule(Process& process, const std::string& segment, const std::string& key, std::optional<Value> value);
  std::optional<ErrorCode> take_rule(Judgement& now, const std::string& segment, const std::string& key,
                                     const std::optional<Value>& value);
  void check_rules(Process& process);
  void check_rule_key(Process& process, const std::string& segment, const std::string& key);

  // rights.cpp
  void found_federation();
  void change_rights(Step step, Gen& gen);
  void assign(Process& process, const InstanceId& subject, const InstanceEntry& entry);
  void reconcile_rights(Gen& gen);
  InstanceEntry entry_of(const Replica& replica) const;
  bool is_governor(const Replica& replica);
  bool has_trust() const { return scenario_.setup.trust; }

  // rights_oracle.cpp
  std::shared_ptr<const RightsView> rights_of(const std::map<Dot, Bytes>& live);
  std::shared_ptr<const RightsView> rights_of(const StoreModel& store);
  bool may_write(const ::test::RegistryOracle& oracle, const InstanceId& author, const std::string& segment,
                 const std::vector<Dot>& frontier, bool with_all_fences) const;
  std::optional<ErrorCode> denial(const Judgement& now, const std::string& segment);
  const Signed* signed_with(const std::string& segment, const Dot& dot, BytesView record) const;
  Apply as_admitted(const Judgement& now, const Apply& change, std::size_t from, std::uint64_t& left_out);
  Apply as_hostile_is_admitted(const Judgement& now, const Apply& change, std::size_t from, std::uint64_t& left_out);
  void check_egress(const Link& link, int side, const std::string& segment);
  void check_refusal(const Link& link, int side);
  bool is_void(const RightsView& rights, const std::string& segment, const Dot& dot, BytesView record) const;
  bool has_standing_value(const StoreModel& store, const std::string& segment, const std::string& key);
  void check_visible(Process& process);

  // strong.cpp
  bool is_strong() const { return scenario_.setup.strong; }
  bool may_vote(const Replica& replica) const;
  bool changes_voters(const Replica& replica) const;
  bool had_vote(const Replica& replica, const StoreId& store) const;
  void begin_voters(Process& process, Voter voter, bool is_in);
  void seal_voters(Process& process, const VoterView& view);
  void tell_registry(Process& process, Job job, const std::shared_ptr<std::optional<std::pair<InstanceId, Bytes>>>& said,
                     const std::string& what);
  void found_voters(Process& founder, Gen& gen);
  void change_voters(Gen& gen);
  std::size_t note_operation(::test::Operation::Kind kind, std::size_t segment, std::uint64_t writes);
  bool has_room(std::size_t segment) const;
  void strong_step(Step step, Gen& gen);
  void forget(Gen& gen);
  void write_strongly(Process& process, std::size_t segment, Time deadline);
  void note_strong(const std::string& segment, const Dot& dot, BytesView record);
  void confirm_strongly(Process& process, const Bytes& content, Time deadline);
  std::uint64_t read_strongly(Process& process, std::size_t segment, Time deadline, bool seals);
  StrongWrites strong_writes_in(const StoreModel& store) const;
  void refresh_call(Process& process, std::uint64_t id);
  void refresh_calls(Process& process);
  void ask(Process& process, const VoteFrame& question, const StrongCall& call);
  void ask_again(Process& process);
  void ask_peer(Link& link, int side);
  void voted(End& end, const VotedFrame& vote);
  void end_late_calls(Process& process);
  void decide(Process& process, std::uint64_t id);
  void check_history();
  void finish_strongly(Gen& gen);

  // forging.cpp
  void forge(Link& link, int side, std::uint64_t index, const std::string& segment, Gen& gen);

  // commits.cpp
  void commit(Process& process, std::size_t count, Fate fate, Gen& gen);
  std::vector<Todo> take(Process& process, std::size_t count);
  bool hold_if_lazy(Process& process, std::vector<Todo>& todos);
  void judge(Process& process, std::vector<Todo>& todos, bool is_faulty);
  void settle_uncertain(Process& troubled, std::vector<Todo>& todos, Gen& gen);
  void run_effects(Judgement& judgement, const std::vector<Todo>& todos, bool all, bool is_faulty);
  void accept(Replica& replica, Judgement& judgement, bool is_told);
  void tell(Process& process, std::vector<Todo>& todos, Gen& gen);
  void fold(Process& process);

  // disasters.cpp
  void disaster(Step step, Gen& gen);
  void snapshot(Replica& replica);
  void restore(Replica& replica, Gen& gen, bool in_place);
  void clone(Replica& replica, Gen& gen);
  void flip(Replica& replica, Gen& gen);
  void drop_journal(Process& process);

  // clones.cpp
  void twin(Replica& from, Process& copy, Gen& gen);
  void write_as_twins(Gen& gen);
  void note_written(Truth& truth, const std::string& segment, const Dot& dot, const Bytes& record);
  void hear(Judgement& now, const Apply& change, const StoreId& peer, const ApplyOutcome& told);
  bool has_rivals() const;
  void check_known(const std::string& segment);

  // skew.cpp
  void change_version(Replica& replica);
  Bytes as_it_is_heard(const Link& link, int side, Bytes frame) const;
  void check_skewed(const Link& link, int side, const Bytes& heard);

  // holding.cpp
  void hold(End& end, const Hold& removal);
  void confirm(Process& process, const StoreId& peer);
  bool confirm_all(Gen& gen);
  void confirm_any(Gen& gen);
  void check_silence(End& end, const Apply& change);

  // network.cpp
  Link* connect(std::size_t edge, Gen& gen, bool is_once);
  Link* any_link(Gen& gen);
  void perform(Link& link, int side, std::vector<Action> actions);
  void send(Link& link, int side, Bytes frame);
  void apply(Link& link, int side, Apply change);
  bool deliver(Link& link, int side);
  bool wake(Link& link, int side);
  void tell_changed(Process& process);
  void arrive(Process& process, Gen& gen);
  void cut(Link& link, bool loses_inbox);
  void network(Step step, Gen& gen);
  void travel(Link& link, Gen& gen);
  bool poll(Process& process);
  void settle(Gen& gen);
  bool advance(Time until, Gen& gen);

  // hostile.cpp
  Bytes corrupted(Link& link, int side, const Bytes& frame);
  bool may_be_claimed(const Delta& delta, const Authors& authors) const;
  void inject(Gen& gen);

  // healing.cpp
  void heal();
  void heal_once(Gen& gen);
  bool heal_edge(std::size_t edge, Gen& gen);
  void calm_down(Gen& gen);
  void heal_by_rounds(Gen& gen);
  void heal_by_links(Gen& gen);
  std::size_t diameter() const;
  std::size_t diameter(const std::string& segment) const;
  bool is_equal(const Replica& left, const Replica& right) const;
  bool all_equal() const;
  std::map<std::string, std::vector<std::size_t>> components() const;

  // oracle.cpp
  void check_store(Process& process, const Judgement& judgement);
  void check_journal(Replica& replica, const Judgement& judgement);
  void check_positions(const Replica& replica, const Judgement& judgement);
  void check_claims(const Replica& replica, const Apply& change);
  void meet_part(const Frame& frame);
  void check_window(End& from, std::size_t octets);
  void check_frame(Link& link, int side, const Bytes& frame);
  void check_chunk(const End& from, const std::string& segment, const Delta& delta);
  void check_close(const Link& link, int side);
  void check_alarm(const Replica& replica, const std::string& text);
  void expected_at_end();
  void check_end();
  void check_winners(Process& process);
  void check_files(const Replica& replica);
  bool is_tainted() const { return scenario_.setup.hostile; }

  Scenario scenario_;
  Switches switches_;
  Trace& trace_;
  Gen setup_gen_;
  Time now_{1'000};
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::vector<std::pair<std::size_t, std::size_t>> edges_;
  std::vector<std::unique_ptr<Link>> links_;
  std::uint64_t processes_made_ = 0;
  std::uint64_t texts_made_ = 0;
  std::uint64_t links_made_ = 0;
  bool is_healing_ = false;
  bool lies_ = true;              ///< the hostile replica does; not while it makes acquaintances
  bool has_rolled_back_ = false;  ///< a file was overwritten in place
  bool has_disk_failed_ = false;
  bool has_held_ = false;  ///< a store keeps, or kept, what another has removed
  CanaryScanner scanner_;

  std::map<std::string, Truth> truth_;
  std::map<ActorId, std::uint64_t> actors_;  ///< which process minted it
  std::set<ActorId> twins_;                  ///< actors that two processes have, by a copy
  std::set<std::string> alarms_due_;         ///< what the next alarms have to speak of
  std::map<ActorId, InstanceId> honest_authors_;
  std::map<ActorId, ActorClaim> claims_;
  std::map<std::tuple<std::string, Dot, ContentHash>, Signed> signed_;
  /// By a peer's nonce and segment, the lowest ticket of a part of which something was left out.
  std::map<std::pair<std::array<std::byte, 16>, std::string>, std::uint64_t> left_out_;
  std::deque<std::shared_ptr<const RightsView>> views_;  ///< those that were asked for last
  std::map<JournalId, std::map<std::uint64_t, Dots>> journal_log_;
  std::map<std::pair<std::string, std::size_t>, std::map<Dot, Bytes>> expected_;  ///< at the end

  std::vector<::test::Operation> history_;      ///< strong operations
  std::uint64_t moment_ = 0;                    ///< when they begin and end
  std::map<Bytes, StrongWrite> strong_writes_;  ///< by what they say
};

/// What an entry of approval_rules or governance_meta says, beside what its author had seen; absent: removed.
std::optional<Value> assigned_value(const MapRecord& entry);

/// One run in the directory. Nothing it throws escapes: that is a failure too.
void run_world(const Scenario& scenario, const Switches& switches, const std::filesystem::path& dir,
               Trace& trace);

}  // namespace loam::sim
