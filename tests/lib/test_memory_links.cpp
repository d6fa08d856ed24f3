#include <doctest/doctest.h>

#include "crdt/record.hpp"
#include "lib/identity.hpp"
#include "lib/store_source.hpp"
#include "tests/lib/opened.hpp"
#include "tests/lib/proxy.hpp"
#include "tests/lib/site.hpp"
#include "tests/lib/store_walk.hpp"

namespace loam {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::Instances;
using test::listen;
using test::listen_with_tls;
using test::Proxy;
using test::sync;
using test::texts;

void write_many(Memory& memory, const std::string& what, int count, std::size_t size = 0) {
  std::vector<PacketEnvelope> packets(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < packets.size(); ++i) {
    packets[i].packet_type = "lesson";
    packets[i].payload = {{"text", what + " " + std::to_string(i) + std::string(size, '.')}};
  }
  memory.write(packets);
}

SharedStore shared_store(const Instances& instances, const std::string& name) {
  const auto dir = instances.path(name);
  return SharedStore(dir / "shared", SegmentTable(), {}, load_instance_key(dir).id, {});
}

void check_equal(const Memory& one, const Memory& other) {
  CHECK(one.digest() == other.digest());
  CHECK(texts(one, "lessons_learned") == texts(other, "lessons_learned"));
}

TEST_CASE("one round brings both sides everything, with authors, and the next has nothing to do") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  const std::string both = alpha.remember({.text = "both", .tags = {"a"}}).id;
  *instances.clock.ms += 5;
  beta.remember({.text = "both", .tags = {"b"}});
  const std::string doomed = beta.remember({.text = "doomed"}).id;
  alpha.remember({.segment = "task_traces", .text = "private"});
  const std::string endpoint = listen(alpha);

  const SyncReport report = sync(beta, endpoint);
  REQUIRE(report.peers.size() == 1);
  CHECK(report.converged);
  const PeerReport& peer = report.peers[0];
  CHECK((peer.ok && peer.converged && peer.error.empty()));
  CHECK(peer.name == "alpha");
  CHECK(peer.endpoint == endpoint);
  CHECK(peer.segments.at("lessons_learned").received == 1);
  CHECK(peer.segments.at("lessons_learned").sent == 2);
  CHECK(peer.segments.count("task_traces") == 0);
  check_equal(alpha, beta);
  for (const Memory* memory : {&alpha, &beta}) {
    const auto record = memory->get(both);
    CHECK(record->support == 2);
    CHECK(record->authors == std::vector<std::string>{"alpha", "beta"});
    CHECK(record->tags == std::vector<std::string>{"a", "b"});
    CHECK(record->provenance.size() == 2);
    CHECK(record->provenance[0].author == "alpha");
    CHECK(memory->recall({.text = "both", .author = "beta"}).items.size() == 1);
  }

  alpha.forget(doomed);
  CHECK(sync(beta, endpoint).peers[0].segments.at("lessons_learned").removed == 1);
  CHECK(!beta.get(doomed));
  const SyncReport again = sync(beta, endpoint);
  CHECK(again.converged);
  for (const auto& segment : again.peers[0].segments) {
    INFO(segment.first);
    const SegmentTraffic& traffic = segment.second;
    CHECK(traffic.sent + traffic.received + traffic.removed + traffic.refused == 0);
  }
  // A copy of one author does not count twice, whoever took it in.
  beta.remember({.text = "both"});
  CHECK(sync(beta, endpoint).converged);
  CHECK(alpha.get(both)->support == 2);
}

