// Strong calls between real stores: who asks, what is written, and what must be true of all of it together.
#include "tests/sim/strong.hpp"

#include <algorithm>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "tests/sim/random_stream.hpp"
#include "tests/sim/world.hpp"

namespace loam::sim {
namespace {

using std::chrono_literals::operator""s;

// Only these may vote and are never suspended or revoked, and the first two of them govern for ever: what a revocation
// makes void of a change of voters is not what is judged here (docs/SECURITY.md).
constexpr std::size_t voters_at_most = 4;
constexpr std::size_t voter_governors = 2;

// The checker takes 64 operations of a segment; the last reads need some.
constexpr std::size_t operations_max = 48;
constexpr std::size_t writes_max = 24;

const std::string& type_of(std::size_t segment) {
  static const std::array<std::string, strong_segments.size()> types{"lesson", "pattern"};
  return types.at(segment);
}

VoterSet with_voter(VoterSet voters, const Voter& voter, bool is_in) {
  std::erase_if(voters, [&](const Voter& each) { return each.instance == voter.instance; });
  if (is_in) voters.push_back(voter);
  std::sort(voters.begin(), voters.end());
  return voters;
}

Voter peer_of(const Session& session) {
  const auto& peer = session.report().peer;
  return peer ? Voter{peer->instance, peer->store} : Voter{};
}

/// What a job has made of the registry as its transaction saw it; absent: nothing.
using Said = std::shared_ptr<std::optional<std::pair<InstanceId, Bytes>>>;

void say_of_voters(SharedBatch& batch, SegmentNumber number, const InstanceId& subject, VoterChange change,
                   const Said& said) {
  auto entry = batch.registry()->find(subject);
  if (!entry || entry->status == InstanceStatus::revoked) return;
  entry->fence.clear();
  entry->voters = std::move(change);
  *said = {subject, encode(*entry)};
  batch.put(number, subject.text(), (*said)->second);
}

}  // namespace

bool World::may_vote(const Replica& replica) const {
  return is_strong() && replica.index < voters_at_most && replica.index < scenario_.setup.replicas;
}

// Whose governing nobody takes back.
bool World::changes_voters(const Replica& replica) const { return may_vote(replica) && replica.index < voter_governors; }

// ---------------------------------------------------------------- the voters

// One at a time, as far as this governor knows: one more, one less, or one with the store that it has now.
void World::begin_voters(Process& process, Voter voter, bool is_in) {
  const SegmentNumber number = process.shared.number(std::string(registry_name));
  const auto said = std::make_shared<std::optional<std::pair<InstanceId, Bytes>>>();
  Job job;
  job.shared = [=](SharedBatch& batch) {
    said->reset();
    const VoterView& now = batch.registry()->voters();
    VoterSet voters = with_voter(now.newest, voter, is_in);
    const bool is_free = now.is_sealed() || now.is_disputed;
    if (voters.empty() || (voters == now.newest && !now.is_disputed) || !is_free) return;
    say_of_voters(batch, number, voter.instance, {std::move(voters), false}, said);
  };
  tell_registry(process, std::move(job), said, "begin a change of voters");
}

// As whoever has read all there is with the voters of that view.
void World::seal_voters(Process& process, const VoterView& view) {
  const SegmentNumber number = process.shared.number(std::string(registry_name));
  const InstanceId self = process.replica.instance;
  const auto said = std::make_shared<std::optional<std::pair<InstanceId, Bytes>>>();
  Job job;
  job.shared = [=](SharedBatch& batch) {
    said->reset();
    const VoterView& now = batch.registry()->voters();
    if (now.id != view.id || now.is_sealed() || now.is_disputed) return;
    say_of_voters(batch, number, self, {now.newest, true}, said);
  };
  tell_registry(process, std::move(job), said, "end a change of voters");
  process.queue.back().then = [this, said](const Todo::Outcome& outcome) {
    if (!outcome.failure && *said) trace_.met("a change of voters ended");
  };
}

// What the job says of the registry as it stands then is taken: whether it was right, the history shows.
void World::tell_registry(Process& process, Job job, const Said& said, const std::string& what) {
  Effect effect = [this, said](Judgement& now) -> std::optional<ErrorCode> {
    if (!*said) return std::nullopt;
    const std::string registry(registry_name);
    if (const auto denied = denial(now, registry)) return denied;
    const std::string key = (*said)->first.text();
    write_record(now, registry, dots_with_key(now.shared.segments.at(registry), key),
                 encode(MapRecord{{}, key, (*said)->second}));
    return std::nullopt;
  };
  enqueue(process, std::move(job), std::move(effect), what);
}

// Most federations begin with as many voters as their first governor would have made.
void World::found_voters(Process& founder, Gen& gen) {
  const auto may = static_cast<std::size_t>(
      std::count_if(replicas_.begin(), replicas_.end(), [&](const auto& each) { return may_vote(*each); }));
  const std::size_t count = gen.one_in(6) ? 1 : std::min<std::size_t>(may, 3);
  for (std::size_t i = 1; i < count; ++i) {
    begin_voters(founder, {replicas_[i]->instance, replicas_[i]->id}, true);
    while (!founder.queue.empty() && !trace_.has_failed()) commit(founder, 100, Fate::normal, gen);
    seal_voters(founder, founder.shared.registry()->voters());
    while (!founder.queue.empty() && !trace_.has_failed()) commit(founder, 100, Fate::normal, gen);
  }
}

void World::change_voters(Gen& gen) {
  Replica& governor = *replicas_[gen.index(voter_governors)];
  if (!changes_voters(governor) || governor.processes.empty()) return;
  const Replica* subject = replicas_[gen.index(voters_at_most) % replicas_.size()].get();
  const VoterSet newest = governor.processes.front()->shared.registry()->voters().newest;
  bool is_in = !gen.one_in(4);
  for (const auto& replica : replicas_) {  // mostly whoever has lost the store by which it voted
    const bool has_lost_it = std::any_of(newest.begin(), newest.end(), [&](const Voter& voter) {
      return voter.instance == replica->instance && voter.store != replica->id;
    });
    if (!has_lost_it || gen.one_in(4)) continue;
    subject = replica.get();
    is_in = true;
  }
  if (!may_vote(*subject)) return;
  begin_voters(process_of(governor, gen), {subject->instance, subject->id}, is_in);
}

// Whether a store that is gone had a vote, as far as a governor knows.
bool World::had_vote(const Replica& replica, const StoreId& store) const {
  if (!may_vote(replica)) return false;
  for (const auto& each : replicas_) {
    if (each->is_hostile || each->processes.empty()) continue;
    if (each->processes.front()->shared.registry()->voters().is_voter({replica.instance, store})) return true;
  }
  return false;
}

// ---------------------------------------------------------------- calls

std::size_t World::note_operation(::test::Operation::Kind kind, std::size_t segment, std::uint64_t writes) {
  history_.push_back({kind, static_cast<int>(segment), ++moment_, {}, writes});
  return history_.size() - 1;
}

bool World::has_room(std::size_t segment) const {
  const auto count = std::count_if(history_.begin(), history_.end(),
                                   [&](const auto& each) { return each.segment == static_cast<int>(segment); });
  return static_cast<std::size_t>(count) < operations_max;
}

void World::strong_step(Step step, Gen& gen) {
  if (!is_strong()) return;
  if (step == Step::change_voters) return change_voters(gen);
  if (step == Step::forget) return forget(gen);
  const bool seals = step == Step::seal_voters;
  Replica& replica = seals ? *replicas_[gen.index(voter_governors)] : *gen.pick(replicas_);
  if (replica.is_hostile || replica.processes.empty() || (seals && !changes_voters(replica))) return;
  Process& process = process_of(replica, gen);
  const std::size_t segment = gen.index(strong_segments.size());
  const Time deadline = now_ + std::chrono::milliseconds(gen.between(500, 20'000));
  if (step == Step::ask_again) return ask_again(process);
  if (step == Step::strong_write) return write_strongly(process, segment, deadline);
  if (seals && process.shared.registry()->voters().is_sealed() && !gen.one_in(4)) return;
  (void)read_strongly(process, segment, deadline, seals);
}

// A voter hears of a write, and crashes before it is stored or goes back to a backup from before it; then whoever has
// not heard of the write reads, and has nobody but that voter to ask.
void World::forget(Gen& gen) {
  Replica& voter = *replicas_[gen.index(voters_at_most) % replicas_.size()];
  std::vector<std::size_t> ways;
  for (std::size_t edge = 0; edge < edges_.size(); ++edge) {
    const auto [left, right] = edges_[edge];
    const bool is_of_it = left == voter.index || right == voter.index;
    if (is_of_it && !replicas_[left]->is_hostile && !replicas_[right]->is_hostile) ways.push_back(edge);
  }
  if (!may_vote(voter) || ways.empty() || voter.processes.empty()) return;
  const bool crashes = !gen.one_in(4);
  if (!crashes) snapshot(voter);
  Link* const link = connect(gen.pick(ways), gen, false);
  if (link == nullptr) return;
  settle(gen);
  const int side = link->ends[0].replica == voter.index ? 1 : 0;
  Process* const writer = link->ends[static_cast<std::size_t>(side)].process;
  if (writer == nullptr || trace_.has_failed()) return;
  const std::size_t segment = gen.index(strong_segments.size());
  const Time deadline = now_ + 10s;
  write_strongly(*writer, segment, deadline);
  commit(*writer, 100, Fate::normal, gen);
  for (std::uint64_t left = gen.between(4, 24); left > 0; --left) {
    (void)deliver(*link, gen.coin() ? 1 : 0);
    const bool stores = !crashes || gen.one_in(8);
    Process* const process = link->ends[static_cast<std::size_t>(1 - side)].process;
    if (stores && process != nullptr) commit(*process, 100, Fate::normal, gen);
  }
  const bool is_told = !history_.empty() && history_.back().kind == ::test::Operation::Kind::write && history_.back().ended;
  if (is_told) trace_.met("a voter crashed or lost its store after a write was acknowledged");
  for (const auto& each : links_) cut(*each, true);
  crashes ? end_all(voter) : restore(voter, gen, false);
  if (trace_.has_failed()) return;
  Process& back = process_of(voter, gen);
  Link* const other = connect(gen.pick(ways), gen, false);
  if (other == nullptr) return;
  settle(gen);
  Process* const reader = gen.coin() ? &back : other->ends[other->ends[0].replica == voter.index ? 1 : 0].process;
  if (reader == nullptr || trace_.has_failed()) return;
  const std::uint64_t id = read_strongly(*reader, segment, now_ + 10s, false);
  settle(gen);
  if (is_told && id != 0 && !reader->calls.contains(id)) trace_.met("and a strong read was decided thereupon");
}

// Said once: nobody else writes the same, so whoever has it has this write.
void World::write_strongly(Process& process, std::size_t segment, Time deadline) {
  const auto of_segment = static_cast<std::size_t>(
      std::count_if(strong_writes_.begin(), strong_writes_.end(), [&](const auto& each) { return each.second.segment == segment; }));
  if (of_segment >= writes_max || !has_room(segment)) return;
  PacketEnvelope packet;
  packet.packet_type = type_of(segment);
  packet.payload = {{segment == 0 ? "title" : "name", "strong " + std::to_string(++texts_made_)}};
  const Bytes content = encode(Map{{"payload", packet.payload}, {"type", packet.packet_type}});
  const std::uint64_t bit = std::uint64_t{1} << of_segment;
  const std::size_t operation = note_operation(::test::Operation::Kind::write, segment, bit);
  strong_writes_.emplace(content, StrongWrite{operation, segment, bit, {}});
  hand_over(process, packet);
  process.queue.back().then = [this, &process, content, deadline](const Todo::Outcome& outcome) {
    if (!outcome.failure) confirm_strongly(process, content, deadline);
  };
}

// Which dot a strong write has got, in a commit that is durable.
void World::note_strong(const std::string& segment, const Dot& dot, BytesView record) {
  if (!is_strong() || std::find(strong_segments.begin(), strong_segments.end(), segment) == strong_segments.end()) return;
  const auto at = strong_writes_.find(decode_set_record(record).content);
  if (at != strong_writes_.end()) at->second.dot = dot;
}

// It is durable here: all that its actor has written is asked for, as Memory does.
void World::confirm_strongly(Process& process, const Bytes& content, Time deadline) {
  const StrongWrite& write = strong_writes_.at(content);
  if (!trace_.expect(write.dot.has_value(), "a strong write was told, and is not there")) return;
  const std::string& segment = strong_segments.at(write.segment);
  const std::uint64_t id = ++process.calls_made;
  StrongCall call(id, voter_of(process.shared), segment, written_by(process.shared, segment, write.dot->actor));
  process.calls.emplace(id, RunningCall{std::move(call), {}, {write.operation}, {}, deadline});
  refresh_call(process, id);
}

std::uint64_t World::read_strongly(Process& process, std::size_t segment, Time deadline, bool seals) {
  std::vector<std::string> segments{strong_segments.at(segment)};
  std::vector<std::size_t> operations;
  if (seals) {
    segments.clear();
    for (const SegmentNumber number : process.shared.numbers()) segments.push_back(process.shared.name(number));
  }
  for (std::size_t i = 0; i < strong_segments.size(); ++i) {
    const bool is_read = (seals || i == segment) && (has_room(i) || is_healing_);
    if (is_read) operations.push_back(note_operation(::test::Operation::Kind::read, i, 0));
  }
  if (operations.empty() && !seals) return 0;
  const std::uint64_t id = ++process.calls_made;
  StrongCall call(id, voter_of(process.shared));
  process.calls.emplace(id, RunningCall{std::move(call), std::move(segments), std::move(operations), {}, deadline, seals});
  refresh_call(process, id);
  return id;
}

StrongWrites World::strong_writes_in(const StoreModel& store) const {
  StrongWrites found{};
  for (const auto& [content, write] : strong_writes_) {
    const auto& covered = store.segments.at(strong_segments.at(write.segment)).covered;
    if (write.dot && contains(covered, *write.dot)) found.at(write.segment) |= write.bit;
  }
  return found;
}

// What was committed may be what is asked for.
void World::refresh_call(Process& process, std::uint64_t id) {
  const auto at = process.calls.find(id);
  if (at == process.calls.end()) return;
  RunningCall& running = at->second;
  auto state = strong_state(process.shared, running.segments);
  if (!trace_.expect(state.has_value(), "a federation with trust has no registry")) return;
  const auto question = running.call.refreshed(std::move(*state));
  if (!question) return;
  running.values[question->number] = strong_writes_in(process.replica.shared);
  running.values.erase(running.values.begin(), running.values.lower_bound(running.call.oldest()));
  if (running.call.decided()) return decide(process, id);
  ask(process, *question, running.call);
}

void World::refresh_calls(Process& process) {
  std::vector<std::uint64_t> ids;
  for (const auto& each : process.calls) ids.push_back(each.first);
  for (const std::uint64_t id : ids) refresh_call(process, id);
}

void World::ask(Process& process, const VoteFrame& question, const StrongCall& call) {
  for (std::size_t i = 0; i < links_.size(); ++i) {
    for (int side = 0; side < 2; ++side) {
      End& end = links_[i]->ends[static_cast<std::size_t>(side)];
      const bool is_asked = end.process == &process && end.is_up() && call.is_asked(peer_of(*end.session));
      if (is_asked) perform(*links_[i], side, end.session->ask(question, now_));
    }
  }
}

void World::ask_again(Process& process) {
  end_late_calls(process);
  for (const auto& [id, running] : process.calls) ask(process, *running.call.question(), running.call);
}

// A link is there now: its peer has not heard the questions yet.
void World::ask_peer(Link& link, int side) {
  End& end = link.ends[static_cast<std::size_t>(side)];
  if (!is_strong() || end.is_asked || !end.is_up() || !end.session->report().peer) return;
  end.is_asked = true;
  for (const auto& [id, running] : end.process->calls) {
    if (!end.is_up()) return;
    if (!running.call.is_asked(peer_of(*end.session))) continue;
    perform(link, side, end.session->ask(*running.call.question(), now_));
  }
}

void World::voted(End& end, const VotedFrame& vote) {
  Process& process = *end.process;
  end_late_calls(process);
  const auto at = process.calls.find(vote.call);
  if (at == process.calls.end()) return;
  at->second.call.answered(peer_of(*end.session), vote);
  if (at->second.call.decided()) decide(process, vote.call);
}

void World::end_late_calls(Process& process) {
  const std::size_t late = std::erase_if(process.calls, [&](const auto& each) { return each.second.deadline <= now_; });
  if (late > 0) trace_.met("a call ended without a majority");
}

void World::decide(Process& process, std::uint64_t id) {
  const auto at = process.calls.find(id);
  const RunningCall running = std::move(at->second);
  process.calls.erase(at);
  ++moment_;
  const StrongWrites& value = running.values.at(*running.call.decided());
  for (const std::size_t number : running.operations) {
    ::test::Operation& operation = history_.at(number);
    operation.ended = moment_;
    if (operation.kind == ::test::Operation::Kind::read) operation.writes = value.at(static_cast<std::size_t>(operation.segment));
  }
  trace_.line("process " + std::to_string(process.number) + ": call " + std::to_string(id) + " decided after " +
              std::to_string(running.call.rounds()) + " questions, question " + std::to_string(*running.call.decided()));
  trace_.met(running.call.is_write() ? "a strong write was acknowledged" : "a strong read was decided");
  const VoterView& view = running.call.decided_view();
  if (view.open.size() > 1) trace_.met("a strong call was decided while voters changed");
  const bool takes_several = std::any_of(view.open.begin(), view.open.end(), [](const auto& set) { return set.size() > 1; });
  if (takes_several) trace_.met("a strong call was decided by several voters");
  ask(process, running.call.withdrawal(), running.call);
  if (running.seals && !view.is_sealed()) seal_voters(process, view);
}

// ---------------------------------------------------------------- what must be true

// What was never seen by anybody, and whose outcome nobody knows, may never have happened.
void World::check_history() {
  StrongWrites seen{};
  for (const auto& each : history_) {
    const bool counts = each.kind == ::test::Operation::Kind::read && each.ended;
    if (counts) seen.at(static_cast<std::size_t>(each.segment)) |= each.writes;
  }
  auto history = history_;
  std::erase_if(history, [&](const auto& each) {
    const bool is_write = each.kind == ::test::Operation::Kind::write;
    return !each.ended && (!is_write || (seen.at(static_cast<std::size_t>(each.segment)) & each.writes) == 0);
  });
  const auto wrong = ::test::what_is_wrong(history);
  trace_.expect(!wrong, "strong operations: " + wrong.value_or(""));
}

// Everything is well: whoever has a link with a majority of the voters that are left gets an answer.
void World::finish_strongly(Gen& gen) {
  for (const bool has_changed : {false, true}) {
    if (trace_.has_failed()) return;
    Process& reader = *replicas_[0]->processes.front();
    std::erase_if(links_, [](const auto&) { return true; });
    for (const auto& replica : replicas_) {
      while (replica->processes.size() > 1) end(*replica->processes.back());
    }
    for (std::size_t edge = 0; edge < edges_.size(); ++edge) {
      if (edges_[edge].first == 0 || edges_[edge].second == 0) (void)connect(edge, gen, false);
    }
    settle(gen);
    std::set<Voter> there;
    for (const auto& replica : replicas_) {
      if (!replica->is_apart()) there.insert({replica->instance, replica->id});
    }
    const VoterView view = reader.shared.registry()->voters();
    if (!view.is_quorum(there)) return trace_.met("voters are lost for good");
    const Time deadline = now_ + 60s;
    for (std::size_t segment = 0; segment < strong_segments.size(); ++segment) {
      const std::uint64_t id = read_strongly(reader, segment, deadline, false);
      settle(gen);
      const bool is_decided = !reader.calls.contains(id);
      trace_.expect(is_decided || trace_.has_failed(), "all is well, and a strong read finds no majority");
    }
    check_history();
    if (has_changed || trace_.has_failed()) return;
    (void)read_strongly(reader, 0, deadline, true);
    settle(gen);
    const Replica& subject = *replicas_[gen.index(voters_at_most) % replicas_.size()];
    if (may_vote(subject)) begin_voters(reader, {subject.instance, subject.id}, true);
    settle(gen);
    (void)read_strongly(reader, 0, deadline, true);
    settle(gen);
  }
}

}  // namespace loam::sim
