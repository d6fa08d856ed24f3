#include <doctest/doctest.h>

#include "tests/transport/served.hpp"

using namespace std::chrono_literals;
using namespace test;
using loam::message_octets_max;

namespace {

/// A link's limits as a listener's.
loam::ListenLimits with(const loam::LinkLimits& link) {
  loam::ListenLimits limits;
  limits.link = link;
  return limits;
}

/// The state of the one segment of the session's store.
std::string state_octets() {
  loam::StateFrame state;
  state.segment = "lessons";
  state.state.journal = 7;
  state.state.head = 1;
  return frame_octets(loam::encode_frame(state));
}

/// After it: what makes the session apply something, a record with that text or a dead one.
std::string delta_octets(std::uint64_t counter, const std::string& text = "") {
  loam::DeltaFrame frame;
  const loam::Dot dot{loam::ActorId{hello_of(2).nonce}, counter};
  frame.delta.context.insert(dot);
  frame.authors[dot.actor] = loam::ActorClaim(hello_of(2).instance);
  if (!text.empty()) {
    const auto content = loam::encode(loam::Map{{"text", loam::Value(text)}});
    frame.delta.live[dot] = loam::encode(loam::SetRecord{{}, content, loam::encode(loam::Map{})});
  }
  return frame_octets(loam::encode_frame(frame));
}

}  // namespace

TEST_CASE("a message of the greatest size reaches the session and one octet more does not") {
  for (const std::size_t octets : {message_octets_max, message_octets_max + 1}) {
    CAPTURE(octets);
    const bool too_big = octets > message_octets_max;
    Served served;
    Greeted peer(served);
    const auto before = served.host.links[0]->report().octets_received;
    (void)peer.send(frame_octets(std::string(octets, '\0')));
    CHECK(peer.close_code() == (too_big ? 1009 : 1002));
    peer.vanish();
    CHECK(served.ended(1));
    CHECK(served.host.reports[0].octets_received - before == (too_big ? 0 : octets));
    if (too_big) CHECK(served.problem() == "message: more than 1048576 octets");
  }
}

TEST_CASE("fragments add up to one limit") {
  Served served;
  Greeted peer(served);
  const std::string half(message_octets_max / 2, '\0');
  (void)peer.send(frame_octets(half, {.fin = false}));
  (void)peer.send(frame_octets(half, {.opcode = Opcode::cont, .fin = false}));
  (void)peer.send(frame_octets("x", {.opcode = Opcode::cont}));
  CHECK(peer.close_code() == 1009);
  peer.vanish();
  CHECK(served.ended(1));
}

TEST_CASE("a message in fragments of one octet with pings between is one message") {
  Served served;
  RawPeer peer(served.loop, served.port());
  REQUIRE(peer.upgrade());
  const std::string hello(loam::text_of(loam::encode_frame(hello_of(2))));
  for (std::size_t i = 0; i < hello.size(); ++i) {
    peer.send(frame_octets(hello.substr(i, 1), {.opcode = i == 0 ? Opcode::binary : Opcode::cont,
                                                .fin = i + 1 == hello.size()}));
    peer.send(frame_octets("", {.opcode = Opcode::ping}));
  }
  CHECK(served.established(1));
  CHECK(served.host.links[0]->report().peer == hello_of(2));
}

TEST_CASE("a frame that declares more than a message may have is not waited for") {
  for (const std::string& length : {std::string("\x7f\xff\xff\xff\xff\xff\xff\xff", 8), std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8),
                                    std::string("\0\0\0\1\0\0\0\0", 8)}) {
    Served served;
    RawPeer peer(served.loop, served.port());
    REQUIRE(peer.upgrade());
    peer.send("\x82\xff" + length + "mask");
    const unsigned code = peer.close_code();
    CHECK((code == 1009 || code == 1002));
    peer.vanish();
    CHECK(served.ended(1));
    CHECK(served.problem() != "");
  }
}

