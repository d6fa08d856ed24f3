// Questions to voters and their answers: what decides a strong call, and what a session asks, hears and answers.
#include <doctest/doctest.h>

#include <deque>

#include "tests/transport/gate.hpp"
#include "tests/transport/script.hpp"
#include "transport/strong_call.hpp"

using loam::Action;
using loam::Role;
using loam::SaidDigest;
using loam::StrongCall;
using loam::StrongState;
using loam::Vote;
using loam::VotedFrame;
using loam::VoteFrame;
using loam::VoteMoment;
using loam::Voter;
using loam::VoterSet;
using loam::VoterView;
using test::end_of;
using test::only;
using test::Script;
using test::sent;
using test::operator""s;

namespace {

Voter seat(unsigned instance, unsigned store) {
  Voter made;
  made.instance.bytes[0] = static_cast<std::byte>(instance);
  made.store.bytes[0] = static_cast<std::byte>(store);
  return made;
}

// Of seats 1, 2, … with stores of the same number.
VoterSet seats(std::initializer_list<unsigned> numbers) {
  VoterSet made;
  for (const unsigned number : numbers) made.push_back(seat(number, number));
  return made;
}

VoterView view_with(std::vector<VoterSet> open, unsigned number = 1) {
  VoterView view;
  view.id.bytes[0] = static_cast<std::byte>(number);
  view.newest = open.back();
  view.open = std::move(open);
  return view;
}

loam::StateDigest digest(unsigned number) {
  loam::StateDigest made;
  made.bytes[0] = static_cast<std::byte>(number);
  return made;
}

StrongState read_state(const VoterView& view, unsigned number) { return {view, {{"lessons", digest(number)}}}; }

loam::Context some_dots() {
  loam::Context dots;
  dots.insert(test::actor_of(1, 1), loam::Range{3, 5});
  return dots;
}

VotedFrame yes(std::uint64_t number) { return {7, number, Vote::yes}; }

const VoterView three = view_with({seats({1, 2, 3})});

}  // namespace

TEST_CASE("a read asks for the state that is here, and is done when a majority had the same one") {
  StrongCall call(7, seat(1, 1));
  CHECK_FALSE(call.question());
  CHECK(call.rounds() == 0);
  const auto question = call.refreshed(read_state(three, 1));
  CHECK(question == VoteFrame{.call = 7, .number = 1, .view = three.id, .states = {{"lessons", digest(1)}}});
  CHECK(call.question() == question);
  CHECK_FALSE(call.is_write());
  CHECK_FALSE(question->is_withdrawal());
  CHECK_FALSE(call.decided());
  call.answered(seat(2, 2), {7, 1, Vote::not_yet});
  CHECK_FALSE(call.decided());
  call.answered(seat(2, 2), yes(1));
  CHECK(call.decided() == 1);
  CHECK(call.decided_view() == three);
  CHECK(call.rounds() == 1);
}

TEST_CASE("one's own vote counts where one is a voter with this store, and nowhere else") {
  StrongCall alone(7, seat(1, 1));
  alone.refreshed(read_state(view_with({seats({1})}), 1));
  CHECK(alone.decided() == 1);
  StrongCall of_two(7, seat(1, 1));
  of_two.refreshed(read_state(view_with({seats({1, 2})}), 1));
  CHECK_FALSE(of_two.decided());
  for (const Voter& self : {seat(9, 9), seat(1, 9)}) {  // none at all, and one that has lost its store
    StrongCall outside(7, self);
    outside.refreshed(read_state(view_with({seats({1})}), 1));
    CHECK_FALSE(outside.decided());
    outside.answered(seat(1, 1), yes(1));
    CHECK(outside.decided() == 1);
    StrongCall larger(7, self);
    larger.refreshed(read_state(three, 1));
    larger.answered(seat(2, 2), yes(1));
    CHECK_FALSE(larger.decided());
    larger.answered(seat(3, 3), yes(1));
    CHECK(larger.decided() == 1);
  }
}

TEST_CASE("while voters change a majority of each open set is needed") {
  StrongCall call(7, seat(1, 1));
  call.refreshed(read_state(view_with({seats({1, 2, 3}), seats({3, 4, 5})}), 1));
  for (const unsigned who : {2U, 4U}) call.answered(seat(who, who), yes(1));
  CHECK_FALSE(call.decided());
  call.answered(seat(5, 5), yes(1));
  CHECK(call.decided() == 1);
}

