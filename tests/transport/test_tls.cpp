// Links over TLS on loopback: who is at the other end is known by the instance's key, and nothing
// else counts.
#include <openssl/ssl.h>

#include <array>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/write.hpp>
#include <set>

#include "crdt/error.hpp"
#include "tests/transport/gate.hpp"
#include "tests/transport/served.hpp"
#include "transport/channel.hpp"
#include "transport/tls.hpp"

using loam::Channel;
using loam::Completion;
using loam::Link;
using loam::Role;
using loam::Tls;
using test::FakeHost;
using test::Gate;
using test::Loop;
using test::RawListener;
using test::RawPeer;
using test::tls_of;
using namespace std::chrono_literals;

namespace {

/// A house with a key that speaks TLS.
class TlsHost final : public FakeHost {
 public:
  explicit TlsHost(unsigned number) : FakeHost(number), gate(number), own(tls_of(gate)) {
    hello.key = gate.key().key();
    hello.instance = gate.key().instance();
    storage.names = {"instance_registry"};
  }

  Gate gate;
  std::shared_ptr<const Tls> own;
  std::optional<loam::PublicKey> expected;

  std::shared_ptr<const Tls> tls() override { return own; }
  bool is_expected(const loam::PublicKey& key) override { return !gate.refusal(key); }
  loam::SessionConfig session_config(Role role) override {
    auto config = FakeHost::session_config(role);
    config.gate = &gate;
    config.expected = expected;
    return config;
  }
};

/// One that listens with TLS, and one that may dial it.
struct Both {
  explicit Both(const loam::ListenLimits& limits = {})
      : listener(loop.context(), loam::parse_address("wss://127.0.0.1:0"), left, limits) {
    left.gate.members.insert(right.gate.key().key());
    right.gate.members.insert(left.gate.key().key());
  }

  Loop loop;
  TlsHost left{1};
  TlsHost right{2};
  loam::Listener listener;

  std::uint16_t port() const { return listener.address().port; }

  std::shared_ptr<Link> dial(const loam::LinkLimits& limits = {}) {
    return dial(listener.address(), limits);
  }
  std::shared_ptr<Link> dial(const loam::Address& address, const loam::LinkLimits& limits = {}) {
    return Link::dial(loop.context(), {address, false}, {std::shared_ptr<void>(), &right}, limits);
  }

  /// Why the dialled link has ended.
  std::string refused() {
    REQUIRE(loop.until([&] { return !right.reports.empty(); }));
    return right.reports.back().problem;
  }

  /// Why the accepted one has.
  std::string accepted_problem() {
    REQUIRE(loop.until([&] { return !left.reports.empty(); }));
    return left.reports.back().problem;
  }
};

/// A TLS connection that says what a test wants.
class TlsPeer {
 public:
  TlsPeer(Loop& loop, std::uint16_t port)
      : loop_(loop), channel_(Channel::Tcp::socket(loop.context())) {
    channel_.socket().connect({boost::asio::ip::make_address("127.0.0.1"), port});
  }

  Channel& channel() { return channel_; }

  bool secure(const Tls& tls, Role role = Role::dialler) {
    return end(
        [&](auto done) { channel_.secure(tls, role, Completion(done, channel_.get_executor())); });
  }
  bool send(std::string_view octets) {
    return end(
        [&](auto done) { boost::asio::async_write(channel_, boost::asio::buffer(octets), done); });
  }
  std::string answer() {
    std::string octets(4'096, '\0');
    std::size_t count = 0;
    end([&](auto done) {
      channel_.async_read_some(boost::asio::buffer(octets),
                               [&count, done](const auto& error, std::size_t read) {
                                 count = read;
                                 done(error, read);
                               });
    });
    return octets.substr(0, count);
  }

 private:
  template <class Begin>
  bool end(Begin begin) {
    std::optional<loam::error_code> ended;
    begin([&ended](const loam::error_code& error, std::size_t) { ended = error; });
    REQUIRE(loop_.until([&] { return ended.has_value(); }));
    return !*ended;
  }

  Loop& loop_;
  Channel channel_;
};

/// One that is in the middle: it speaks TLS to both sides and passes on what each says.
class Relay {
 public:
  Relay(Loop& loop, const Tls& tls, std::uint16_t port)
      : tls_(tls),
        acceptor_(loop.context(), {boost::asio::ip::make_address("127.0.0.1"), 0}),
        near_(Channel::Tcp::socket(loop.context())),
        far_(Channel::Tcp::socket(loop.context())) {
    far_.socket().connect({boost::asio::ip::make_address("127.0.0.1"), port});
    for (Channel* each : {&near_, &far_}) each->lift();
    acceptor_.async_accept(near_.socket(), [this](const auto& error) {
      if (!error) secure();
    });
  }

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  std::size_t passed = 0;

