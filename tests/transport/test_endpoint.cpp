#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crdt/error.hpp"
#include "tests/support/forall.hpp"
#include "tests/transport/gate.hpp"
#include "tests/transport/served.hpp"

using namespace std::chrono_literals;
using namespace test;
using loam::Dialler;
using loam::Listener;

namespace {

std::string from(std::size_t last) { return "127.0.0." + std::to_string(last); }

/// Strangers from so many addresses, so many from each.
std::vector<std::unique_ptr<RawPeer>> strangers(Served& served, std::size_t addresses,
                                                std::size_t each) {
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (std::size_t i = 0; i < addresses * each; ++i) {
    peers.push_back(std::make_unique<RawPeer>(served.loop, served.port(), from(10 + i / each)));
  }
  const auto all = peers.size();
  CHECK(served.loop.until([&] { return served.listener.strangers() == all; }));
  return peers;
}

}  // namespace

// ------------------------------------------------------------ listening

TEST_CASE("a listener tells the port that the system chose") {
  Served served;
  CHECK(served.listener.address().host == "127.0.0.1");
  CHECK(served.port() != 0);
}

TEST_CASE("a port in use is an error with its address") {
  Served served;
  FakeHost host(2);
  CHECK_THROWS_WITH_AS(
      Listener(served.loop.context(), served.listener.address(), host),
      ("failed: listen " + served.listener.address().text() + ": Address already in use").c_str(),
      loam::Error);
}

TEST_CASE("a name is not listened on") {
  Loop loop;
  class Host final : public FakeHost {
   public:
    using FakeHost::FakeHost;
    const test::Gate gate{1};
    std::shared_ptr<const loam::Tls> tls() override { return test::tls_of(gate); }
  } host(1);
  CHECK_THROWS_WITH_AS(Listener(loop.context(), loam::parse_address("wss://hub.example.org:0"), host),
                       doctest::Contains("listen on the address of an interface"), loam::Error);
}

TEST_CASE("nothing but loopback is listened on") {
  Loop loop;
  FakeHost host(1);
  for (const std::string address : {"0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.org:0"}) {
    CHECK_THROWS_WITH_AS(Listener(loop.context(), loam::parse_address(address), host),
                         doctest::Contains("TLS is required off loopback"), loam::Error);
  }
}

TEST_CASE("a port is free again at once, whatever its last connections did") {
  Loop loop;
  FakeHost host(1);
  auto listener = std::make_unique<Listener>(loop.context(), loam::Address{"127.0.0.1", 0}, host);
  const auto address = listener->address();
  const RawPeer peer(loop, address.port);
  REQUIRE(loop.until([&] { return listener->connections() == 1; }));
  listener->stop();
  listener.reset();
  loop.settle();
  CHECK_NOTHROW(Listener(loop.context(), address, host));
}

TEST_CASE("eight strangers of one address are admitted and the ninth is closed at once") {
  Served served;
  const auto peers = strangers(served, 1, 8);
  RawPeer ninth(served.loop, served.port(), from(10));
  CHECK(served.loop.until([&] { return ninth.ended(); }));
  RawPeer other(served.loop, served.port(), from(99));
  CHECK(other.upgrade());
  CHECK(served.host.ended.empty());
}

TEST_CASE("sixty-four strangers are admitted and the next is closed at once") {
  Served served;
  const auto peers = strangers(served, 8, 8);
  RawPeer next(served.loop, served.port(), from(99));
  CHECK(served.loop.until([&] { return next.ended(); }));
  CHECK(served.listener.strangers() == 64);
}