TEST_CASE("answers to different states do not add up") {
  StrongCall call(7, seat(9, 9));
  call.refreshed(read_state(three, 1));
  call.answered(seat(1, 1), yes(1));
  CHECK(call.refreshed(read_state(three, 2))->number == 2);
  call.answered(seat(2, 2), yes(2));
  CHECK_FALSE(call.decided());
  CHECK_FALSE(call.refreshed(read_state(three, 2)));  // the same question
  CHECK(call.refreshed(read_state(three, 1))->number == 3);  // the state of before: another question
  call.answered(seat(2, 2), yes(3));
  CHECK_FALSE(call.decided());
  call.answered(seat(3, 3), yes(3));
  CHECK(call.decided() == 3);
  CHECK(call.rounds() == 3);
}

TEST_CASE("nor do answers by different voters") {
  const VoterView other = view_with({seats({1, 2, 3})}, 2);
  StrongCall call(7, seat(9, 9));
  call.refreshed(read_state(three, 1));
  call.answered(seat(1, 1), yes(1));
  CHECK(call.refreshed(read_state(other, 1))->view == other.id);
  call.answered(seat(2, 2), yes(2));
  CHECK_FALSE(call.decided());
}

TEST_CASE("a late answer to an old question decides the call, with that question's number and voters") {
  const VoterView other = view_with({seats({4, 5, 6})}, 2);
  StrongCall call(7, seat(1, 1));
  call.refreshed(read_state(three, 1));
  call.refreshed(read_state(three, 2));
  call.refreshed(read_state(other, 3));
  call.answered(seat(3, 3), yes(2));
  CHECK(call.decided() == 2);
  CHECK(call.decided_view() == three);
  call.answered(seat(4, 4), yes(3));  // what comes then changes nothing
  call.answered(seat(5, 5), yes(3));
  call.answered(seat(3, 3), yes(1));
  CHECK(call.decided() == 2);
  CHECK(call.decided_view() == three);
}

TEST_CASE("at most 16 questions wait for their answers, and the oldest are let go of") {
  StrongCall call(7, seat(1, 1));
  CHECK(call.oldest() == 0);
  for (unsigned number = 1; number <= 16; ++number) call.refreshed(read_state(three, number));
  CHECK(call.oldest() == 1);
  call.refreshed(read_state(three, 17));
  CHECK(call.oldest() == 2);
  call.answered(seat(2, 2), yes(1));
  CHECK_FALSE(call.decided());
  call.answered(seat(2, 2), yes(2));
  CHECK(call.decided() == 2);
}

TEST_CASE("who is no voter, has another store or answers what was never asked does nothing") {
  StrongCall call(7, seat(1, 1));
  call.answered(seat(2, 2), yes(0));
  call.answered(seat(2, 2), yes(1));  // before there is any question
  call.refreshed(read_state(three, 1));
  for (const Voter& peer : {seat(4, 4), seat(2, 3), seat(2, 9), seat(1, 2)}) call.answered(peer, yes(1));
  for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{2}, ~std::uint64_t{0}}) call.answered(seat(2, 2), yes(number));
  for (const Vote vote : {Vote::not_yet, Vote::other_voters, Vote::no_voter}) call.answered(seat(2, 2), {7, 1, vote});
  call.answered(seat(1, 1), yes(1));  // one's own is counted once
  CHECK_FALSE(call.decided());
  call.answered(seat(3, 3), yes(1));
  CHECK(call.decided() == 1);
}

TEST_CASE("a yes is not taken back by what is answered later") {
  StrongCall call(7, seat(9, 9));
  call.refreshed(read_state(three, 1));
  call.answered(seat(1, 1), yes(1));
  call.answered(seat(1, 1), {7, 1, Vote::not_yet});  // it had that state
  call.answered(seat(2, 2), yes(1));
  CHECK(call.decided() == 1);
}

