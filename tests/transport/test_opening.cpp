#include <doctest/doctest.h>

#include "crdt/error.hpp"
#include "tests/transport/served.hpp"

using namespace std::chrono_literals;
using namespace test;

TEST_CASE("an upgrade is accepted with our subprotocol and without extensions") {
  Served served;
  RawPeer peer(served.loop, served.port());
  peer.send(Upgrade{.more = "Sec-WebSocket-Extensions: permessage-deflate\r\n"}.octets());
  const auto header = peer.http_header();
  CHECK(header.starts_with("HTTP/1.1 101 "));
  CHECK(header.find("Sec-WebSocket-Protocol: loam.v1\r\n") != std::string::npos);
  CHECK(header.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") != std::string::npos);
  CHECK(header.find("Extensions") == std::string::npos);
}

TEST_CASE("requests that are not for us are refused with the status for it") {
  struct Row {
    const char* what;
    Upgrade request;
    std::string status;
  };
  const std::vector<Row> rows = {
      {"an origin", {.more = "Origin: http://127.0.0.1\r\n"}, "403"},
      {"an empty origin", {.more = "Origin:\r\n"}, "403"},
      {"another host", {.host = "Host: example.org:7700\r\n"}, "403"},
      {"a host that only starts well", {.host = "Host: 127.0.0.1.example.org\r\n"}, "403"},
      {"no host", {.host = ""}, "403"},
      {"two hosts", {.host = "Host: localhost\r\nHost: example.org\r\n"}, "403"},
      {"no upgrade", {.upgrade = ""}, "426"},
      {"no upgrade to the root", {.path = "/", .upgrade = "", .protocol = "", .socket = ""}, "426"},
      {"a post", {.method = "POST", .more = "Content-Length: 3\r\n\r\nabc"}, "426"},
      {"HTTP/1.0", {.version = "HTTP/1.0"}, "426"},
      {"an older WebSocket", {.socket = "Sec-WebSocket-Version: 8\r\n"}, "426"},
      {"another path", {.path = "/"}, "404"},
      {"a query", {.path = "/loam/1?x"}, "404"},
      {"no subprotocol", {.protocol = ""}, "400"},
      {"another subprotocol", {.protocol = "Sec-WebSocket-Protocol: loam.v2\r\n"}, "400"},
      {"no key", {.socket = "Sec-WebSocket-Version: 13\r\n"}, "400"},
      {"data that did not wait", {.more = "\r\n\x82"}, "400"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    Served served;
    RawPeer peer(served.loop, served.port());
    peer.send(row.request.octets());
    const auto header = peer.http_header();
    CHECK(header.substr(0, 12) == "HTTP/1.1 " + row.status);
    CHECK(served.loop.until([&] { return peer.ended(); }));
    CHECK_FALSE(peer.was_reset());
    peer.vanish();
    CHECK(served.ended(1));
    CHECK(served.host.links.empty());
    CHECK(served.problem().starts_with("upgrade: "));
  }
}

TEST_CASE("every host of loopback is allowed") {
  for (const std::string host : {"localhost", "LOCALHOST:7700", "127.8.9.10", "[::1]:7700"}) {
    CAPTURE(host);
    Served served;
    RawPeer peer(served.loop, served.port());
    peer.send(Upgrade{.host = "host: " + host + "\r\n"}.octets());
    CHECK(peer.http_header().starts_with("HTTP/1.1 101 "));
  }
}

TEST_CASE("a plain request is answered with one line of text and the end of the connection") {
  loam::ListenLimits limits;
  limits.link.close = 60s;
  Served served(limits);
  RawPeer peer(served.loop, served.port());
  peer.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(peer.http_header() ==
        "HTTP/1.1 426 Upgrade Required\r\nServer: loam\r\nConnection: close, upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nContent-Type: text/plain\r\n"
        "Content-Length: 50\r\n\r\n");
  CHECK(served.loop.until([&] { return peer.ended(); }));
  CHECK(peer.received() == "this is a loam endpoint: it speaks WebSocket only\n");
}

TEST_CASE("garbage is closed without a word") {
  for (const std::string& garbage :
       {std::string("\x16\x03\x01\x02\x00\x01\x00", 7), std::string("SSH-2.0-OpenSSH_9.2\r\n"),
        std::string("\r\n\r\n\r\n\r\n"), std::string(100'000, 'A'), std::string(1'000, '\0')}) {
    CAPTURE(garbage.size());
    Served served;
    RawPeer peer(served.loop, served.port());
    (void)peer.send(garbage);
    CHECK(served.loop.until([&] { return peer.ended(); }));
    CHECK(peer.received() == "");
    CHECK(served.ended(1));
  }
}

TEST_CASE("a header of 8 KiB is read and one octet more is not") {
  const auto padded = [](std::size_t size) {
    const auto bare = Upgrade{.more = "X: \r\n"}.octets().size();
    return Upgrade{.more = "X: " + std::string(size - bare, 'x') + "\r\n"}.octets();
  };
  for (const auto size : {loam::http_header_octets_max, loam::http_header_octets_max + 1}) {
    CAPTURE(size);
    Served served;
    RawPeer peer(served.loop, served.port());
    REQUIRE(padded(size).size() == size);
    (void)peer.send(padded(size));
    CHECK(peer.http_header().starts_with("HTTP/1.1 101 ") ==
          (size == loam::http_header_octets_max));
  }
}

TEST_CASE("the fields of a header count together however they arrive") {
  Served served;
  RawPeer peer(served.loop, served.port());
  peer.send("GET /loam/1 HTTP/1.1\r\n");
  std::size_t sent = 0;
  CHECK(served.loop.until([&] {
    sent += 6;
    return !peer.send("X: y\r\n") || !served.host.ended.empty();
  }));
  CHECK(served.ended(1));
  CHECK(served.problem() == "upgrade: header: more than 8192 octets");
  CHECK(sent < 2 * loam::http_header_octets_max);
}

TEST_CASE("an upgrade must be complete in time however its octets drip") {
  loam::ListenLimits limits;
  limits.link.upgrade = 50ms;
  Served served(limits);
  RawPeer peer(served.loop, served.port());
  const auto request = Upgrade{.more = "X: " + std::string(1'000, 'x')}.octets();
  const auto sent = drip(served, peer, request, [&] { return !served.host.ended.empty(); });
  CHECK(sent < request.size());
  CHECK(served.ended(1));
  CHECK(served.problem() == "upgrade: no complete exchange within 50 ms");
}

TEST_CASE("a link that ended without a session does nothing any more") {
  Served served;
  {
    RawPeer peer(served.loop, served.port());
    REQUIRE(served.loop.until([&] { return served.listener.connections() == 1; }));
  }
  REQUIRE(served.ended(1));
  const auto link = served.host.ended[0];
  link->changed();
  link->leave("again");
  CHECK_FALSE(link->established());
  CHECK(link->report().peer == std::nullopt);
  CHECK(served.ended(1));
}

TEST_CASE("a refused peer that stays is closed") {
  loam::ListenLimits limits;
  limits.link.close = 20ms;
  Served served(limits);
  RawPeer peer(served.loop, served.port());
  peer.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(served.ended(1));
}

// ------------------------------------------------------------ dialling

namespace {

/// An instance that dials a raw listener.
struct Dialling {
  explicit Dialling(RawListener& listener, const loam::LinkLimits& limits = {})
      : Dialling(listener.port(), limits) {}
  explicit Dialling(std::uint16_t port, const loam::LinkLimits& limits = {}) {
    link = loam::Link::dial(loop.context(), {{"127.0.0.1", port}, true}, host, limits);
  }

  Loop loop;
  std::shared_ptr<FakeHost> host = std::make_shared<FakeHost>(1);
  std::shared_ptr<loam::Link> link;

  /// Waits for its one end; why.
  std::string problem() {
    REQUIRE(loop.until([&] { return !host->ended.empty(); }));
    loop.settle();
    REQUIRE(host->ended.size() == 1);
    CHECK(host->links.empty());
    return host->reports[0].problem;
  }
};

}  // namespace

TEST_CASE("a dialler asks for the upgrade and says hello first") {
  RawListener listener;
  Dialling dialling(listener);
  RawPeer peer(dialling.loop, listener.accept(dialling.loop));
  const auto request = peer.http_header();
  CHECK(request.starts_with("GET /loam/1 HTTP/1.1\r\n"));
  const auto host = "Host: 127.0.0.1:" + std::to_string(listener.port()) + "\r\n";
  CHECK(request.find(host) != std::string::npos);
  CHECK(request.find("Sec-WebSocket-Protocol: loam.v1\r\n") != std::string::npos);
  CHECK(request.find("Origin") == std::string::npos);
  CHECK(request.find("Extensions") == std::string::npos);
  CHECK(dialling.link->role() == loam::Role::dialler);
  CHECK(dialling.link->endpoint() == "127.0.0.1:" + std::to_string(listener.port()));
}

TEST_CASE("answers that are no upgrade end a dialled link") {
  struct Row {
    std::string answer;
    std::string problem;
  };
  const std::vector<Row> rows = {
      {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "upgrade: refused with HTTP 403"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "upgrade: refused with HTTP 200"},
      {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
       "Sec-WebSocket-Accept: x\r\n\r\n",
       "upgrade: "},
      {"SSH-2.0-OpenSSH_9.2\r\n", "upgrade: "},
      {"", "upgrade: "},
  };
  for (const auto& row : rows) {
    CAPTURE(row.answer);
    RawListener listener;
    Dialling dialling(listener);
    RawPeer peer(dialling.loop, listener.accept(dialling.loop));
    (void)peer.http_header();
    (void)peer.send(row.answer);
    peer.shut_down();
    CHECK(dialling.problem().starts_with(row.problem));
  }
}

TEST_CASE("an answer is not read beyond 8 KiB, whatever it is made of") {
  for (const std::size_t fields : {100U, 100'000U}) {
    CAPTURE(fields);
    RawListener listener;
    Dialling dialling(listener);
    RawPeer peer(dialling.loop, listener.accept(dialling.loop));
    (void)peer.http_header();
    std::string answer = "HTTP/1.1 403 Forbidden\r\n";
    for (std::size_t i = 0; i < fields; ++i) answer += "X: y\r\n";
    (void)peer.send(answer + "Content-Length: 0\r\n\r\n");
    CHECK(dialling.problem() == (fields == 100 ? "upgrade: refused with HTTP 403"
                                               : "upgrade: header limit exceeded"));
  }
}

TEST_CASE("a dialled port where nobody listens is a problem with its address") {
  const auto port = RawListener().port();
  Dialling dialling(port);
  CHECK(dialling.problem() == "connect 127.0.0.1:" + std::to_string(port) + ": Connection refused");
}

TEST_CASE("a connection must come about in time") {
  RawListener listener(0);
  Loop loop;
  const RawPeer queued(loop, listener.port());  // more are not taken: their SYN is dropped
  Dialling dialling(listener, {.connect = 50ms});
  CHECK(dialling.problem() ==
        "connect " + dialling.link->endpoint() + ": no connection within 50 ms");
}

TEST_CASE("an upgrade that is not answered ends in time") {
  RawListener listener;
  Dialling dialling(listener, {.upgrade = 50ms});
  CHECK(dialling.problem() == "upgrade: no complete exchange within 50 ms");
}

TEST_CASE("a link that is left while it opens ends at once and without a problem") {
  RawListener listener;
  Dialling dialling(listener);
  SUBCASE("connecting") {}
  SUBCASE("upgrading") {
    RawPeer peer(dialling.loop, listener.accept(dialling.loop));
    REQUIRE(peer.http_header() != "");
  }
  dialling.link->leave("never mind");
  CHECK(dialling.host->ended.empty());  // not from inside the call
  CHECK(dialling.problem() == "");
}

namespace {

/// One round with a real listener through a relay that vanishes after so many octets of the answer;
/// how many it relayed.
std::size_t relayed_round(Served& served, std::size_t octets_max, bool by_reset) {
  RawListener relay;
  const auto host = std::make_shared<FakeHost>(2);
  host->storage.names = served.host.storage.names;
  host->answers = true;
  const auto link =
      loam::Link::dial(served.loop.context(), {{"127.0.0.1", relay.port()}, true}, host);
  RawPeer dialler(served.loop, relay.accept(served.loop));
  RawPeer listener(served.loop, served.port());
  std::size_t octets = 0;
  CHECK(served.loop.until([&] {
    (void)listener.send(dialler.take());
    const auto answer = listener.take().substr(0, octets_max - octets);
    (void)dialler.send(answer);
    octets += answer.size();
    return octets == octets_max || !host->ended.empty();
  }));
  dialler.vanish(by_reset);
  CHECK(served.loop.until([&] { return !host->ended.empty(); }));
  served.loop.settle();
  CHECK(host->ended.size() == 1);
  CHECK(host->ended[0] == link);
  CHECK((host->reports[0].converged || host->reports[0].problem != ""));
  return octets;
}

}  // namespace

TEST_CASE("a dialled peer that vanishes at any octet ends in exactly one closed") {
  Served served;
  served.host.storage.names = {"instance_registry", "lessons"};
  served.host.answers = true;
  const auto all = relayed_round(served, SIZE_MAX, false);
  CHECK(all > 200);
  for (std::size_t octets = 0; octets < all; ++octets) {
    for (const bool by_reset : {false, true}) {
      CAPTURE(octets);
      CAPTURE(by_reset);
      relayed_round(served, octets, by_reset);
    }
  }
  CHECK(served.loop.until([&] { return served.listener.connections() == 0; }));
  CHECK(served.host.each_closed_once());
}

TEST_CASE("nothing but loopback is dialled") {
  Loop loop;
  CHECK_THROWS_WITH_AS(
      loam::Link::dial(loop.context(), {{"192.0.2.1", 7700}, false}, std::make_shared<FakeHost>(1)),
      doctest::Contains("TLS is required off loopback"), loam::Error);
}