TEST_CASE("peers are in the status, and what they lack is their lag") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  const std::string endpoint = listen(alpha);
  REQUIRE(sync(beta, endpoint).converged);
  CHECK(eventually([&] {
    const auto peers = beta.status().peers;
    return !peers.empty() && peers.at(0).lag.contains("lessons_learned");
  }));
  const PeerStatus peer = beta.status().peers.at(0);
  CHECK(peer.name == "alpha");
  CHECK(peer.id == alpha.id().text());
  CHECK("ws://" + peer.endpoint.substr(peer.endpoint.rfind('/') + 1) == endpoint);
  CHECK(!peer.linked);
  CHECK(peer.last_seen_ms <= 1'700'000'000'000);
    CHECK(peer.last_seen_ms > 1'700'000'000'000 - 60'000);  // its last frame may be older than its link's end
  CHECK(peer.lag.at("lessons_learned") == 0);
  beta.remember({.text = "x"});
  CHECK(beta.status().peers.at(0).lag.at("lessons_learned") == 1);
  CHECK(beta.recall({}).coverage.peers_total == 1);
  CHECK(beta.recall({}).coverage.peers_current == 1);
  *instances.clock.ms += 3'600'000;
  CHECK(beta.recall({}).coverage.peers_current == 0);
  CHECK(beta.recall({}).coverage.oldest_peer_age_ms >= 3'600'000);
  CHECK(beta.recall({}).coverage.oldest_peer_age_ms < 3'660'000);
}

// Writes a lesson into a closed store though its instance may not, as one does that is not honest.
void write_without_right(const Instances& instances, const std::string& name, const std::string& text) {
  const auto dir = instances.path(name);
  const InstanceKey key = load_instance_key(dir);
  const SegmentTable segments;
  const auto write = [&](const std::function<void(SharedStore&, lmdb::WriteTxn&)>& body) {
    SharedStore store(dir / "shared", segments, {}, key.id, std::nullopt, key.signing);
    store.env().write([&](lmdb::WriteTxn& txn) { body(store, txn); });
  };
  Bytes root;
  write([&](SharedStore&, lmdb::WriteTxn& txn) {  // without a root a store asks nobody's rights
    root = copy_of(*txn.get(table::meta, bytes_of(meta::root)));
    txn.erase(table::meta, bytes_of(meta::root));
  });
  write([&](SharedStore& store, lmdb::WriteTxn& txn) {
    SharedBatch batch(store, txn, 1'700'000'000'000);
    batch.add(store.number("lessons_learned"), test::content_of(text), test::meta_of(""));
    batch.finish();
  });
  write([&](SharedStore&, lmdb::WriteTxn& txn) { txn.put(table::meta, bytes_of(meta::root), root); });
}

using RefusedRecords = std::map<std::string, std::uint64_t>;

RefusedRecords refused_from(const Memory& memory, const std::string& name) {
  for (const PeerStatus& peer : memory.status().peers) {
    if (peer.name == name) return peer.refused;
  }
  return {};
}

/// Alpha, and beta, who may only read lessons and has written one.
struct WithForger {
  Instances instances;
  std::atomic<std::uint64_t> told{0};  ///< refusals that stand in the log of alpha
  std::optional<Memory> alpha;
  std::optional<Memory> beta;

  WithForger() {
    open_alpha();
    beta = instances.open("beta");
    alpha->grant("beta", {.permissions = {{"lessons_learned", "r"}}, .role = "member"});
    REQUIRE(sync(*alpha, listen(*beta)).converged);
    beta.reset();
    write_without_right(instances, "beta", "written without a right");
    beta = instances.open("beta");
  }

  void open_alpha() {
    Options options = instances.options("alpha", "alpha");
    options.log = [this](LogLevel, std::string_view line) {
      if (line.find("1 records of beta are not admitted") != std::string_view::npos) ++told;
    };
    alpha = Memory::open(options);
  }
};