TEST_CASE("what is no binary message closes the connection with the code for it") {
  struct Row {
    const char* what;
    std::string octets;
    unsigned code;
  };
  const std::string hello(loam::text_of(loam::encode_frame(hello_of(2))));
  const std::vector<Row> rows = {
      {"text", frame_octets("hello", {.opcode = Opcode::text}), 1003},
      {"empty text", frame_octets("", {.opcode = Opcode::text}), 1003},
      {"text that is not UTF-8", frame_octets("\xff", {.opcode = Opcode::text}), 1007},
      {"unmasked", frame_octets(hello, {.masked = false}), 1002},
      {"compressed", frame_octets(hello, {.compressed = true}), 1002},
      {"continuation of nothing", frame_octets(hello, {.opcode = Opcode::cont}), 1002},
      {"reserved opcode", frame_octets(hello, {.opcode = static_cast<Opcode>(3)}), 1002},
      {"ping in fragments", frame_octets("", {.opcode = Opcode::ping, .fin = false}), 1002},
      {"ping of 126 octets", frame_octets(std::string(126, 'x'), {.opcode = Opcode::ping}), 1002},
      {"two messages at once", frame_octets("a", {.fin = false}) + frame_octets("b"), 1002},
      {"garbage in binary", frame_octets("garbage"), 1002},
      {"nothing in binary", frame_octets(""), 1002},
      {"close of one octet", frame_octets("\x03", {.opcode = Opcode::close}), 1002},
      {"close with a code that is none", frame_octets("\x03\xed", {.opcode = Opcode::close}), 1002},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    Served served;
    RawPeer peer(served.loop, served.port());
    REQUIRE(peer.upgrade());
    peer.send(row.octets);
    CHECK(peer.close_code() == row.code);
    peer.send(frame_octets("", {.opcode = Opcode::close}));
    peer.vanish();
    CHECK(served.ended(1));
    CHECK(served.problem() != "");
    CHECK(served.host.links.empty());
  }
}

TEST_CASE("a peer that vanishes at any octet ends in exactly one closed") {
  const std::string conversation = Upgrade{}.octets() + hello_octets() +
                                   frame_octets(loam::encode_frame(loam::Ping{})) +
                                   frame_octets(
                                       "\x03\xe8"
                                       "bye",
                                       {.opcode = Opcode::close});
  const auto header = Upgrade{}.octets().size();
  Served served;
  std::size_t ended = 0;
  for (std::size_t size = 0; size <= conversation.size(); ++size) {
    for (const bool by_reset : {false, true}) {
      CAPTURE(size);
      CAPTURE(by_reset);
      RawPeer peer(served.loop, served.port());
      REQUIRE(served.loop.until([&] { return served.listener.connections() == 1; }));
      peer.send(conversation.substr(0, std::min(size, header)));
      if (size > header) {
        REQUIRE(peer.http_header().starts_with("HTTP/1.1 101 "));
        peer.send(conversation.substr(header, size - header));
        served.loop.settle();
      }
      peer.vanish(by_reset);
      REQUIRE(served.ended(++ended));
    }
  }
  CHECK(served.listener.connections() == 0);
  CHECK(served.host.links.size() > 0);
}

TEST_CASE("a peer that closes is answered, and its reason reported on one line") {
  Served served;
  Greeted peer(served);
  peer.send(
      frame_octets("\x03\xf0"
                   "so\nlong",
                   {.opcode = Opcode::close}));
  CHECK(peer.close_code() == 1008);
  CHECK(served.loop.until([&] { return peer.ended(); }));
  peer.vanish();
  CHECK(served.ended(1));
  CHECK(served.problem() == "closed by the peer: 1008 so?long");
}

TEST_CASE("a normal close of the peer is no problem") {
  Served served;
  Greeted peer(served);
  peer.send(frame_octets("\x03\xe8", {.opcode = Opcode::close}));
  CHECK(peer.close_code() == 1000);
  peer.vanish();
  CHECK(served.ended(1));
  CHECK(served.problem() == "");
}

TEST_CASE("a lost connection is a problem") {
  Served served;
  Greeted peer(served);
  peer.vanish(true);
  CHECK(served.ended(1));
  CHECK(served.problem() == "connection lost: Connection reset by peer");
}

