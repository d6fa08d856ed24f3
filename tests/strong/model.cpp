#include "tests/strong/model.hpp"

#include <algorithm>

#include "planted.hpp"

namespace test {
namespace {

using loam::ActorId;
using loam::Dot;
using loam::StateDigest;
using loam::StoreId;
using loam::StrongCall;
using loam::StrongState;
using loam::Voter;
using loam::VoterChange;
using loam::VoterStep;
using loam::VoterView;
using loam::VotedFrame;
using loam::VoteFrame;
using Bits64 = std::uint64_t;

constexpr int segments = 2;
constexpr std::size_t writes_max = 40;
constexpr std::size_t steps_max = 20;

template <class IdType>
IdType id_of(std::uint64_t first, std::uint64_t second = 0) {
  IdType id;
  for (int i = 0; i < 8; ++i) {
    id.bytes[static_cast<std::size_t>(i)] = static_cast<std::byte>(first >> 8 * i);
    id.bytes[static_cast<std::size_t>(8 + i)] = static_cast<std::byte>(second >> 8 * i);
  }
  return id;
}

/// What one store holds: writes by segment, and assignments of the registry.
struct Held {
  std::array<Bits64, segments> writes{};
  Bits64 steps = 0;

  void join(const Held& other) {
    for (std::size_t i = 0; i < writes.size(); ++i) writes[i] |= other.writes[i];
    steps |= other.steps;
  }
  bool operator==(const Held&) const = default;
};

struct Message {
  std::size_t from = 0;
  std::size_t to = 0;
  std::uint64_t life = 0;  ///< of the sender: what was asked before it ended is asked by nobody
  Voter voter;             ///< who the sender is when it votes
  std::optional<Held> gossip;
  std::optional<VoteFrame> question;
  std::optional<VotedFrame> vote;
};

struct Call {
  StrongCall call;
  std::size_t operation;  ///< in the history
  int segment;
  std::map<std::uint64_t, Bits64> values;  ///< of a read, by question
  bool seals = false;     ///< it reads everything, and ends a change of voters
};

struct Instance {
  Voter self;
  Held durable;
  Held coming;  ///< joined with it at the next commit
  std::uint64_t life = 0;
  std::uint64_t next_write = 1;  ///< counters of its actor
  ActorId actor;
  std::optional<Call> call;
  std::map<std::pair<std::size_t, std::uint64_t>, loam::VoteAnswers> asked;  ///< by whom, and for which call
  Held backup;
};

class StrongModel {
 public:
  explicit StrongModel(std::uint64_t seed) : gen_(seed) {}

  StrongRun run() {
    const std::size_t count = gen_.between(3, 5);
    for (std::size_t i = 0; i < count; ++i) {
      Instance& made = instances_.emplace_back();
      made.self = {id_of<loam::InstanceId>(i + 1), id_of<StoreId>(i + 1, ++stores_)};
      made.actor = id_of<ActorId>(++actors_);
    }
    first_ = instances_.front().self;
    // Most runs begin with three voters, as the first governor would have made them.
    if (!gen_.one_in(4)) {
      for (std::size_t i = 1; i < 3; ++i) {
        add_step(0, with(newest(0), instances_[i].self, true), false);
        add_step(0, newest(0), true);
      }
      for (Instance& each : instances_) each.durable.steps = instances_.front().durable.steps;
    }
    busy_ = gen_.between(2, 6);
    disasters_ = gen_.one_in(3) ? 0 : gen_.between(1, 3);
    changes_ = gen_.one_in(3) ? 0 : gen_.between(1, 5);
    for (std::uint64_t left = gen_.between(60, 240); left > 0; --left) step();
    for (Instance& each : instances_) end_call(each);
    return std::move(run_);
  }

 private:
  // ---------------------------------------------------------------- the registry