TEST_CASE("what was refused of a peer is in the status, of all its sessions with any opening of the store") {
  WithForger both;
  const std::string endpoint = listen(*both.beta);
  Memory second = both.instances.open("alpha");
  Memory gamma = both.instances.open("gamma");
  RefusedRecords expected;
  for (Memory* memory : {&*both.alpha, &second, &*both.alpha}) {
    const std::uint64_t refused = sync(*memory, endpoint).peers.at(0).segments.at("lessons_learned").refused;
    CHECK(refused > 0);
    expected["lessons_learned"] += refused;
  }
  REQUIRE(sync(*both.alpha, listen(gamma)).converged);
  CHECK(eventually([&] { return refused_from(*both.alpha, "beta") == expected; }));
  CHECK(eventually([&] { return both.alpha->status().peers.size() == 2; }));
  CHECK(refused_from(*both.alpha, "gamma").empty());
  CHECK(refused_from(second, "beta") == expected);
  CHECK(refused_from(*both.beta, "alpha").empty());
  CHECK(texts(*both.alpha).empty());
}

TEST_CASE("what is refused of a peer is in the status while its link stands, and is counted once") {
  WithForger both;
  both.beta->connect(listen(*both.alpha));
  const auto is_counted = [&] { return refused_from(*both.alpha, "beta").contains("lessons_learned"); };
  CHECK(eventually(is_counted));
  CHECK(both.alpha->status().peers.at(0).linked);
  both.alpha->remember({.text = "nothing else stops"});
  CHECK(eventually([&] { return texts(*both.beta).size() == 2; }));
  both.beta->stop();
  CHECK(eventually([&] { return !both.alpha->status().peers.at(0).linked; }));
  both.alpha.reset();  // whatever it had to note is noted
  CHECK(refused_from(both.instances.open("alpha"), "beta") == RefusedRecords{{"lessons_learned", both.told}});
}

TEST_CASE("records of the greatest size and shape travel whole") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  std::vector<PacketEnvelope> packets(3);
  for (PacketEnvelope& packet : packets) packet.packet_type = "insight";
  for (PacketEnvelope& packet : packets) packet.segment = "lessons_learned";
  packets[0].payload = {{"blob", Bytes(record_octets_max - 100)}};
  Value nested(1);
  for (std::size_t i = 1; i < payload_depth_max; ++i) nested = Map{{"n", nested}};
  packets[1].payload = {{"nested", nested}};
  for (int i = 0; i < 7; ++i) {
    packets[2].payload["p" + std::to_string(i)] = Array(payload_container_max, Value(1));
    packets[2].metadata["m" + std::to_string(i)] = Array(payload_container_max, Value(1));
  }
  const auto receipts = alpha.write(packets);
  beta.put("governance_meta", std::string(key_octets_max, 'k'),
           Bytes(record_octets_max - key_octets_max - 100));
  SUBCASE("over TCP") { REQUIRE(sync(beta, listen(alpha)).converged); }
  SUBCASE("over TLS") { REQUIRE(sync(beta, listen_with_tls(alpha)).converged); }
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const auto record = beta.get(receipts[i].id);
    REQUIRE(record);
    CHECK(record->payload == packets[i].payload);
    CHECK(record->metadata == packets[i].metadata);
  }
  check_equal(alpha, beta);
}

TEST_CASE("who is dialled with TLS must be a member") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  const Instances others;
  Memory stranger = others.open("stranger");
  const std::string endpoint = listen_with_tls(stranger);
  const SyncReport report = sync(beta, endpoint);
  CHECK(report.peers.at(0).code == loam::ErrorCode::untrusted);
  CHECK(report.peers.at(0).error.find("is not a member") != std::string::npos);
  CHECK(!sync(stranger, listen_with_tls(alpha)).converged);
}

TEST_CASE("an address for others is announced where it is another than that of the listener") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  const auto announced = [&] { return alpha.members().at(0).endpoints; };
  (void)alpha.serve({.listen = "wss://0.0.0.0:0", .announce = "", .dial_known = false});
  CHECK(announced().empty());
  alpha.stop();
  CHECK_THROWS_AS(alpha.serve({.listen = "wss://0.0.0.0:0", .announce = "wss://x:y", .dial_known = false}), loam::Error);
  CHECK_THROWS_AS(alpha.serve({.listen = "wss://0.0.0.0:0", .announce = "ws://hub.example.org", .dial_known = false}),
                  loam::Error);
  (void)alpha.serve({.listen = "wss://0.0.0.0:0", .announce = "wss://hub.example.org", .dial_known = false});
  CHECK(announced() == std::vector<std::string>{"wss://hub.example.org:7700"});
}

