#include <doctest/doctest.h>

#include "tests/transport/script.hpp"

using loam::Action;
using loam::Role;
using loam::WakeAt;
using test::end_of;
using test::Script;
using test::send;
using test::operator""s;

namespace {

const std::vector<Action> nothing;

}  // namespace

TEST_CASE("the dialler speaks first") {
  Script script(Role::dialler);
  CHECK(script.connected() == std::vector<Action>{send(script.own_hello()), WakeAt{10s}});
}

TEST_CASE("the listener waits for the other's hello") {
  Script script(Role::listener);
  CHECK(script.connected() == std::vector<Action>{WakeAt{10s}});
}

TEST_CASE("the listener answers a hello with its own and with its states, the last one marked") {
  Script script(Role::listener);
  script.connected();
  auto registry = state_from(script.own, "registry", script.other);
  auto lessons = state_from(script.own, "lessons", script.other);
  CHECK(lessons.final);
  CHECK(script.receive(script.other_hello()) ==
        std::vector<Action>{send(script.own_hello()), send(registry), send(lessons)});
  CHECK(script.session().report().peer == script.other_hello());
}

TEST_CASE("the dialler answers a hello with its states") {
  Script script(Role::dialler);
  script.connected();
  CHECK(script.receive(script.other_hello()) ==
        std::vector<Action>{send(state_from(script.own, "registry", script.other)),
                            send(state_from(script.own, "lessons", script.other))});
}

TEST_CASE("a peer that speaks only newer versions is told so") {
  Script script;
  script.connected();
  loam::Hello hello = script.other_hello();
  hello.version_min = loam::wire_version + 1;
  hello.version_max = loam::wire_version + 3;
  CHECK(end_of(script.receive(hello)) == "1002 incompatible");
  CHECK(script.session().report().problem == "peer speaks versions 5 to 7, this is 4");
  CHECK(!script.session().report().peer);
}

TEST_CASE("a peer that speaks newer versions and this one is welcome") {
  Script script;
  script.connected();
  loam::Hello hello = script.other_hello();
  hello.version_max = loam::wire_version + 3;
  CHECK(test::only<loam::Close>(script.receive(hello)).empty());
}

TEST_CASE("the oldest version that is understood is welcome, and one before it is told so") {
  for (const std::uint64_t version : {loam::wire_version_min, loam::wire_version_min - 1}) {
    Script script;
    script.connected();
    loam::Hello hello = script.other_hello();
    hello.version_min = 1;
    hello.version_max = version;
    const auto actions = script.receive(hello);
    if (version == loam::wire_version_min) CHECK(test::only<loam::Close>(actions).empty());
    if (version < loam::wire_version_min) CHECK(end_of(actions) == "1002 incompatible");
  }
}

TEST_CASE("a peer of another federation is not trusted, and hears nothing of ours") {
  Script script(Role::listener);
  script.connected();
  loam::Hello hello = script.other_hello();
  hello.federation.bytes[0] ^= std::byte{1};
  const auto actions = script.receive(hello);
  CHECK(end_of(actions) == "1008 untrusted");
  CHECK(test::only<loam::Send>(actions).size() == 1);
  CHECK(script.session().report().untrusted);
}

TEST_CASE("our own nonce is our own reflection") {
  Script script;
  script.connected();
  loam::Hello hello = script.other_hello();
  hello.nonce = script.own_hello().nonce;
  CHECK(end_of(script.receive(hello)) == "1008 self");
}

TEST_CASE("our own store is not a peer") {
  Script script;
  script.connected();
  loam::Hello hello = script.other_hello();
  hello.store = script.own.id();
  CHECK(end_of(script.receive(hello)) == "1008 self");
}

TEST_CASE("a second hello ends the conversation") {
  Script script;
  script.greet();
  CHECK(end_of(script.receive(script.other_hello())) == "1002 invalid");
  CHECK(script.session().report().problem == "invalid: hello: a second one");
}

TEST_CASE("whatever comes before a hello ends the conversation") {
  const std::vector<loam::Frame> frames{loam::Ping{},
                                        loam::StateFrame{},
                                        loam::DeltaFrame{},
                                        loam::ContextFrame{},
                                        loam::CompareFrame{},
                                        loam::LiveFrame{},
                                        loam::DeadFrame{},
                                        loam::AckFrame{},
                                        loam::VoteFrame{},
                                        loam::VotedFrame{},
                                        loam::AskFrame{.selected = loam::RangeSet({1, 1})}};
  for (const loam::Frame& frame : frames) {
    CAPTURE(frame.index());
    Script script;
    script.connected();
    CHECK(end_of(script.receive(frame)) == "1002 invalid");
  }
}