TEST_CASE("a write is asked again when the voters change, and not otherwise") {
  StrongCall call(7, seat(1, 1), "lessons", some_dots());
  CHECK(call.is_write());
  const auto question = call.refreshed({three, {}});
  CHECK(question == VoteFrame{.call = 7, .number = 1, .view = three.id, .states = {}, .segment = "lessons", .dots = some_dots()});
  CHECK_FALSE(question->is_withdrawal());
  CHECK_FALSE(call.refreshed({three, {}}));
  CHECK(call.rounds() == 1);
  const VoterView other = view_with({seats({1, 2, 3}), seats({4})}, 2);
  const auto again = call.refreshed({other, {}});
  CHECK(again == VoteFrame{.call = 7, .number = 2, .view = other.id, .states = {}, .segment = "lessons", .dots = some_dots()});
  call.answered(seat(2, 2), yes(2));
  CHECK_FALSE(call.decided());
  call.answered(seat(4, 4), yes(2));
  CHECK(call.decided() == 2);
  StrongCall removal(7, seat(1, 1), "lessons", some_dots(), true);
  CHECK(removal.refreshed({three, {}})->dead);
}

TEST_CASE("a withdrawal asks for nothing, under a number that no question had") {
  StrongCall call(7, seat(1, 1), "lessons", some_dots());
  CHECK(call.withdrawal() == VoteFrame{.call = 7, .number = 1});
  call.refreshed({three, {}});
  CHECK(call.withdrawal() == VoteFrame{.call = 7, .number = 2});
  CHECK(call.withdrawal().is_withdrawal());
}

TEST_CASE("voters of the last question are asked, and nobody else") {
  StrongCall call(7, seat(1, 1));
  CHECK_FALSE(call.is_asked(seat(2, 2)));
  call.refreshed(read_state(three, 1));
  CHECK(call.is_asked(seat(2, 2)));
  CHECK_FALSE(call.is_asked(seat(2, 9)));
  CHECK_FALSE(call.is_asked(seat(4, 4)));
  call.refreshed(read_state(view_with({seats({4})}, 2), 1));
  CHECK_FALSE(call.is_asked(seat(2, 2)));
  CHECK(call.is_asked(seat(4, 4)));
}

TEST_CASE("what each voter has answered to the last question is told") {
  using Votes = std::map<Voter, std::optional<Vote>>;
  StrongCall call(7, seat(1, 1));
  CHECK(call.votes().empty());
  call.refreshed(read_state(three, 1));
  call.answered(seat(2, 2), {7, 1, Vote::other_voters});
  call.answered(seat(4, 4), yes(1));
  CHECK(call.votes() == Votes{{seat(1, 1), Vote::yes}, {seat(2, 2), Vote::other_voters}, {seat(3, 3), std::nullopt}});
  call.refreshed(read_state(three, 2));
  CHECK(call.votes() == Votes{{seat(1, 1), Vote::yes}, {seat(2, 2), std::nullopt}, {seat(3, 3), std::nullopt}});
}

namespace {

// How things are for a store that votes so.
VoteMoment moment_for(const VoteFrame& question, Vote vote) {
  VoteMoment moment{question.view, true, loam::all_of(question.states), true};
  if (vote == Vote::not_yet) moment.covers = false;
  if (vote == Vote::other_voters) moment.view = view_with({seats({1})}, 99).id;
  if (vote == Vote::no_voter) moment.has_vote = false;
  return moment;
}

}  // namespace

TEST_CASE("a store votes by its voters first, then by its seat, then by its state") {
  const VoteFrame question{.call = 7, .number = 1, .view = three.id, .states = {{"lessons", digest(1)}}};
  for (const Vote vote : {Vote::yes, Vote::not_yet, Vote::other_voters, Vote::no_voter}) {
    CHECK(vote_of(question, moment_for(question, vote)) == vote);
    CHECK(loam::text_of(vote) != "?");
  }
  VoteMoment moment = moment_for(question, Vote::other_voters);
  moment.has_vote = moment.covers = false;
  CHECK(vote_of(question, moment) == Vote::other_voters);
  moment.view = question.view;
  CHECK(vote_of(question, moment) == Vote::no_voter);
  moment.has_vote = true;
  CHECK(vote_of(question, moment) == Vote::not_yet);
  moment.covers = true;
  CHECK(vote_of(question, moment) == Vote::yes);
  for (const std::vector<SaidDigest>& other :
       {std::vector<SaidDigest>{}, {{"lessons", digest(2)}}, {{"lesson", digest(1)}}, {{"lessons", digest(1)}, {"lessons", digest(1)}}}) {
    moment.states = loam::all_of(other);
    CHECK(vote_of(question, moment) == Vote::not_yet);
  }
  CHECK(loam::has_vote(three, seat(2, 2)));
  CHECK_FALSE(loam::has_vote(three, seat(9, 9)));
  CHECK_FALSE(loam::has_vote(three, seat(2, 9)));  // it has lost the store that was the voter
}