  // Those of a store that have all that they rest on, as the registry takes them.
  VoterView view(Bits64 held) const {
    std::vector<VoterStep> known;
    std::vector<std::size_t> places(steps_.size());
    Bits64 counted = 0;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      if ((held >> i & 1) == 0 || (pasts_[i] & ~counted) != 0) continue;
      counted |= Bits64{1} << i;
      VoterStep step = steps_[i];
      step.seen.clear();
      for (std::size_t before = 0; before < i; ++before) {
        if ((pasts_[i] >> before & 1) != 0) step.seen.push_back(places[before]);
      }
      places[i] = known.size();
      known.push_back(std::move(step));
    }
    return loam::view_of(first_, known);
  }

  VoterView view_at(std::size_t who) const { return view(instances_[who].durable.steps); }
  loam::VoterSet newest(std::size_t who) const { return view_at(who).newest; }

  Bits64 counted(Bits64 held) const {
    Bits64 all = 0;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      if ((held >> i & 1) != 0 && (pasts_[i] & ~all) == 0) all |= Bits64{1} << i;
    }
    return all;
  }

  void add_step(std::size_t who, loam::VoterSet voters, bool sealed) {
    if (steps_.size() == steps_max) return;
    Instance& by = instances_[who];
    pasts_.push_back(counted(by.durable.steps));
    steps_.push_back({Dot{by.actor, 1'000 + steps_.size()}, VoterChange{std::move(voters), sealed}, {}});
    by.durable.steps |= Bits64{1} << (steps_.size() - 1);
  }

  static loam::VoterSet with(loam::VoterSet voters, const Voter& voter, bool is_in) {
    std::erase_if(voters, [&](const Voter& each) { return each.instance == voter.instance; });
    if (is_in) voters.push_back(voter);
    std::sort(voters.begin(), voters.end());
    return voters;
  }

  // As lib/membership does it: one at a time as far as the governor knows, and by the store that it has met last.
  void change_voters() {
    const std::size_t who = gen_.index(2);
    const VoterView now = view_at(who);
    const std::size_t whom = gen_.index(instances_.size());
    const bool is_in = gen_.coin() || now.newest.size() > 2;
    loam::VoterSet next = with(now.newest, instances_[whom].self, is_in && !gen_.one_in(3));
    if (next.empty() || (next == now.newest && !now.is_disputed)) return;
    if (!now.is_sealed() && !now.is_disputed) return;
    add_step(who, std::move(next), false);
    tell(who);
  }

  // ---------------------------------------------------------------- calls

  static StateDigest digest(int segment, const Held& held) {
    return id_of<StateDigest>(segment == segments ? held.steps : held.writes[static_cast<std::size_t>(segment)],
                              static_cast<std::uint64_t>(segment) + 1);
  }

  static std::string name(int segment) { return std::string(1, static_cast<char>('a' + segment)); }

  void begin(std::size_t who) {
    Instance& by = instances_[who];
    if (by.call || run_.history.size() >= 12) return;
    const int segment = static_cast<int>(gen_.below(segments));
    const bool may_seal = who < 2 && (gen_.one_in(6) || (!view_at(who).is_sealed() && !gen_.one_in(3)));
    const bool writes = !may_seal && gen_.coin() && written_ < writes_max;
    Operation operation{writes ? Operation::Kind::write : Operation::Kind::read, segment, ++now_, {}, 0};
    if (writes) {
      operation.writes = Bits64{1} << written_;
      const Dot dot{by.actor, by.next_write++};
      dots_[dot] = {segment, operation.writes};
      ++written_;
      by.durable.writes[static_cast<std::size_t>(segment)] |= operation.writes;
      loam::Context context;
      context.insert(dot.actor, loam::Range{dot.counter, dot.counter});
      by.call.emplace(Call{StrongCall(++calls_, by.self, name(segment), std::move(context)), run_.history.size(), segment, {}});
    } else {
      by.call.emplace(Call{StrongCall(++calls_, by.self), run_.history.size(), segment, {}, may_seal});
    }
    run_.history.push_back(operation);
    if (writes) tell(who);
    refresh(who);
  }

  void refresh(std::size_t who) {
    Instance& by = instances_[who];
    if (!by.call) return;
    Call& call = *by.call;
    StrongState state{view(by.durable.steps), {}};
    if (!call.call.is_write()) {
      for (int segment = 0; segment <= segments; ++segment) {
        if (call.seals || segment == call.segment) state.states.push_back({name(segment), digest(segment, by.durable)});
      }
    }
    const auto question = call.call.refreshed(std::move(state));
    if (!question) return;
    call.values[question->number] = by.durable.writes[static_cast<std::size_t>(call.segment)];
    ask(who, *question);
    decide(who);
  }

  void ask(std::size_t who, const VoteFrame& question) {
    for (std::size_t to = 0; to < instances_.size(); ++to) {
      if (to != who) send({who, to, instances_[who].life, {}, {}, question, {}});
    }
  }

  void decide(std::size_t who) {
    Instance& by = instances_[who];
    if (!by.call || !by.call->call.decided()) return;
    const Call call = std::move(*by.call);
    by.call.reset();
    Operation& operation = run_.history[call.operation];
    operation.ended = ++now_;
    if (operation.kind == Operation::Kind::read) operation.writes = call.values.at(*call.call.decided());
    ++run_.decided;
    if (!call.seals) return;
    // As lib/membership does it: what was decided, by those voters who are known now.
    const VoterView known = view_at(who);
    if (known.id != call.call.decided_view().id || known.is_sealed() || known.is_disputed) return;
    add_step(who, known.newest, true);
    ++run_.changes;
    tell(who);
  }

  // Its outcome is not known to anybody, then.
  void end_call(Instance& by) { by.call.reset(); }

  // ---------------------------------------------------------------- what travels

  void send(Message message) {
    if (gen_.one_in(12)) return;
    if (wire_.size() > 60) wire_.erase(wire_.begin() + static_cast<std::ptrdiff_t>(gen_.index(wire_.size())));
    message.voter = instances_[message.from].self;
    if (gen_.one_in(20)) wire_.push_back(message);
    wire_.push_back(std::move(message));
  }

  // Tells everybody, or some, what it holds: often all of it, now and then a part.
  void tell(std::size_t who) {
    for (std::size_t to = 0; to < instances_.size(); ++to) {
      if (to != who && !gen_.one_in(5)) gossip(who, to);
    }
  }

  void gossip(std::size_t from, std::size_t to) {
    Held part = instances_[from].durable;
    if (gen_.one_in(4)) {
      for (Bits64& writes : part.writes) writes &= gen_.bits();
      part.steps &= gen_.bits();
    }
    send({from, to, instances_[from].life, {}, part, {}, {}});
  }

  void deliver() {
    if (wire_.empty()) return;
    const std::size_t at = gen_.one_in(3) ? gen_.index(wire_.size()) : 0;
    const Message message = wire_[at];
    wire_.erase(wire_.begin() + static_cast<std::ptrdiff_t>(at));
    Instance& to = instances_[message.to];
    if (message.gossip) {
      to.coming.join(*message.gossip);
      if (!gen_.one_in(4)) commit(message.to);
    }
    if (message.question && message.life == instances_[message.from].life) {
      auto& asked = to.asked[{message.from, message.question->call}];
      const loam::Vote vote = asked.ask(*message.question, moment(message.to, *message.question));
      answer(message.to, message.from, *message.question, vote);
    }
    if (message.vote && to.call && to.call->call.id() == message.vote->call) {
      to.call->call.answered(message.voter, *message.vote);
      decide(message.to);
    }
  }

  void commit(std::size_t who) {
    Instance& at = instances_[who];
    at.durable.join(at.coming);
    at.coming = {};
    refresh(who);
    for (auto& [by, asked] : at.asked) {
      const auto vote = asked.note(moment(who, asked.question()));
      if (vote) answer(who, by.first, asked.question(), *vote);
    }
  }

  void answer(std::size_t who, std::size_t whom, const VoteFrame& question, loam::Vote vote) {
    send({who, whom, instances_[who].life, {}, {}, {}, VotedFrame{question.call, question.number, vote}});
  }

  // As lib/voting does it.
  loam::VoteMoment moment(std::size_t who, const VoteFrame& question) const {
    const Instance& at = instances_[who];
    Held held = at.durable;
    if (loam::planted(loam::Bug::vote_before_durable)) held.join(at.coming);
    const VoterView known = view(held.steps);
    std::vector<loam::SaidDigest> states;
    for (const loam::SaidDigest& said : question.states) states.push_back({said.segment, digest(said.segment[0] - 'a', held)});
    loam::VoteMoment moment{known.id, loam::has_vote(known, at.self), loam::all_of(states), true};
    if (loam::planted(loam::Bug::vote_without_dots)) return moment;
    for (const auto& [actor, counters] : question.dots) {
      const auto& [segment, bit] = dots_.at(Dot{actor, counters.highest()});
      moment.covers = moment.covers && (held.writes[static_cast<std::size_t>(segment)] & bit) != 0;
    }
    return moment;
  }

  // ---------------------------------------------------------------- what goes wrong

  void crash(std::size_t who) {
    Instance& at = instances_[who];
    at.coming = {};
    at.asked.clear();
    end_call(at);
    ++at.life;
    at.actor = id_of<ActorId>(++actors_);
    at.next_write = 1;
  }

  // Its disk, or the backup that it goes back to: another store either way.
  void lose(std::size_t who) {
    crash(who);
    Instance& at = instances_[who];
    at.durable = gen_.coin() ? at.backup : Held{};
    at.self.store = id_of<StoreId>(who + 1, ++stores_);
    ++run_.losses;
  }

  void disaster() {
    if (disasters_ == 0) return;
    const std::size_t who = gen_.index(instances_.size());
    switch (gen_.below(4)) {
      case 0: --disasters_; return lose(who);
      case 1: instances_[who].backup = instances_[who].durable; return;
      default: return crash(who);
    }
  }

  void step() {
    ++now_;
    switch (gen_.below(16)) {
      case 0: case 1: case 2: return begin(gen_.index(instances_.size()));
      case 3: return gossip(gen_.index(instances_.size()), gen_.index(instances_.size()));
      case 4: return commit(gen_.index(instances_.size()));
      case 5:
        if (changes_ > 0 && gen_.coin()) { --changes_; change_voters(); }
        return;
      case 6:
        if (gen_.one_in(busy_)) disaster();
        return;
      case 7: {
        const std::size_t who = gen_.index(instances_.size());
        if (instances_[who].call && instances_[who].call->call.question()) ask(who, *instances_[who].call->call.question());
        return;
      }
      default:
        for (std::uint64_t left = gen_.between(1, 4); left > 0; --left) deliver();
    }
  }

  Gen gen_;
  StrongRun run_;
  std::vector<Instance> instances_;
  std::deque<Message> wire_;
  Voter first_;
  std::vector<VoterStep> steps_;  ///< their `seen` is made from `pasts_`
  std::vector<Bits64> pasts_;
  std::map<Dot, std::pair<int, Bits64>> dots_;
  std::uint64_t now_ = 0;
  std::uint64_t stores_ = 0;
  std::uint64_t actors_ = 0;
  std::uint64_t calls_ = 0;
  std::size_t written_ = 0;
  std::uint64_t busy_ = 2;
  std::uint64_t disasters_ = 0;
  std::uint64_t changes_ = 0;
};

}  // namespace

StrongRun run_strong(std::uint64_t seed) { return StrongModel(seed).run(); }

}  // namespace test
