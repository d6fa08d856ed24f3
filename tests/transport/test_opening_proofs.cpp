// Who is let in: both sides prove their keys, the registry says who may read what, and an invitation lets one in.
#include <doctest/doctest.h>

#include "tests/transport/gate.hpp"
#include "tests/transport/script.hpp"
#include "transport/proof.hpp"

using loam::Action;
using loam::JoinFrame;
using loam::Proof;
using loam::Role;
using loam::StateFrame;
using test::end_of;
using test::Gate;
using test::only;
using test::Peer;
using test::sent;
using test::SigningKey;

namespace {

// One side with its session.
struct Side {
  Side(std::uint64_t number, Role side_role) : gate(number), peer(static_cast<unsigned>(number), static_cast<unsigned>(number), test::two_segments), role(side_role) {}

  Gate gate;
  Peer peer;
  Role role;
  loam::SessionConfig config;
  std::optional<loam::Session> session;
  std::vector<Action> all;  ///< what it has done

  loam::Hello hello() const {
    loam::Hello hello = hello_from(peer, "nonce " + std::to_string(static_cast<int>(role)));
    hello.key = gate.key().key();
    hello.instance = gate.key().instance();
    return hello;
  }

  void begin() {
    config.role = role;
    if (config.hello.name.empty()) config.hello = hello();
    config.gate = &gate;
    session.emplace(config, peer);
  }

  std::vector<Action> done(std::vector<Action> actions) {
    all.insert(all.end(), actions.begin(), actions.end());
    return actions;
  }
};

// Two sides whose frames the test may change.
struct Pair {
  Side left{1, Role::dialler};
  Side right{2, Role::listener};
  std::function<void(loam::Bytes&)> to_right;
  std::function<void(loam::Bytes&)> to_left;
  std::optional<std::string> admission;  ///< what the right one answers to an Admit
  std::vector<loam::Admit> asked;

  Pair() {
    for (Side* side : {&left, &right}) side->gate.members = {left.gate.key().key(), right.gate.key().key()};
  }

  void run() {
    left.begin();
    right.begin();
    std::deque<std::pair<bool, Action>> todo;
    const auto add = [&](bool is_left, const std::vector<Action>& actions) {
      for (const Action& action : (is_left ? left : right).done(actions)) todo.emplace_back(is_left, action);
    };
    add(true, left.session->connected({}));
    add(false, right.session->connected({}));
    for (int steps = 0; !todo.empty() && steps < 2'000; ++steps) {
      auto [is_left, action] = todo.front();
      todo.pop_front();
      Side& self = is_left ? left : right;
      Side& other = is_left ? right : left;
      if (auto* send = std::get_if<loam::Send>(&action)) {
        const auto& change = is_left ? to_right : to_left;
        if (change) change(send->frame);
        add(!is_left, other.session->received(send->frame, {}));
      } else if (const auto* apply = std::get_if<loam::Apply>(&action)) {
        add(is_left, self.session->applied(self.peer.apply(*apply, other.peer.id()), {}));
      } else if (const auto* admit = std::get_if<loam::Admit>(&action)) {
        asked.push_back(*admit);
        if (!admission) self.gate.members.insert(admit->key);
        add(is_left, self.session->admitted(admission, {}));
      }
    }
  }

  bool is_established() const { return left.session->report().peer && right.session->report().peer; }
};

template <class Type>
bool is_frame(const loam::Bytes& octets) {
  return std::holds_alternative<Type>(loam::decode_frame(octets));
}

}  // namespace

TEST_CASE("two members prove themselves, exchange the registry first and then the rest") {
  Pair pair;
  pair.left.peer.put("registry", "a", "1");
  pair.right.peer.add("lessons", "x");
  pair.run();
  CHECK(pair.is_established());
  CHECK(pair.left.peer.store("registry").roots() == pair.right.peer.store("registry").roots());
  CHECK(pair.left.peer.store("lessons").roots() == pair.right.peer.store("lessons").roots());
  const auto states = sent<StateFrame>(pair.left.all);
  REQUIRE(states.size() >= 2);
  CHECK(states[0].segment == "registry");
  CHECK_FALSE(states[0].final);
  CHECK(pair.left.session->report().peer->key == pair.right.gate.key().key());
}