TEST_CASE("every moment of a call counts, for later questions too, until there were more than 32") {
  const auto at = [](unsigned state) {
    return VoteMoment{three.id, true, loam::all_of({{"lessons", digest(state)}}), true};
  };
  const auto about = [](std::uint64_t number, unsigned state) {
    return VoteFrame{.call = 7, .number = number, .view = three.id, .states = {{"lessons", digest(state)}}};
  };
  loam::VoteAnswers answers;
  CHECK(answers.ask(about(1, 1), at(1)) == Vote::yes);
  CHECK_FALSE(answers.note(at(2)));
  CHECK_FALSE(answers.note(at(3)));
  CHECK(answers.ask(about(2, 2), at(3)) == Vote::yes);  // it had that
  CHECK(answers.ask(about(3, 4), at(3)) == Vote::not_yet);
  CHECK_FALSE(answers.note(at(3)));
  CHECK(answers.note(at(4)) == Vote::yes);
  CHECK_FALSE(answers.note(at(5)));
  for (unsigned state = 6; state <= 36; ++state) CHECK((answers.note(at(state)) == Vote::not_yet) == (state == 36));
  CHECK(answers.ask(about(4, 5), at(36)) == Vote::yes);
  CHECK(answers.ask(about(5, 4), at(36)) == Vote::not_yet);
  // Of voters that were known before it counts only for who knows the same.
  VoteFrame later = about(6, 30);
  later.view = view_with({seats({1})}, 98).id;
  CHECK(answers.ask(later, at(36)) == Vote::other_voters);
  // Nor is it about other dots.
  VoteFrame write{.call = 7, .number = 7, .view = three.id, .states = {}, .segment = "lessons", .dots = some_dots()};
  CHECK(answers.ask(write, {three.id, true, loam::all_of({}), false}) == Vote::not_yet);
  CHECK(answers.note({three.id, true, loam::all_of({}), true}) == Vote::yes);
}

// ---------------------------------------------------------------- in a session

namespace {

// Answers what it is told to.
class StubVoting final : public loam::Voting {
 public:
  Vote answer = Vote::not_yet;
  std::map<std::uint64_t, Vote> by_call;
  mutable std::vector<VoteFrame> heard;

  VoteMoment look(const VoteFrame& question) const override {
    heard.push_back(question);
    const auto at = by_call.find(question.call);
    return moment_for(question, at == by_call.end() ? answer : at->second);
  }
};

// The vote of a store in memory.
class PeerVoting final : public loam::Voting {
 public:
  PeerVoting(const test::Peer& peer, VoterView view) : peer_(peer), view_(std::move(view)) {}

  Voter self() const { return {test::instance_of(peer_.author()), peer_.id()}; }
  SaidDigest state(const std::string& segment) const { return {segment, loam::digest_of(peer_.state(segment).roots)}; }

  VoteMoment look(const VoteFrame& question) const override {
    std::vector<SaidDigest> states;
    for (const SaidDigest& said : question.states) states.push_back(state(said.segment));
    const bool covers = std::all_of(question.dots.begin(), question.dots.end(), [&](const auto& each) {
      return peer_.store(question.segment).context().of(each.first).contains(each.second);
    });
    return {view_.id, loam::has_vote(view_, self()), loam::all_of(states), covers};
  }

 private:
  const test::Peer& peer_;
  VoterView view_;
};

// A session that the test speaks to as `other` would, after the hellos.
struct Booth {
  explicit Booth(const loam::Voting* voting, std::uint64_t other_version = loam::wire_version) {
    loam::SessionConfig config;
    config.role = Role::listener;
    config.hello = hello_from(own, "own");
    config.voting = voting;
    session.emplace(std::move(config), own);
    session->connected({});
    loam::Hello hello = hello_from(other, "other");
    hello.version_max = other_version;
    receive(hello);
  }

  std::vector<Action> receive(const loam::Frame& frame) { return session->received(loam::encode_frame(frame), {}); }
  std::vector<VotedFrame> hears(const VoteFrame& frame) { return sent<VotedFrame>(receive(frame)); }
  std::vector<VotedFrame> changed() { return sent<VotedFrame>(session->changed({})); }