TEST_CASE("a peer that says nothing is dropped after 10 s and not before") {
  Script script;
  script.connected();
  CHECK(test::only<loam::Close>(script.woke(10s - loam::Time(1))).empty());
  CHECK(end_of(script.woke(10s)) == "1001 leaving");
}

TEST_CASE("after a close nothing is answered any more") {
  Script script;
  script.connected();
  CHECK(end_of(script.receive(loam::Ping{})) == "1002 invalid");
  CHECK(script.receive(script.other_hello()) == nothing);
  CHECK(script.connected() == nothing);
  CHECK(script.woke(100s) == nothing);
  CHECK(script.session().changed(100s) == nothing);
  CHECK(script.session().applied({.ticket = 1}, 100s) == nothing);
  CHECK(script.session().leave("enough", 100s) == nothing);
}

TEST_CASE("leaving says bye") {
  Script script;
  script.open();
  const auto actions = script.session().leave("shutting down", script.now);
  CHECK(actions == std::vector<Action>{send(loam::Bye{"leaving", "shutting down"}),
                                       loam::Close{1000, "leaving: shutting down"}});
  CHECK(script.session().report().problem.empty());
}

TEST_CASE("a reason is sent short and as UTF-8, whatever it was") {
  const auto told = [](const std::string& reason) {
    Script script;
    script.open();
    const auto byes = test::sent<loam::Bye>(script.session().leave(reason, script.now));
    REQUIRE(byes.size() == 1);
    return byes[0].reason;
  };
  CHECK(told(std::string(200, 'x')) == std::string(200, 'x'));
  CHECK(told(std::string(201, 'x')) == std::string(200, 'x'));
  CHECK(told("x" + std::string(199, 'y') + "\u00e9") == "x" + std::string(199, 'y'));
  CHECK(told(std::string(199, 'y') + "\u00e9") == std::string(199, 'y'));
  CHECK(told(std::string(198, 'y') + "\u00e9") == std::string(198, 'y') + "\u00e9");
  CHECK(told("caf\xe9") == "caf?");
}

TEST_CASE("a peer's bye is believed, and its reason kept short") {
  Script script;
  script.open();
  const auto actions = script.receive(loam::Bye{"untrusted", std::string(500, 'x')});
  CHECK(actions == std::vector<Action>{loam::Close{1000, "untrusted"}});
  CHECK(script.session().report().untrusted);
  CHECK(script.session().report().problem == "the peer ended: untrusted: " + std::string(200, 'x'));
}

TEST_CASE("a peer that leaves is no problem") {
  Script script;
  script.open();
  CHECK(script.receive(loam::Bye{"leaving", "shutting down"}) ==
        std::vector<Action>{loam::Close{1000, "leaving"}});
  CHECK(script.session().report().problem.empty());
}

TEST_CASE("a frame of an unknown type is incompatible") {
  Script script;
  script.open();
  loam::Bytes message;
  loam::Writer(message).array(2).number(77).text("what is to come");
  CHECK(end_of(script.receive(loam::BytesView(message))) == "1002 incompatible");
}

TEST_CASE("elements behind those that are known are skipped") {
  Script script;
  script.connected();
  loam::Value hello = loam::decode(loam::encode_frame(script.other_hello()));
  std::get<loam::Array>(hello.data).push_back(loam::Map{{"colour", "green"}});
  CHECK(test::only<loam::Close>(script.receive(loam::BytesView(loam::encode(hello)))).empty());
  CHECK(script.session().report().peer == script.other_hello());
}

TEST_CASE("a segment that only the peer has is passed over") {
  Script script;
  script.greet();
  loam::StateFrame frame = state_from(script.other, "registry", script.own);
  frame.segment = "poems";
  CHECK(script.receive(frame) == nothing);
  CHECK(end_of(script.receive(loam::AckFrame{})) == "1002 invalid");  // it has no state here
}

TEST_CASE("a segment of another kind is not exchanged, and the operator hears of it") {
  Script script;
  script.own.add("lessons", "ours");
  script.greet();
  loam::StateFrame frame = state_from(script.other, "lessons", script.own);
  frame.state.kind = loam::Kind::map;
  CHECK(script.receive(frame) ==
        std::vector<Action>{
            loam::Alarm{"segment lessons is of another kind at the peer: not exchanged"}});
  CHECK(script.receive(frame) == nothing);
  CHECK(end_of(script.receive(loam::ContextFrame{.index = frame.index})) == "1002 invalid");
}
