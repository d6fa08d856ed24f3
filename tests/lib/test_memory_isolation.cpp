#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/identity.hpp"
#include "lib/store_source.hpp"
#include "tests/lib/opened.hpp"
#include "tests/lib/proxy.hpp"
#include "tests/lib/store_walk.hpp"

namespace loam {
namespace {

namespace fs = std::filesystem;

using test::configure;
using test::eventually;
using test::Instances;
using test::listen;
using test::Proxy;
using test::sync;
using test::texts;

std::string base64(std::string_view text) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i + 3 <= text.size(); i += 3) {  // whole groups are enough to search for
    unsigned bits = 0;
    for (std::size_t k = 0; k < 3; ++k)
      bits = (bits << 8) | static_cast<unsigned char>(text[i + k]);
    for (int shift = 18; shift >= 0; shift -= 6) out.push_back(digits[(bits >> shift) & 63U]);
  }
  return out;
}

// Whether the octets say the text in any way that one would expect.
bool says(const std::string& octets, const std::string& text) {
  std::vector<std::string> forms{text, to_hex(bytes_of(text))};
  for (std::size_t shift = 0; shift < 3; ++shift) forms.push_back(base64(text.substr(shift)));
  return std::any_of(forms.begin(), forms.end(), [&](const std::string& form) {
    return octets.find(form) != std::string::npos;
  });
}

std::string all_files(const fs::path& dir) {
  std::string octets;
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    if (entry.is_regular_file()) octets += test::read_file(entry.path());
  }
  return octets;
}

TEST_CASE("nothing of a private segment is on the wire, with a peer, in an export or in the log") {
  const std::string canary = "canary-bird-5519";
  const std::string open_word = "shared-word-7731";
  const Instances instances;
  std::mutex mutex;
  std::string log;
  Options options = instances.options("alpha", "alpha");
  options.log = [&](LogLevel, std::string_view line) {
    const std::lock_guard lock(mutex);
    log += std::string(line) + "\n";
  };
  Memory alpha = Memory::open(options);
  Memory beta = instances.open("beta");
  Proxy proxy(listen(alpha));
  const auto write_private = [&](Memory& memory, const std::string& what) {
    const std::string id =
        memory.remember({.segment = "project_history", .text = canary + what, .tags = {canary}}).id;
    memory.remember({.segment = "task_traces", .text = what, .thread_id = canary + what});
    memory.put("session_context", canary + what, canary);
    memory.put("instance_config", "k", Map{{canary, canary}});
    if (what == "removed") memory.forget(id);
  };
  write_private(alpha, "first");
  write_private(alpha, "removed");
  write_private(beta, "other");
  alpha.remember({.text = open_word});
  beta.remember({.text = open_word + " of beta"});
  REQUIRE(sync(beta, proxy.endpoint()).converged);
  // And on a link that is kept.
  beta.connect(proxy.endpoint());
  write_private(alpha, "live");
  write_private(beta, "live");
  const std::string id = alpha.remember({.text = "last"}).id;
  REQUIRE(eventually([&] { return beta.get(id).has_value(); }));
  beta.stop();

  const std::string said = proxy.said();
  CHECK(says(said, open_word + " of beta"));  // the test can see what is there
  CHECK(!says(said, canary));
  CHECK(says(all_files(instances.path("alpha") / "shared"), open_word));
  CHECK(says(all_files(instances.path("alpha") / "private"), canary));
  CHECK(!says(all_files(instances.path("alpha") / "shared"), canary));
  CHECK(!says(all_files(instances.path("beta") / "shared"), canary));
  CHECK(!says(all_files(instances.path("beta")), canary + "first"));
  CHECK(!says(all_files(instances.path("alpha")), canary + "other"));
  CHECK(beta.recall({.text = "canary bird first"}).items.size() == 2);  // its own
  alpha.export_records({}, [&](std::string_view line) { CHECK(!says(std::string(line), canary)); });
  const std::lock_guard lock(mutex);
  CHECK(!log.empty());
  CHECK(!says(log, canary));
}

TEST_CASE("another federation is untrusted on both sides and gets nothing") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Options options;
  options.dir = instances.path("stranger");
  options.name = "stranger";
  Memory stranger = Memory::open(options);
  alpha.remember({.text = "not for strangers"});
  stranger.remember({.text = "not from strangers"});
  const std::string endpoint = listen(alpha);
  const SyncReport report = sync(stranger, endpoint);
  REQUIRE(report.peers.size() == 1);
  CHECK(!report.converged);
  CHECK(!report.peers[0].ok);
  CHECK(report.peers[0].code == ErrorCode::untrusted);
  CHECK(!report.peers[0].error.empty());
  CHECK(texts(stranger) == std::vector<std::string>{"not from strangers"});
  CHECK(texts(alpha) == std::vector<std::string>{"not for strangers"});
  CHECK(alpha.status().peers.empty());
}

TEST_CASE("to sync with oneself is refused, and several endpoints are reported one by one") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  const std::string own = listen(alpha);
  const std::string other = listen(beta);
  const SyncReport report = alpha.sync_shared_segments(
      {.endpoints = {own, other, "ws://example.org:1", "nonsense://"}, .timeout = test::patience});
  REQUIRE(report.peers.size() == 4);
  CHECK(!report.peers[0].ok);
  CHECK(report.peers[1].ok);
  CHECK(report.peers[2].code == ErrorCode::denied);
  CHECK(report.peers[3].code == ErrorCode::invalid);
  CHECK(!report.converged);
}