  test::Peer own{1, 1, test::two_segments};
  test::Peer other{2, 2, test::two_segments};
  std::optional<loam::Session> session;
};

VoteFrame read_question(std::uint64_t call, std::uint64_t number, const std::string& segment = "lessons") {
  return {.call = call, .number = number, .states = {{segment, digest(1)}}};
}

// With so many octets on the wire.
VoteFrame question_of(std::size_t octets) {
  VoteFrame question{.call = 7, .number = 1, .states = {}, .segment = "s"};
  loam::ActorId actor;
  const auto more = [&] {
    for (std::byte& each : actor.bytes) {
      each = static_cast<std::byte>(std::to_integer<unsigned>(each) + 1);
      if (each != std::byte{}) break;
    }
    question.dots.insert(actor, loam::Range{1, 1});
  };
  for (std::size_t left = octets / 24; left > 0; --left) more();
  while (loam::encode_frame(question).size() + 30 < octets) more();
  while (loam::encode_frame(question).size() < octets) question.segment += 's';
  REQUIRE(loam::encode_frame(question).size() == octets);
  return question;
}

using Answers = std::vector<VotedFrame>;

}  // namespace

TEST_CASE("a question is answered at once, as the store votes") {
  StubVoting voting;
  Booth booth(&voting);
  std::uint64_t call = 0;
  for (const Vote vote : {Vote::yes, Vote::not_yet, Vote::other_voters, Vote::no_voter}) {
    voting.answer = vote;
    ++call;
    CHECK(booth.hears(read_question(call, 1)) == Answers{{call, 1, vote}});
  }
  CHECK(voting.heard.back() == read_question(call, 1));
}

TEST_CASE("who has no vote says so") {
  Booth booth(nullptr);
  CHECK(booth.hears(read_question(7, 1)) == Answers{{7, 1, Vote::no_voter}});
  CHECK(booth.changed().empty());
}

TEST_CASE("what is not so yet is answered again when it has become so, and stays answered") {
  StubVoting voting;
  Booth booth(&voting);
  CHECK(booth.hears(read_question(7, 1)) == Answers{{7, 1, Vote::not_yet}});
  CHECK(booth.changed().empty());  // the same as before
  voting.answer = Vote::other_voters;
  CHECK(booth.changed() == Answers{{7, 1, Vote::other_voters}});
  voting.answer = Vote::yes;
  CHECK(booth.changed() == Answers{{7, 1, Vote::yes}});
  voting.answer = Vote::not_yet;
  CHECK(booth.changed().empty());
  CHECK(booth.hears(read_question(7, 2)) == Answers{{7, 2, Vote::yes}});
}

TEST_CASE("a later question of a call takes the place of the former one, and the same question is answered again") {
  StubVoting voting;
  Booth booth(&voting);
  booth.hears(read_question(7, 1));
  CHECK(booth.hears(read_question(7, 2)) == Answers{{7, 2, Vote::not_yet}});
  CHECK(booth.hears(read_question(7, 2)) == Answers{{7, 2, Vote::not_yet}});  // it may not have heard the answer
  booth.hears(read_question(8, 1));
  voting.answer = Vote::yes;
  CHECK(booth.changed() == Answers{{7, 2, Vote::yes}, {8, 1, Vote::yes}});
}

TEST_CASE("a withdrawal ends a question and has no answer") {
  StubVoting voting;
  Booth booth(&voting);
  booth.hears(read_question(7, 1));
  booth.hears(read_question(8, 1));
  const auto asked = voting.heard.size();
  CHECK(booth.hears({.call = 7, .number = 2}).empty());
  CHECK(booth.hears({.call = 9, .number = 1}).empty());  // of what was never asked
  CHECK(voting.heard.size() == asked);
  voting.answer = Vote::yes;
  CHECK(booth.changed() == Answers{{8, 1, Vote::yes}});
}