TEST_CASE("a member is served beside sixty-four that say nothing and ten thousand that come and go") {
  Served served;
  Greeted member(served);
  const auto silent = strangers(served, 8, 8);
  const long long passing = test::scaled(10'000);
  for (long long i = 0; i < passing; ++i) {
    // From many addresses: a port of one is not free again for a minute.
    const RawPeer peer(served.loop, served.port(), from(100 + static_cast<std::size_t>(i) % 100));
    if (i % 64 == 63) served.loop.settle();
  }
  served.loop.settle();
  CHECK(served.listener.strangers() == 64);
  CHECK(served.listener.connections() == 65);
  const auto before = served.host.links[0]->report().octets_received;
  REQUIRE(member.send(test::frame_octets(loam::encode_frame(loam::Ping{}))));
  CHECK(served.loop.until([&] { return served.host.links[0]->report().octets_received > before; }));
  CHECK(served.host.ended.empty());
}

TEST_CASE("a stranger's place is free when it leaves or is a stranger no longer") {
  loam::ListenLimits limits;
  limits.strangers_max = 1;
  Served served(limits);
  {
    Greeted greeted(served);
    CHECK(served.listener.strangers() == 0);
    RawPeer leaving(served.loop, served.port());
    CHECK(leaving.upgrade());
    CHECK(served.listener.strangers() == 1);
    CHECK(served.listener.connections() == 2);
  }
  CHECK(served.ended(2));
  CHECK(served.listener.connections() == 0);
  RawPeer next(served.loop, served.port());
  CHECK(next.upgrade());
}

TEST_CASE("sessions count against their own limit") {
  loam::ListenLimits limits;
  limits.connections_max = 2;
  Served served(limits);
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (unsigned instance : {2U, 3U}) {
    peers.push_back(std::make_unique<RawPeer>(served.loop, served.port()));
    REQUIRE(peers.back()->upgrade());
    peers.back()->send(hello_octets(instance));
  }
  REQUIRE(served.established(2));
  RawPeer third(served.loop, served.port());
  CHECK(served.loop.until([&] { return third.ended(); }));
  served.loop.settle();
  CHECK(served.host.ended.empty());
}

TEST_CASE("a listener without descriptors waits and goes on") {
  loam::ListenLimits limits;
  limits.accept_pause = 1ms;
  Served served(limits);
  RawPeer peer(served.loop, served.port());
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit none{3, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  for (int turn = 0; turn < 5; ++turn) served.loop.context().run_one_for(10ms);
  CHECK(served.listener.connections() == 0);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(peer.upgrade());
}

TEST_CASE("a listener that stops closes strangers and leaves sessions alone") {
  Served served;
  Greeted greeted(served);
  RawPeer stranger(served.loop, served.port());
  REQUIRE(stranger.upgrade());
  RawPeer silent(served.loop, served.port());
  REQUIRE(served.loop.until([&] { return served.listener.strangers() == 2; }));
  served.listener.stop();
  CHECK(served.loop.until([&] { return silent.ended(); }));
  CHECK(stranger.close_code() == 1000);
  stranger.vanish();
  CHECK(served.ended(2));
  CHECK(served.host.links[0]->established());
  CHECK(served.listener.connections() == 1);
}

TEST_CASE("a child process inherits no connection") {
  Served served;
  Dialler dialler(served.loop.context(), served.listener.address(), served.host);
  FakeHost other(2);
  Dialler second(served.loop.context(), served.listener.address(), other);
  REQUIRE(served.loop.until([&] { return !other.links.empty(); }));
  int sockets = 0;
  for (int descriptor = 0; descriptor < 256; ++descriptor) {
    int type = 0;
    socklen_t size = sizeof type;
    if (::getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &type, &size) != 0 || type != AF_INET) {
      continue;
    }
    ++sockets;
    CHECK((::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK(sockets >= 3);
}

// ------------------------------------------------------------ dialling

namespace {

loam::DialOptions at_once(int* attempts = nullptr) {
  loam::DialOptions options;
  options.random = [attempts] {
    if (attempts != nullptr) ++*attempts;
    return 0.0;
  };
  return options;
}

}  // namespace

TEST_CASE("one round between two real sides ends normally on both") {
  Served served;
  FakeHost host(2);
  for (FakeHost* side : {&served.host, &host}) {
    side->storage.names = {"instance_registry", "lessons"};
    side->answers = true;
  }
  loam::DialOptions options;
  options.once = true;
  Dialler dialler(served.loop.context(), served.listener.address(), host, options);
  CHECK(served.ended(1));
  REQUIRE(served.loop.until([&] { return !host.ended.empty(); }));
  served.loop.settle();
  CHECK(host.ended.size() == 1);
  CHECK(host.reports[0].converged);
  CHECK(host.reports[0].problem == "");
  CHECK(served.problem() == "");
  CHECK(host.reports[0].peer == hello_of(1));
  CHECK(dialler.link() == nullptr);
}

TEST_CASE("one round is not tried again") {
  Loop loop;
  FakeHost host(2);
  auto options = at_once();
  options.once = true;
  Dialler dialler(loop.context(), {"127.0.0.1", RawListener().port()}, host, options);
  REQUIRE(loop.until([&] { return !host.ended.empty(); }));
  loop.settle();
  CHECK(dialler.link() == nullptr);
  CHECK(host.ended.size() == 1);
  CHECK_FALSE(host.reports[0].converged);
}

TEST_CASE("one round that the other side cuts short is a problem") {
  RawListener listener;
  Loop loop;
  FakeHost host(2);
  loam::DialOptions options;
  options.once = true;
  Dialler dialler(loop.context(), {"127.0.0.1", listener.port()}, host, options);
  RawPeer peer(loop, listener.accept(loop));
  REQUIRE(peer.http_header() != "");
  peer.vanish();
  CHECK(loop.until([&] { return !host.ended.empty(); }));
  CHECK(host.reports[0].problem != "");
}

TEST_CASE("a dialler dials until somebody listens, and again when a link has ended") {
  Loop loop;
  FakeHost host(1);
  const loam::Address address{"127.0.0.1", RawListener().port()};
  int attempts = 0;
  FakeHost dialling(2);
  Dialler dialler(loop.context(), address, dialling, at_once(&attempts));
  REQUIRE(loop.until([&] { return attempts >= 3; }));
  CHECK(dialling.links.empty());

  Listener listener(loop.context(), address, host);
  REQUIRE(loop.until([&] { return dialling.links.size() == 1; }));
  CHECK(dialler.link() == dialling.links[0]);
  REQUIRE(loop.until([&] { return !host.links.empty(); }));
  host.links[0]->leave("restarting");
  REQUIRE(loop.until([&] { return dialling.links.size() == 2; }));
  CHECK(dialler.link() == dialling.links[1]);
  CHECK(dialling.each_closed_once());
  CHECK(host.each_closed_once());
}

TEST_CASE("a dialler that stops leaves its link and dials no more") {
  Served served;
  FakeHost host(2);
  int attempts = 0;
  Dialler dialler(served.loop.context(), served.listener.address(), host, at_once(&attempts));
  REQUIRE(served.loop.until([&] { return !host.links.empty(); }));
  REQUIRE(served.established(1));
  dialler.stop();
  CHECK(served.ended(1));
  CHECK(served.loop.until([&] { return !host.ended.empty(); }));
  served.loop.settle();
  CHECK(host.ended.size() == 1);
  CHECK(host.reports[0].problem == "");
  CHECK(attempts == 0);
  CHECK(dialler.link() == nullptr);
}

TEST_CASE("a dialler that stops between two attempts is at its end") {
  Loop loop;
  FakeHost host(2);
  loam::DialOptions options;
  options.random = [] { return 0.999; };
  Dialler dialler(loop.context(), {"127.0.0.1", RawListener().port()}, host, options);
  REQUIRE(loop.until([&] { return !host.ended.empty(); }));
  dialler.stop();
  loop.settle();
  CHECK(host.ended.size() == 1);
}

TEST_CASE("localhost is dialled on either protocol") {
  for (const std::string address : {"127.0.0.1:0", "[::1]:0"}) {
    CAPTURE(address);
    Loop loop;
    FakeHost host(1);
    std::unique_ptr<Listener> listener;
    try {
      listener = std::make_unique<Listener>(loop.context(), loam::parse_address(address), host);
    } catch (const loam::Error&) {
      MESSAGE("no IPv6 here");
      continue;
    }
    FakeHost dialling(2);
    Dialler dialler(loop.context(), {"localhost", listener->address().port}, dialling, at_once());
    CHECK(loop.until([&] { return !dialling.links.empty(); }));
  }
}

TEST_CASE("a loop that is destroyed takes its links with it") {
  FakeHost host(1);
  FakeHost dialling(2);
  Loop loop;
  Listener listener(loop.context(), {"127.0.0.1", 0}, host);
  Dialler dialler(loop.context(), listener.address(), dialling);
  SUBCASE("while they open") {}
  SUBCASE("while they talk") {
    REQUIRE(loop.until([&] { return !dialling.links.empty(); }));
  }
  SUBCASE("while they close") {
    REQUIRE(loop.until([&] { return !host.links.empty(); }));
    host.links[0]->leave("going");
  }
  host.links.clear();
  dialling.links.clear();
}