 private:
  void secure() {
    near_.secure(tls_, Role::listener,
                 Completion(
                     [this](const auto& error, std::size_t) {
                       if (!error)
                         far_.secure(tls_, Role::dialler,
                                     Completion(
                                         [this](const auto& failure, std::size_t) {
                                           if (failure) return;
                                           pass(near_, far_, there_);
                                           pass(far_, near_, back_);
                                         },
                                         far_.get_executor()));
                     },
                     near_.get_executor()));
  }

  void pass(Channel& from, Channel& to, std::array<char, 4'096>& octets) {
    from.async_read_some(boost::asio::buffer(octets), [this, &from, &to, &octets](
                                                          const auto& error, std::size_t count) {
      if (error) return to.close();
      passed += count;
      boost::asio::async_write(to, boost::asio::buffer(octets, count),
                               [this, &from, &to, &octets](const auto& failure, std::size_t) {
                                 if (!failure) pass(from, to, octets);
                               });
    });
  }

  const Tls& tls_;
  Channel::Tcp::acceptor acceptor_;
  Channel near_;
  Channel far_;
  std::array<char, 4'096> there_{};
  std::array<char, 4'096> back_{};
};

/// With the identity as the key, R = identity and S = 0 fit any message for those who do not look
/// at the key.
loam::Signature unsigned_by_anybody() {
  loam::Signature signature;
  signature.bytes[0] = std::byte{1};
  return signature;
}

}  // namespace

TEST_CASE("two instances that know each other's keys link over TLS") {
  Both both;
  both.dial();
  REQUIRE(both.loop.until([&] { return both.left.links.size() + both.right.links.size() == 2; }));
  CHECK(both.left.links.front()->report().peer->key == both.right.gate.key().key());
  CHECK(both.right.links.front()->report().peer->key == both.left.gate.key().key());
}

TEST_CASE("an instance that nobody knows hears nothing when it is dialled") {
  Both both;
  both.right.gate.members.clear();
  both.dial();
  CHECK(both.refused() == "TLS: instance " + both.left.gate.key().instance().text() +
                              " is not a member that may be there");
  CHECK(both.right.reports.back().untrusted);
  CHECK(both.accepted_problem().starts_with("upgrade: "));
  CHECK(both.left.reports.back().octets_received == 0);
}

TEST_CASE("a certificate is worth what the instance's key has signed of it") {
  Both both;
  const test::SigningKey& own = both.left.gate.key();
  const Gate other(3);
  SUBCASE("another key has signed it") {
    both.left.own = std::make_shared<const Tls>(
        own.key(), [&](auto domain, auto message) { return other.sign(domain, message); });
  }
  SUBCASE("it was signed for another purpose") {
    both.left.own = std::make_shared<const Tls>(
        own.key(), [&](auto, auto message) { return both.left.gate.sign("loam link 1", message); });
  }
  SUBCASE("it is of another certificate") {
    both.left.own = std::make_shared<const Tls>(
        own.key(), [&](auto domain, auto) { return both.left.gate.sign(domain, loam::Bytes(32)); });
  }
  SUBCASE("the key is not a sound one") {
    loam::PublicKey identity;
    identity.bytes[0] = std::byte{1};
    both.left.own =
        std::make_shared<const Tls>(identity, [](auto, auto) { return unsigned_by_anybody(); });
  }
  both.dial();
  CHECK(both.refused() == "TLS: the other side has no certificate of an instance");
  CHECK(both.right.reports.back().untrusted);
}

TEST_CASE("a member in the middle is not taken for the one behind it") {
  Both both;
  const Gate middle(3);
  const auto tls = tls_of(middle);
  for (TlsHost* each : {&both.left, &both.right}) each->gate.members.insert(middle.key().key());
  Relay relay(both.loop, *tls, both.port());
  SUBCASE("its certificate is its own") {
    both.dial({"127.0.0.1", relay.port(), true});
    CHECK(both.refused() == "peer has another key than the one that was expected");
  }
  SUBCASE("a proof is of one connection") {
    both.right.expected = both.left.gate.key().key();  // whatever the certificate says
    both.dial({"127.0.0.1", relay.port(), true});
    CHECK(both.accepted_problem() == "peer does not hold the key that it says");
  }
  CHECK(relay.passed > 0);
  CHECK(both.left.links.empty());
  CHECK(both.right.links.empty());
}

TEST_CASE("every connection has a name of its own") {
  Both both;
  std::set<loam::Bytes> names;
  for (int i = 0; i < 3; ++i) {
    TlsPeer peer(both.loop, both.port());
    REQUIRE(peer.secure(*both.right.own));
    CHECK(peer.channel().name().size() == 32);
    names.insert(peer.channel().name());
  }
  CHECK(names.size() == 3);
}

TEST_CASE("versions before 1.3 are refused") {
  Both both;
  SSL_CTX* context = both.right.own->context().native_handle();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
  TlsPeer peer(both.loop, both.port());
  CHECK(!peer.secure(*both.right.own));
  CHECK(both.accepted_problem().starts_with("TLS: "));
}

TEST_CASE("TLS where there is none, and none where there is TLS, is a problem") {
  Both both;
  SUBCASE("nothing but TLS is understood") {
    RawPeer peer(both.loop, both.port());
    REQUIRE(peer.send(test::Upgrade{}.octets()));
    CHECK(both.accepted_problem().starts_with("TLS: "));
  }
  SUBCASE("a dialled side that speaks without") {
    RawListener listener;
    both.dial({"127.0.0.1", listener.port(), true});
    RawPeer peer(both.loop, listener.accept(both.loop));
    REQUIRE(peer.send("HTTP/1.1 101 Switching Protocols\r\n\r\n"));
    CHECK(both.refused().starts_with("TLS: "));
  }
}

TEST_CASE("a handshake ends in time, whatever comes") {
  SUBCASE("accepted, silent") {
    Both both({.link = {.tls = 50ms}});
    const RawPeer peer(both.loop, both.port());
    CHECK(both.accepted_problem() == "TLS: no complete handshake within 50 ms");
  }
  SUBCASE("accepted, an octet at a time") {
    Both both({.link = {.tls = 100ms}});
    RawPeer peer(both.loop, both.port());
    std::size_t sent = 0;
    const std::string hello =
        std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + std::string(500, 'x');
    REQUIRE(both.loop.until([&] {
      if (sent < hello.size()) (void)peer.send(hello.substr(sent++, 1));
      return !both.left.reports.empty();
    }));
    CHECK(both.accepted_problem() == "TLS: no complete handshake within 100 ms");
  }
  SUBCASE("dialled") {
    Both both;
    RawListener listener;
    both.dial({"127.0.0.1", listener.port(), true}, {.tls = 50ms});
    CHECK(both.refused() == "TLS: no complete handshake within 50 ms");
  }
}

TEST_CASE("requests inside TLS are judged as outside, but for the names of this machine") {
  struct Row {
    test::Upgrade request;
    const char* status;
  };
  const std::vector<Row> rows{{{.host = "Host: hub.example.org:7700\r\n"}, "101"},
                              {{.host = "Host: 192.0.2.7\r\n"}, "101"},
                              {{.host = "Host: localhost\r\n"}, "101"},
                              {{.host = "Host: evil.example\r\n"}, "403"},
                              {{.host = ""}, "403"},
                              {{.more = "Origin: null\r\n"}, "403"},
                              {{.more = "Origin: https://hub.example.org\r\n"}, "403"},
                              {{.path = "/"}, "404"}};
  for (const Row& row : rows) {
    Both both({.hosts = {"hub.example.org"}});
    TlsPeer peer(both.loop, both.port());
    REQUIRE(peer.secure(*both.right.own));
    REQUIRE(peer.send(row.request.octets()));
    CHECK(peer.answer().substr(0, 12) == "HTTP/1.1 " + std::string(row.status));
  }
}

TEST_CASE("who has no key for TLS neither listens nor dials with it") {
  Loop loop;
  FakeHost host(1);
  CHECK_THROWS_WITH_AS(
      loam::Listener(loop.context(), loam::parse_address("wss://127.0.0.1:0"), host),
      doctest::Contains("there is no key for TLS"), loam::Error);
  CHECK_THROWS_WITH_AS(Link::dial(loop.context(), {loam::parse_address("wss://127.0.0.1:1"), false},
                                  {std::shared_ptr<void>(), &host}),
                       doctest::Contains("there is no key for TLS"), loam::Error);
}

TEST_CASE("a name that has no address is a problem with it") {
  Both both;
  both.dial(loam::parse_address("wss://no-such-host.invalid"), {.connect = 2'000ms});
  CHECK(both.refused().starts_with("connect wss://no-such-host.invalid:7700: "));
}