TEST_CASE("at most 16 calls of a peer are remembered, and each is answered when it comes") {
  StubVoting voting;
  Booth booth(&voting);
  for (std::uint64_t call = 1; call <= 17; ++call) {
    CHECK(booth.hears(read_question(call, 1)) == Answers{{call, 1, Vote::not_yet}});
  }
  voting.heard.clear();
  CHECK(booth.changed().empty());
  CHECK(voting.heard.size() == 16);
  voting.answer = Vote::yes;
  const auto answers = booth.changed();
  CHECK(answers.size() == 16);
  // The one that was let go of may be asked again.
  CHECK(booth.hears(read_question(1, 1)) == Answers{{1, 1, Vote::yes}});
}

// Or a peer could have us keep, and look at after each commit, far more than it sends at once.
TEST_CASE("a question of up to 64 KiB waits, and a larger one is answered once") {
  constexpr std::size_t waiting_max = std::size_t{64} << 10;
  for (const std::size_t octets : {waiting_max, waiting_max + 1}) {
    StubVoting voting;
    Booth booth(&voting);
    CHECK(booth.hears(question_of(octets)) == Answers{{7, 1, Vote::not_yet}});
    voting.answer = Vote::yes;
    CHECK(booth.changed().size() == (octets == waiting_max ? 1 : 0));
    CHECK(booth.hears(question_of(octets)) == Answers{{7, 1, Vote::yes}});
  }
}

TEST_CASE("a session tells its driver what a peer has answered, whatever that is about") {
  Booth booth(nullptr);
  const VotedFrame vote{9, 3, Vote::other_voters};
  CHECK(only<loam::Voted>(booth.receive(vote)) == std::vector<loam::Voted>{{vote}});
}

TEST_CASE("a peer is asked by the frame of the question, and one that knows no votes never is") {
  const VoteFrame question = read_question(7, 1);
  Booth booth(nullptr);
  CHECK(sent<VoteFrame>(booth.session->ask(question, {})) == std::vector{question});
  Booth older(nullptr, loam::wire_version - 1);
  CHECK(only<loam::Send>(older.session->ask(question, {})).empty());
  Booth newer(nullptr, loam::wire_version + 1);
  CHECK(sent<VoteFrame>(newer.session->ask(question, {})) == std::vector{question});
  // Nobody is asked who has not said hello, or whom we have left.
  Script script;
  script.connected();
  CHECK(only<loam::Send>(script.session().ask(question, {})).empty());
  booth.session->leave("enough", {});
  CHECK(booth.session->ask(question, {}).empty());
}

TEST_CASE("a question and an answer before a hello end the conversation") {
  StubVoting voting;
  const std::vector<loam::Frame> frames{read_question(7, 1), VoteFrame{.call = 7, .number = 1}, VotedFrame{7, 1, Vote::yes}};
  for (const loam::Frame& frame : frames) {
    test::Peer own{1, 1, test::two_segments};
    loam::SessionConfig config;
    config.role = Role::listener;
    config.hello = hello_from(own, "own");
    config.voting = &voting;
    loam::Session session(std::move(config), own);
    session.connected({});
    const auto actions = session.received(loam::encode_frame(frame), {});
    CHECK(end_of(actions) == "1002 invalid");
    CHECK(sent<VotedFrame>(actions).empty());
    CHECK(only<loam::Voted>(actions).empty());
  }
  CHECK(voting.heard.empty());
}

// ---------------------------------------------------------------- between two sessions

namespace {

// Two sessions that prove themselves, and what is on its way between them.
struct Booths {
  struct Side {
    Side(std::uint64_t number, Role side_role)
        : gate(number), peer(static_cast<unsigned>(number), number, test::two_segments), role(side_role) {}

    void begin() {
      loam::SessionConfig config;
      config.role = role;
      config.hello = hello_from(peer, "nonce " + std::to_string(static_cast<int>(role)));
      config.hello.key = gate.key().key();
      config.hello.instance = gate.key().instance();
      config.gate = &gate;
      config.voting = voting;
      session.emplace(std::move(config), peer);
    }

    Voter seat() const { return {gate.key().instance(), peer.id()}; }

    test::Gate gate;
    test::Peer peer;
    Role role;
    const loam::Voting* voting = nullptr;
    std::optional<loam::Session> session;
    std::vector<VotedFrame> heard;
  };

  Booths() {
    for (Side* side : {&left, &right}) side->gate.members = {left.gate.key().key(), right.gate.key().key()};
  }

  void begin() {
    left.begin();
    right.begin();
    add(left, left.session->connected({}));
    add(right, right.session->connected({}));
  }