TEST_CASE("a kept link pushes every write to the other side, both ways, where watches see it") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  std::mutex mutex;
  std::set<std::string> at_alpha;
  std::set<std::string> at_beta;
  const auto collect = [&mutex](std::set<std::string>& into) {
    return [&mutex, &into](const Change& change) {
      const std::lock_guard lock(mutex);
      into.insert(change.ids.begin(), change.ids.end());
    };
  };
  const Subscription first = alpha.watch({"lessons_learned"}, collect(at_alpha));
  const Subscription second = beta.watch({"lessons_learned"}, collect(at_beta));
  beta.connect(listen(alpha));
  const auto arrives = [&](const std::string& id) {
    return eventually([&] {
      const std::lock_guard lock(mutex);
      return at_alpha.count(id) != 0 && at_beta.count(id) != 0;
    });
  };
  CHECK(arrives(alpha.remember({.text = "from alpha"}).id));
  const std::string id = beta.remember({.text = "from beta"}).id;
  CHECK(arrives(id));
  CHECK(beta.status().peers.at(0).linked);
  alpha.forget(id);
  CHECK(eventually([&] { return !beta.get(id); }));
  beta.stop();
  CHECK(eventually([&] { return !alpha.status().peers.at(0).linked; }));
}

TEST_CASE("through a hub in the middle everything reaches everyone, though two never meet") {
  const Instances instances;
  Memory hub = instances.open("hub");
  const std::string endpoint = listen(hub);
  {
    Memory alpha = instances.open("alpha");
    write_many(alpha, "alpha", 30);
    REQUIRE(sync(alpha, endpoint).converged);
  }
  {
    Memory gamma = instances.open("gamma");
    write_many(gamma, "gamma", 30);
    REQUIRE(sync(gamma, endpoint).converged);
    CHECK(texts(gamma, "lessons_learned").size() == 60);
  }
  Memory alpha = instances.open("alpha");
  REQUIRE(sync(alpha, endpoint).converged);
  Memory gamma = instances.open("gamma");
  REQUIRE(sync(gamma, endpoint).converged);
  check_equal(alpha, gamma);
  CHECK(alpha.recall({.author = "gamma"}).items.size() == 10);
  // And live: alpha - hub - gamma.
  alpha.connect(endpoint);
  gamma.connect(endpoint);
  const std::string id = alpha.remember({.text = "live"}).id;
  CHECK(eventually([&] { return gamma.get(id).has_value(); }));
  gamma.forget(id);
  CHECK(eventually([&] { return !alpha.get(id); }));
}