TEST_CASE("a stranger hears nothing of the segments") {
  Pair pair;
  pair.right.gate.members.erase(pair.left.gate.key().key());
  pair.run();
  CHECK(end_of(pair.right.all) == "1008 untrusted");
  CHECK(sent<StateFrame>(pair.right.all).empty());
  CHECK(sent<Proof>(pair.right.all).empty());
  CHECK_FALSE(pair.right.session->report().peer);
  CHECK(pair.left.session->report().untrusted);
}

TEST_CASE("whoever says that it has another's key cannot prove it") {
  Pair pair;
  const SigningKey victim(7);
  pair.right.gate.members.insert(victim.key());
  pair.left.config.hello = pair.left.hello();
  pair.left.config.hello.key = victim.key();
  pair.left.config.hello.instance = victim.instance();
  pair.run();
  CHECK(end_of(pair.right.all) == "1008 untrusted");
  CHECK(sent<StateFrame>(pair.right.all).empty());
}

TEST_CASE("an id that is not that of the key is refused, and so are keys of small order") {
  for (const int what : {0, 1, 2}) {
    CAPTURE(what);
    Pair pair;
    pair.left.config.hello = pair.left.hello();
    if (what == 0) pair.left.config.hello.instance.bytes[0] ^= std::byte{1};
    if (what == 1) pair.left.config.hello.key = {};
    if (what == 2) pair.left.config.hello.key.bytes = {std::byte{1}};
    pair.run();
    CHECK(end_of(pair.right.all) == "1008 untrusted");
    CHECK_FALSE(pair.is_established());
  }
}

TEST_CASE("hellos that were changed on the way make every proof bad") {
  Pair pair;
  pair.to_right = [](loam::Bytes& octets) {
    loam::Frame frame = loam::decode_frame(octets);
    if (auto* hello = std::get_if<loam::Hello>(&frame)) {
      hello->name = "other";
      octets = loam::encode_frame(frame);
    }
  };
  pair.run();
  CHECK(end_of(pair.right.all) == "1008 untrusted");
}

TEST_CASE("a proof of another connection or of the other end is refused") {
  Pair first;
  first.run();
  const Proof replayed = sent<Proof>(first.left.all).at(0);
  const Proof mirrored = sent<Proof>(first.right.all).at(0);
  for (const Proof& proof : {replayed, mirrored}) {
    Pair second;
    second.right.config.hello = second.right.hello();
    second.right.config.hello.nonce[3] ^= std::byte{1};
    second.to_right = [&](loam::Bytes& octets) {
      if (is_frame<Proof>(octets)) octets = loam::encode_frame(proof);
    };
    second.run();
    CHECK(end_of(second.right.all) == "1008 untrusted");
    CHECK(sent<StateFrame>(second.right.all).empty());
  }
}

TEST_CASE("both ends must have the same channel") {
  Pair pair;
  pair.left.config.channel = {std::byte{1}};
  pair.right.config.channel = {std::byte{2}};
  pair.run();
  CHECK(end_of(pair.right.all) == "1008 untrusted");
}

TEST_CASE("states before a proof, a second proof and a proof that nobody asked for end the conversation") {
  Pair good;
  good.run();
  const Proof proof = sent<Proof>(good.left.all).at(0);
  for (const int what : {0, 1, 2}) {
    CAPTURE(what);
    Side right(2, Role::listener);
    right.gate.members = {good.left.gate.key().key()};
    right.begin();
    right.done(right.session->connected({}));
    if (what < 2) right.done(right.session->received(loam::encode_frame(good.left.hello()), {}));
    if (what == 0) right.done(right.session->received(loam::encode_frame(StateFrame{.segment = "registry"}), {}));
    if (what == 1) {
      right.done(right.session->received(loam::encode_frame(proof), {}));
      right.done(right.session->received(loam::encode_frame(proof), {}));
    }
    if (what == 2) right.done(right.session->received(loam::encode_frame(proof), {}));
    CHECK(end_of(right.all) == "1002 invalid");
  }
}