  void add(Side& side, const std::vector<Action>& actions) {
    for (const Action& action : actions) todo.emplace_back(&side, action);
  }

  void ask(Side& side, const VoteFrame& question) {
    add(side, side.session->ask(question, {}));
    pass();
  }

  // Until nothing is on its way; what is applied is committed at once.
  void pass(int steps = 2'000) {
    for (; !todo.empty() && steps > 0; --steps) {
      const auto [side, action] = todo.front();
      todo.pop_front();
      Side& other = side == &left ? right : left;
      if (const auto* send = std::get_if<loam::Send>(&action)) add(other, other.session->received(send->frame, {}));
      if (const auto* vote = std::get_if<loam::Voted>(&action)) side->heard.push_back(vote->vote);
      if (holds_applies && std::holds_alternative<loam::Apply>(action)) {
        held.emplace_back(side, action);
      } else if (const auto* apply = std::get_if<loam::Apply>(&action)) {
        add(*side, side->session->applied(side->peer.apply(*apply, other.peer.id()), {}));
        add(*side, side->session->changed({}));
      }
    }
  }

  Side left{1, Role::dialler};
  Side right{2, Role::listener};
  std::deque<std::pair<Side*, Action>> todo;
  bool holds_applies = false;  ///< nothing is stored, but kept in `held`
  std::deque<std::pair<Side*, Action>> held;
};

}  // namespace

TEST_CASE("a strong read is decided once what it is about has reached the voter") {
  Booths booths;
  VoterView view = view_with({{{test::instance_of(2), booths.right.peer.id()}}});
  const PeerVoting voting(booths.right.peer, view);
  booths.right.voting = &voting;
  booths.begin();
  booths.pass();
  booths.left.peer.add("lessons", "one");  // committed here, and not told yet
  const PeerVoting own(booths.left.peer, view);
  StrongCall call(7, own.self());
  booths.ask(booths.left, *call.refreshed({view, {own.state("lessons")}}));
  CHECK(booths.left.heard == Answers{{7, 1, Vote::not_yet}});
  booths.add(booths.left, booths.left.session->changed({}));
  booths.pass();
  REQUIRE(booths.left.heard == Answers{{7, 1, Vote::not_yet}, {7, 1, Vote::yes}});
  for (const VotedFrame& vote : booths.left.heard) call.answered(voting.self(), vote);
  CHECK(call.decided() == 1);
}

TEST_CASE("a strong write is acknowledged once the voter covers its dots, whatever else the voter has") {
  Booths booths;
  VoterView view = view_with({{{test::instance_of(2), booths.right.peer.id()}}});
  const PeerVoting voting(booths.right.peer, view);
  booths.right.voting = &voting;
  booths.begin();
  booths.pass();
  booths.right.peer.add("lessons", "another");
  loam::Context dots;
  booths.left.peer.write("lessons", [&](test::Replica& replica) {
    const loam::Delta delta = replica.add({"one", "one"});
    dots = delta.context;
    return delta;
  });
  StrongCall call(7, Voter{}, "lessons", dots);
  booths.ask(booths.left, *call.refreshed({view, {}}));
  CHECK(booths.left.heard == Answers{{7, 1, Vote::not_yet}});
  booths.add(booths.left, booths.left.session->changed({}));
  booths.pass();
  REQUIRE(booths.left.heard.size() == 2);
  call.answered(voting.self(), booths.left.heard.back());
  CHECK(call.decided() == 1);
}

TEST_CASE("no store votes for a write that has come and is not stored") {
  Booths booths;
  VoterView view = view_with({{{test::instance_of(2), booths.right.peer.id()}}});
  const PeerVoting voting(booths.right.peer, view);
  booths.right.voting = &voting;
  booths.begin();
  booths.pass();
  loam::Context dots;
  booths.left.peer.write("lessons", [&](test::Replica& replica) {
    const loam::Delta delta = replica.add({"one", "one"});
    dots = delta.context;
    return delta;
  });
  StrongCall call(7, Voter{}, "lessons", dots);
  booths.holds_applies = true;
  booths.ask(booths.left, *call.refreshed({view, {}}));
  booths.add(booths.left, booths.left.session->changed({}));
  booths.pass();
  REQUIRE(booths.held.size() == 1);
  CHECK(booths.left.heard == Answers{{7, 1, Vote::not_yet}});
  booths.holds_applies = false;
  booths.todo = std::exchange(booths.held, {});
  booths.pass();
  CHECK(booths.left.heard == Answers{{7, 1, Vote::not_yet}, {7, 1, Vote::yes}});
}