TEST_CASE("three sync with one hub at once while threads write everywhere, and all end equal") {
  const Instances instances;
  Memory hub = instances.open("hub");
  const std::string endpoint = listen(hub);
  std::vector<Memory> others;
  for (const char* name : {"alpha", "beta", "gamma"}) others.push_back(instances.open(name));
  std::vector<std::thread> threads;
  for (std::size_t writer = 0; writer < 4; ++writer) {
    threads.emplace_back([&, writer] {
      Memory& memory = writer == 3 ? hub : others[writer];
      for (int i = 0; i < 40; ++i) {
        const std::string text = std::to_string(writer) + "/" + std::to_string(i);
        const std::string id = memory.remember({.text = text}).id;
        memory.remember({.text = "common " + std::to_string(i)});
        memory.put("governance_meta", "key" + std::to_string(i % 5), text);
        if (i % 4 == 0) memory.forget(id);
      }
    });
  }
  std::atomic<int> rounds{0};
  for (Memory& memory : others) {
    threads.emplace_back([&] {
      for (int round = 0; round < 5; ++round) {
        if (sync(memory, endpoint).peers.at(0).ok) ++rounds;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int pass = 0; pass < 2; ++pass) {
    for (Memory& memory : others) CHECK(sync(memory, endpoint).converged);
  }
  for (const Memory& memory : others) check_equal(memory, hub);
  CHECK(texts(hub, "lessons_learned").size() == 4 * 30 + 40);
  for (const char* name : {"hub", "alpha", "beta", "gamma"}) {
    INFO(name);
    CHECK(test::walk(shared_store(instances, name)) == "");
  }
}

TEST_CASE("a peer that stops in the middle of a copy costs nothing but another round") {
  const Instances instances;
  Memory beta = instances.open("beta");
  {
    Memory alpha = instances.open("alpha");
    write_many(alpha, "alpha", 1'500, 500);
  }
  write_many(beta, "beta", 200);
  for (int round = 0; round < 4; ++round) {
    Memory alpha = instances.open("alpha");
    const std::string endpoint = listen(alpha);
    std::future<SyncReport> report =
        beta.sync_shared_segments_async({.endpoints = {endpoint}, .timeout = test::patience});
    const std::uint64_t so_far = beta.status().segments.at("lessons_learned").records;
    if (so_far < 1'700) {
      eventually([&] {
        return beta.status().segments.at("lessons_learned").records > so_far ||
               report.wait_for(0s) == std::future_status::ready;
      });
    }
    alpha.stop();
    const SyncReport ended = report.get();
    REQUIRE(ended.peers.size() == 1);
    CHECK((ended.peers[0].ok || !ended.peers[0].error.empty()));
  }
  Memory alpha = instances.open("alpha");
  REQUIRE(sync(beta, listen(alpha)).converged);
  check_equal(alpha, beta);
  CHECK(texts(beta, "lessons_learned").size() == 1'700);
}

TEST_CASE("a connection that is cut again and again only ever goes forward") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  write_many(alpha, "alpha", 1'000, 500);
  Proxy proxy(listen(alpha));
  proxy.cut_after(150'000);
  std::uint64_t records = 0;
  int rounds = 0;
  for (; rounds < 40 && !sync(beta, proxy.endpoint()).converged; ++rounds) {
    const std::uint64_t now = beta.status().segments.at("lessons_learned").records;
    CHECK(now >= records);
    records = now;
  }
  CHECK(rounds > 1);
  CHECK(rounds < 40);
  check_equal(alpha, beta);
}

TEST_CASE("stopping one's own side ends a round that is running, with a report") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  write_many(alpha, "alpha", 300, 500);
  const std::string endpoint = listen(alpha);
  for (int round = 0; round < 10; ++round) {
    std::future<SyncReport> report =
        beta.sync_shared_segments_async({.endpoints = {endpoint}, .timeout = test::patience});
    beta.stop();
    REQUIRE(report.wait_for(test::patience) == std::future_status::ready);
    CHECK(report.get().peers.size() == 1);
  }
  CHECK(sync(beta, endpoint).converged);
  // Also when the memory goes away under it.
  std::future<SyncReport> last =
      beta.sync_shared_segments_async({.endpoints = {endpoint}, .timeout = test::patience});
  { const Memory gone = std::move(beta); }
  CHECK(last.get().peers.size() == 1);
}

TEST_CASE("many threads may sync, serve, watch and stop at once") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  const std::string endpoint = listen(alpha);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 8; ++round) {
        if (i == 0) beta.stop();
        if (i == 1) sync(beta, endpoint);
        if (i == 2) {
          const Subscription watching = beta.watch({}, [](const Change&) {});
          beta.connect(endpoint);
        }
        if (i == 3) {
          beta.remember({.text = std::to_string(round)});
          beta.status();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(sync(beta, endpoint).converged);
  check_equal(alpha, beta);
}

}  // namespace
}  // namespace loam