// How long a round with a time-out of 200 ms takes; it must fail.
std::chrono::milliseconds failing_round(Memory& memory, const std::string& endpoint) {
  const auto start = std::chrono::steady_clock::now();
  const SyncReport report = memory.sync_shared_segments(
      {.endpoints = {endpoint}, .timeout = std::chrono::milliseconds(200)});
  CHECK(!report.converged);
  CHECK(!report.peers.at(0).ok);
  CHECK(!report.peers[0].error.empty());
  CHECK(report.peers[0].code == ErrorCode::unavailable);
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               start);
}

/// A port of the system's choice where connections are taken and never answered.
struct Silent {
  Silent() {
    REQUIRE(::listen(socket, 4) == 0);
    sockaddr_in address{};
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    endpoint = "ws://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  Silent(const Silent&) = delete;
  Silent& operator=(const Silent&) = delete;
  ~Silent() { ::close(socket); }

  int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::string endpoint;
};

TEST_CASE("a peer that says nothing costs no more than the time-out") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  const Silent silent;
  CHECK(failing_round(alpha, silent.endpoint) < std::chrono::milliseconds(1'900));
}

TEST_CASE("stopping ends a round whose peer has not said anything yet") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  const Silent silent;
  std::future<SyncReport> report =
      alpha.sync_shared_segments_async({.endpoints = {silent.endpoint}, .timeout = test::patience});
  const auto start = std::chrono::steady_clock::now();
  alpha.stop();
  CHECK(report.wait_for(test::patience) == std::future_status::ready);
  // The link itself gives up after 5 s, stopping after 3.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(2'900));
  CHECK(!report.get().peers.at(0).ok);
}

TEST_CASE("a peer that falls silent in the middle costs no more than the time-out") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  alpha.remember({.text = std::string(60'000, 'x')});
  Proxy proxy(listen(alpha));
  proxy.hold_after(2'000);  // its hello and its states, not its records
  // Closing such a connection takes 2 s: that is not waited for.
  CHECK(failing_round(beta, proxy.endpoint()) < std::chrono::milliseconds(1'900));
  proxy.hold_after(0);
  proxy.cut();
  CHECK(sync(beta, proxy.endpoint()).converged);
}

// ---------------------------------------------------------------- refused for want of room

TEST_CASE("a delta that is refused moves no position, and everything arrives once there is room") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  std::vector<PacketEnvelope> packets(300);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    packets[i].packet_type = "lesson";
    packets[i].payload = {{"text", std::to_string(i) + std::string(10'000, 'x')}};
  }
  alpha.write(packets);
  const std::string endpoint = listen(alpha);
  const auto store_of = [&](const std::string& name) {
    const auto dir = instances.path(name);
    return SharedStore(dir / "shared", SegmentTable(), {}, load_instance_key(dir).id, {});
  };
  configure(instances.path("beta"), "[store]\nmap_octets_max = 1048576\n");
  {
    Memory beta = instances.open("beta");
    beta.remember({.text = "small"});
    for (int round = 0; round < 3; ++round) {
      const SyncReport report = sync(beta, endpoint);
      CHECK(!report.converged);
      CHECK(!report.peers.at(0).ok);
      CHECK(report.peers[0].error.find("out_of_space") != std::string::npos);
      const SharedStore store = store_of("beta");
      const Position position =
          StoreSource(store).position("lessons_learned", store_of("alpha").id());
      CHECK(position == Position{});
      CHECK(test::walk(store) == "");
    }
    CHECK(beta.recall({.text = "small"}).items.size() == 1);
    CHECK(eventually([&] { return alpha.recall({.text = "small"}).items.size() == 1; }));
  }
  test::write_file(instances.path("beta") / "config.toml", "");
  Memory beta = instances.open("beta");
  CHECK(sync(beta, endpoint).converged);
  CHECK(beta.digest() == alpha.digest());
  CHECK(texts(beta).size() == 301);
  const SharedStore store = store_of("beta");
  CHECK(eventually([&] {  // a position alone waits for the next commit
    return StoreSource(store).position("lessons_learned", store_of("alpha").id()) != Position{};
  }));
  CHECK(test::walk(store) == "");
}

TEST_CASE("a kept link that was refused recovers by itself once records were removed") {
  const Instances instances;
  configure(instances.path("beta"), "[store]\nmap_octets_max = 1048576\n");
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  std::vector<std::string> ids;
  while (true) {
    const auto error = test::error_of([&] {
      const std::string text = std::to_string(ids.size()) + std::string(10'000, 'x');
      ids.push_back(beta.remember({.text = text}).id);
    });
    if (error) break;
  }
  beta.connect(listen(alpha));
  const std::string id = alpha.remember({.text = std::string(20'000, 'y')}).id;
  for (std::size_t i = 0; i < ids.size() / 2; ++i) beta.forget(ids[i]);
  CHECK(eventually([&] { return beta.get(id).has_value(); }));
  CHECK(eventually(
      [&] { return alpha.digest("lessons_learned") == beta.digest("lessons_learned"); }));
}

}  // namespace
}  // namespace loam