TEST_CASE("nobody is asked or answered who has not proven who he is") {
  StubVoting voting;
  Booths booths;
  booths.right.voting = &voting;
  booths.begin();
  // The dialler's hello has been heard, its proof not.
  auto [side, hello] = booths.todo.front();
  const auto answer = booths.right.session->received(std::get<loam::Send>(hello).frame, {});
  CHECK(sent<loam::Hello>(answer).size() == 1);
  CHECK(only<loam::Send>(booths.right.session->ask(read_question(7, 1), {})).empty());
  const auto actions = booths.right.session->received(loam::encode_frame(read_question(7, 1)), {});
  CHECK(end_of(actions) == "1002 invalid");
  CHECK(sent<VotedFrame>(actions).empty());
  CHECK(voting.heard.empty());
}

TEST_CASE("who may not read a segment hears of no state of it, and of the registry everybody does") {
  StubVoting voting;
  voting.answer = Vote::yes;
  Booths booths;
  booths.right.voting = &voting;
  booths.right.gate.hidden = {"registry", "lessons"};
  booths.begin();
  booths.pass();
  booths.ask(booths.left, read_question(1, 1));
  VoteFrame both = read_question(2, 1, "registry");
  both.states.push_back({"lessons", digest(1)});
  booths.ask(booths.left, both);
  booths.ask(booths.left, {.call = 3, .number = 1, .states = {}, .segment = "lessons", .dots = some_dots()});
  VoteFrame mixed = read_question(4, 1, "registry");
  mixed.segment = "lessons";
  mixed.dots = some_dots();
  booths.ask(booths.left, mixed);
  CHECK(booths.left.heard ==
        Answers{{1, 1, Vote::not_yet}, {2, 1, Vote::not_yet}, {3, 1, Vote::not_yet}, {4, 1, Vote::not_yet}});
  CHECK(voting.heard.empty());
  booths.left.heard.clear();
  booths.ask(booths.left, read_question(5, 1, "registry"));
  booths.ask(booths.left, {.call = 6, .number = 1, .states = {}, .segment = "registry", .dots = some_dots()});
  CHECK(booths.left.heard == Answers{{5, 1, Vote::yes}, {6, 1, Vote::yes}});
  // Its answer is the same whatever the store would say.
  booths.left.heard.clear();
  for (const Vote vote : {Vote::yes, Vote::not_yet, Vote::other_voters, Vote::no_voter}) {
    voting.answer = vote;
    booths.add(booths.right, booths.right.session->changed({}));
    booths.pass();
    booths.ask(booths.left, read_question(9, 1));
  }
  for (const VotedFrame& vote : booths.left.heard) CHECK(vote == VotedFrame{9, 1, Vote::not_yet});
  CHECK(booths.left.heard.size() == 4);
}

TEST_CASE("who may not read a segment is not asked about it") {
  Booths booths;
  booths.right.gate.hidden = {"registry", "lessons"};
  booths.begin();
  booths.pass();
  VoteFrame both = read_question(2, 1, "registry");
  both.states.push_back({"lessons", digest(1)});
  const VoteFrame write{.call = 3, .number = 1, .states = {}, .segment = "lessons", .dots = some_dots()};
  for (const VoteFrame& question : {read_question(1, 1), both, write}) {
    CHECK(only<loam::Send>(booths.right.session->ask(question, {})).empty());
  }
  CHECK(sent<VoteFrame>(booths.right.session->ask(read_question(4, 1, "registry"), {})).size() == 1);
}

TEST_CASE("votes do not count as a comparison, and a session that answers goes on as before") {
  StubVoting voting;
  Booths booths;
  booths.right.voting = &voting;
  booths.begin();
  booths.pass();
  booths.ask(booths.left, read_question(1, 1));
  booths.left.peer.add("lessons", "one");
  booths.add(booths.left, booths.left.session->changed({}));
  booths.pass();
  CHECK(booths.right.peer.store("lessons").roots() == booths.left.peer.store("lessons").roots());
  CHECK(booths.left.session->report().converged);
  CHECK(booths.right.session->report().problem.empty());
}