TEST_CASE("a message must be complete in time however its octets drip") {
  Served served(with({.message = 50ms}));
  Greeted peer(served);
  const auto message = frame_octets(std::string(1'000, '\0'));
  const auto sent = drip(served, peer, message, [&] {
    return peer.received().find("no complete message within 50 ms") != std::string::npos;
  });
  CHECK(sent < message.size());
  CHECK(peer.close_code() == 1008);
  peer.vanish();
  CHECK(served.ended(1));
  CHECK(served.problem() == "no complete message within 50 ms");
}

TEST_CASE("a hello must come in time and pings do not count") {
  Served served(with({.hello = 50ms}));
  RawPeer peer(served.loop, served.port());
  REQUIRE(peer.upgrade());
  CHECK(served.loop.until([&] {
    peer.send(frame_octets("", {.opcode = Opcode::ping}));
    return peer.received().find("no hello within 50 ms") != std::string::npos;
  }));
  CHECK(peer.close_code() == 1008);
  peer.vanish();
  CHECK(served.ended(1));
}

TEST_CASE("an established link needs no hello any more") {
  Served served(with({.hello = 20ms}));
  Greeted peer(served);
  const auto end = std::chrono::steady_clock::now() + 60ms;
  CHECK(served.loop.until([&] { return std::chrono::steady_clock::now() > end; }));
  CHECK(served.host.ended.empty());
  CHECK(served.host.links[0]->established());
}

TEST_CASE("closing takes a limited time whatever the peer does") {
  const auto close_frame = frame_octets("\x03\xe8", {.opcode = Opcode::close});
  SUBCASE("it does not answer") {
    Served served(with({.close = 30ms}));
    Greeted peer(served);
    served.host.links[0]->leave("tired");
    CHECK(served.ended(1));
  }
  SUBCASE("it goes on sending") {
    Served served(with({.close = 30ms}));
    Greeted peer(served);
    served.host.links[0]->leave("tired");
    CHECK(served.loop.until([&] {
      return !peer.send(frame_octets(std::string(1'000, 'x'))) || !served.host.ended.empty();
    }));
    CHECK(served.ended(1));
  }
  SUBCASE("it closes and keeps the connection") {
    Served served(with({.close = 30ms}));
    Greeted peer(served);
    peer.send(close_frame);
    CHECK(served.ended(1));
    CHECK(served.problem() == "");
  }
}

TEST_CASE("the outbox takes its limit and not one octet more") {
  const auto hello_size = loam::encode_frame(hello_of(1)).size();
  for (const std::size_t limit : {hello_size, hello_size - 1}) {
    CAPTURE(limit);
    Served served(with({.outbox_octets_max = limit}));
    RawPeer peer(served.loop, served.port());
    REQUIRE(peer.upgrade());
    peer.send(hello_octets());
    if (limit == hello_size) {
      const auto answer = peer.next_frame();
      REQUIRE(answer);
      CHECK(answer->payload == loam::text_of(loam::encode_frame(hello_of(1))));
    } else {
      CHECK(peer.close_code() == 1013);
      peer.vanish();
      CHECK(served.ended(1));
      CHECK(served.problem() ==
            "outbox: " + std::to_string(hello_size) + " octets, limit " + std::to_string(limit));
    }
  }
}

TEST_CASE("leaving says bye and closes") {
  Served served;
  Greeted peer(served);
  REQUIRE(peer.next_frame());  // hello
  const auto link = served.host.links[0];
  link->leave("restarting");
  CHECK_FALSE(link->established());
  const auto bye = peer.next_frame();
  REQUIRE(bye);
  const auto frame = loam::decode_frame(loam::bytes_of(bye->payload));
  CHECK(std::get<loam::Bye>(frame) == loam::Bye{"leaving", "restarting"});
  CHECK(peer.close_code() == 1000);
  peer.send(frame_octets("\x03\xe8", {.opcode = Opcode::close}));
  peer.vanish();
  CHECK(served.ended(1));
  CHECK(served.problem() == "");
}

TEST_CASE("an ended link does nothing any more") {
  Served served;
  Greeted peer(served);
  const auto link = served.host.links[0];
  peer.vanish(true);
  REQUIRE(served.ended(1));
  link->changed();
  link->leave("again");
  served.loop.settle();
  CHECK(served.ended(1));
  CHECK(link->report().peer == hello_of(2));
  CHECK(link->role() == loam::Role::listener);
  CHECK(link->endpoint().starts_with("127.0.0.1:"));
}

TEST_CASE("a link that ended without a hello does nothing any more") {
  Served served;
  RawPeer peer(served.loop, served.port());
  REQUIRE(peer.upgrade());
  peer.vanish();
  REQUIRE(served.ended(1));
  served.host.ended[0]->changed();
  served.host.ended[0]->leave("again");
  CHECK(served.ended(1));
}

TEST_CASE("one flooding peer does not keep another from being served") {
  Served served;
  Greeted flooding(served, 2);
  const auto frame = frame_octets(loam::encode_frame(loam::Ping{}));
  std::string flood;
  for (int i = 0; i < 20'000; ++i) flood += frame;
  flooding.send(flood);
  RawPeer peer(served.loop, served.port());
  REQUIRE(peer.upgrade());
  peer.send(hello_octets(3));
  REQUIRE(served.established(2));
  const auto flooded = served.host.links[0]->report().octets_received;
  CHECK(flooded < 20'000 * loam::encode_frame(loam::Ping{}).size());
}

TEST_CASE("what the session wants applied goes to the host and its outcome back") {
  Served served;
  served.host.storage.names = {"lessons"};
  auto peer = std::make_unique<Greeted>(served);
  peer->send(state_octets() + delta_octets(1));
  REQUIRE(served.loop.until([&] { return !served.host.applying.empty(); }));
  auto applying = std::move(served.host.applying.front());
  CHECK(applying.peer == hello_of(2));
  CHECK(applying.change.segment == "lessons");
  SUBCASE("while the link lives") {
    const auto sent = served.host.links[0]->report().octets_sent;
    applying.done({.ticket = applying.change.ticket});
    CHECK(served.host.links[0]->report().octets_sent > sent);
  }
  SUBCASE("after the link has gone") {
    peer->vanish();
    REQUIRE(served.ended(1));
    served.host.ended.clear();
    served.host.links.clear();
    served.loop.settle();
    applying.done({.ticket = applying.change.ticket});
  }
}

TEST_CASE("a peer is not read from while too much waits to be applied") {
  Served served(with({.unapplied_octets_max = 0}));
  served.host.storage.names = {"lessons"};
  Greeted peer(served);
  peer.send(state_octets() + delta_octets(1) + frame_octets(loam::encode_frame(loam::Ping{})));
  REQUIRE(served.loop.until([&] { return !served.host.applying.empty(); }));
  served.loop.settle();
  const auto& link = served.host.links[0];
  const auto received = link->report().octets_received;
  served.loop.settle();
  CHECK(link->report().octets_received == received);
  const auto applying = served.host.applying.front();
  applying.done({.ticket = applying.change.ticket});
  CHECK(served.loop.until([&] { return link->report().octets_received > received; }));
}

TEST_CASE("a host may answer from inside the call, also to a large message") {
  Served served;
  served.host.storage.names = {"lessons"};
  served.host.answers = true;
  Greeted peer(served);
  std::string octets = state_octets();
  for (std::uint64_t counter : {1U, 2U, 3U})
    octets += delta_octets(counter, std::string(200'000, 'x'));
  REQUIRE(peer.send(octets));
  const auto& link = served.host.links[0];
  CHECK(served.loop.until([&] { return link->report().octets_received > 600'000; }));
  CHECK(link->established());
}

TEST_CASE("a host that fails is an alarm and a close, for that link alone") {
  Served served;
  served.host.storage.names = {"lessons"};
  served.host.throws = true;
  Greeted peer(served);
  peer.send(state_octets() + delta_octets(1));
  CHECK(peer.close_code() == 1011);
  peer.vanish();
  CHECK(served.ended(1));
  REQUIRE(served.host.alarms.size() == 1);
  CHECK(served.host.alarms[0].find("the store is gone") != std::string::npos);
}