TEST_CASE("pings do not keep a stranger") {
  Side right(2, Role::listener);
  right.begin();
  right.done(right.session->connected({}));
  right.gate.members.insert(SigningKey(1).key());
  Side left(1, Role::dialler);
  right.done(right.session->received(loam::encode_frame(left.hello()), std::chrono::seconds(8)));
  right.done(right.session->received(loam::encode_frame(loam::Ping{}), std::chrono::seconds(9)));
  right.done(right.session->woke(std::chrono::seconds(10)));
  CHECK(end_of(right.all) == "1001 leaving");
}

TEST_CASE("what the peer may not read does not exist for it") {
  Pair pair;
  pair.right.gate.hidden = {"lessons"};
  pair.right.peer.add("lessons", "secret");
  pair.left.peer.add("lessons", "own");
  pair.run();
  CHECK(pair.is_established());
  for (const StateFrame& state : sent<StateFrame>(pair.right.all)) CHECK(state.segment != "lessons");
  CHECK(pair.left.peer.store("lessons").live().size() == 1);
  CHECK(pair.right.peer.store("lessons").live().size() == 1);
  CHECK(end_of(pair.right.all).empty());
}

TEST_CASE("a right that is taken away ends the conversation before anything more is sent") {
  Pair pair;
  pair.run();
  pair.right.peer.add("lessons", "new");
  pair.right.gate.hidden = {"lessons"};
  ++pair.right.gate.changes;
  const auto actions = pair.right.session->changed({});
  CHECK(sent<loam::DeltaFrame>(actions).empty());
  CHECK(end_of(actions) == "1000 leaving");
}

TEST_CASE("whoever is revoked hears nothing more") {
  Pair pair;
  pair.run();
  pair.right.peer.add("lessons", "new");
  pair.right.gate.members.erase(pair.left.gate.key().key());
  ++pair.right.gate.changes;
  const auto actions = pair.right.session->changed({});
  CHECK(sent<loam::DeltaFrame>(actions).empty());
  CHECK(end_of(actions) == "1008 untrusted");
}

TEST_CASE("whoever is revoked after its hello, or while the registry is told, is not let in") {
  Pair pair;
  const auto revoke = [&] {
    pair.right.gate.members.erase(pair.left.gate.key().key());
    ++pair.right.gate.changes;
  };
  std::size_t states = 0;  // that were told until then
  SUBCASE("before it has proved its key") {
    pair.to_right = [&](loam::Bytes& frame) {
      if (is_frame<Proof>(frame)) revoke();
    };
  }
  SUBCASE("when it knows of the registry alone") {
    states = 1;
    pair.to_right = [&](loam::Bytes& frame) {
      if (is_frame<StateFrame>(frame)) revoke();
    };
  }
  pair.run();
  CHECK(end_of(pair.right.all) == "1008 untrusted");
  CHECK(sent<StateFrame>(pair.right.all).size() == states);
}

TEST_CASE("an invitation lets one in who is in no registry yet") {
  Pair pair;
  pair.right.gate.members.erase(pair.left.gate.key().key());
  pair.right.gate.invites = true;
  pair.left.gate.members.clear();  // it knows nobody yet
  pair.left.config.hello = pair.left.hello();
  pair.left.config.hello.joins = true;
  pair.left.config.expected = pair.right.gate.key().key();
  pair.left.config.secret.emplace().fill(std::byte{9});
  SUBCASE("with the right secret") {
    pair.run();
    CHECK(pair.is_established());
    REQUIRE(pair.asked.size() == 1);
    CHECK(pair.asked[0].key == pair.left.gate.key().key());
    CHECK(pair.asked[0].secret == *pair.left.config.secret);
  }
  SUBCASE("but not with a wrong one") {
    pair.admission = "the invitation is not known here";
    pair.run();
    CHECK_FALSE(pair.is_established());
    CHECK(end_of(pair.right.all) == "1008 untrusted");
    CHECK(sent<StateFrame>(pair.right.all).empty());
  }
  SUBCASE("nor where nobody is invited") {
    pair.right.gate.invites = false;
    pair.run();
    CHECK(pair.asked.empty());
    CHECK(end_of(pair.right.all) == "1008 untrusted");
  }
  SUBCASE("and it tells the secret to nobody but the governor") {
    pair.left.config.expected = SigningKey(5).key();
    pair.run();
    CHECK(sent<JoinFrame>(pair.left.all).empty());
    CHECK(end_of(pair.left.all) == "1008 untrusted");
  }
}
