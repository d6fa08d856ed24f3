#include "apps/network.hpp"

#include <algorithm>
#include <boost/json/value.hpp>
#include <deque>
#include <mutex>

#include "apps/shapes.hpp"
#include "apps/signals.hpp"
#include "apps/text.hpp"

namespace loam::cli {
namespace {

/// Changes that wait to be printed. A reader that does not keep up loses the oldest.
constexpr std::size_t changes_waiting_max = 10'000;

/// Carries changes from the threads of the library to the one that prints.
class Changes {
 public:
  void push(const Change& change) {
    const std::scoped_lock lock(mutex_);
    if (waiting_.size() == changes_waiting_max) {
      waiting_.pop_front();
      ++lost_;
    }
    waiting_.push_back(change);
  }

  struct Taken {
    std::deque<Change> changes;
    std::uint64_t lost = 0;
  };

  Taken take() {
    const std::scoped_lock lock(mutex_);
    Taken taken{std::move(waiting_), lost_};
    waiting_.clear();
    lost_ = 0;
    return taken;
  }

 private:
  std::mutex mutex_;
  std::deque<Change> waiting_;
  std::uint64_t lost_ = 0;
};

std::string change_text(const Change& change) {
  std::string out = change.segment + "  " + std::to_string(change.ids.size()) +
                    " new or changed, " + std::to_string(change.removed) + " removed";
  for (const auto& id : change.ids) out += "\n  " + printable(id);
  return out + "\n";
}

void print_changes(Changes& changes, const Shell& shell) {
  const auto [taken, lost] = changes.take();
  if (lost > 0) say("not printed: " + std::to_string(lost) + " changes");
  for (const auto& change : taken) answer(shell, shape(change), change_text(change));
  shell.out.flush();
}

std::vector<std::string> known_endpoints(const Memory& memory) {
  std::vector<std::string> endpoints;
  for (const auto& peer : memory.status().peers) {
    if (!peer.endpoint.empty()) endpoints.push_back(peer.endpoint);
  }
  return endpoints;
}

int keep_syncing(const command::Sync& sync, const Shell& shell) {
  StopSignals signals;
  Changes changes;
  Memory memory = open_memory(shell, LogLevel::info);
  const auto endpoints =
      sync.options.endpoints.empty() ? known_endpoints(memory) : sync.options.endpoints;
  if (endpoints.empty()) {
    throw HintedError(Error(ErrorCode::unavailable, "sync: no endpoint is known"),
                      "loam sync ws://HOST:PORT --watch");
  }
  const auto watching = memory.watch({}, [&](const Change& change) {
    changes.push(change);
    signals.wake();
  });
  for (const auto& endpoint : endpoints) memory.connect(endpoint);
  while (signals.wait() != StopSignals::Event::stop) print_changes(changes, shell);
  memory.stop();
  print_changes(changes, shell);
  return 0;
}

std::string peer_text(const PeerReport& peer) {
  const std::string who =
      printable(peer.endpoint) + (peer.name.empty() ? "" : " (" + printable(peer.name) + ")");
  if (!peer.ok) return who + "  failed: " + printable(peer.error) + "\n";
  std::string out = who + (peer.converged ? "  in step" : "  not in step yet") + ", " +
                    std::to_string(peer.round_trips) + " round trips, " +
                    std::to_string(peer.bytes_sent) + " bytes sent, " +
                    std::to_string(peer.bytes_received) + " received\n";
  std::vector<std::vector<std::string>> rows{
      {"  segment", "sent", "received", "removed", "refused", "held"}};
  for (const auto& [segment, traffic] : peer.segments) {
    if (traffic.sent + traffic.received + traffic.removed + traffic.refused + traffic.held == 0) {
      continue;
    }
    rows.push_back({"  " + printable(segment), std::to_string(traffic.sent),
                    std::to_string(traffic.received), std::to_string(traffic.removed),
                    std::to_string(traffic.refused), std::to_string(traffic.held)});
  }
  return out + (rows.size() > 1 ? table(rows) : "");
}

std::string strong_text(const StrongReport& strong) {
  std::string text = strong.done ? "a majority of the voters has the same state" : "failed: " + strong.error;
  if (strong.done) {
    for (const auto& [name, vote] : strong.votes) text += ", " + printable(name) + " " + vote;
  }
  return text + (strong.sealed ? "; the change of voters has ended\n" : "\n");
}

std::string report_text(const SyncReport& report) {
  std::string out;
  for (const auto& peer : report.peers) out += peer_text(peer);
  if (report.strong) out += strong_text(*report.strong);
  return out;
}

int sync_once(Memory& memory, const command::Sync& sync, const Shell& shell) {
  const SyncReport report = memory.sync_shared_segments(sync.options);
  answer(shell, shape(report), report_text(report));
  shell.out.flush();
  const bool is_alone = report.peers.empty();
  if (is_alone && !report.strong) say("loam: no endpoint is known; name one: loam sync ws://HOST:PORT");
  if (report.strong && !report.strong->done) return exit_code(ErrorCode::unavailable);
  return is_alone && report.strong ? 0 : sync_exit_code(report);
}

// What it ended with last is how it ends.
int sync_every(const command::Sync& sync, const Shell& shell) {
  StopSignals signals;
  Memory memory = open_memory(shell, LogLevel::warning);
  int code = 0;
  do {
    code = sync_once(memory, sync, shell);
  } while (signals.wait(sync.every) != StopSignals::Event::stop);
  memory.stop();
  return code;
}

}  // namespace

int sync_exit_code(const SyncReport& report) {
  const auto& peers = report.peers;
  const auto is_ok = [](const PeerReport& peer) { return peer.ok; };
  const auto is = [](ErrorCode code) {
    return [code](const PeerReport& peer) { return peer.code == code; };
  };
  if (peers.empty()) return exit_code(ErrorCode::unavailable);
  if (std::all_of(peers.begin(), peers.end(), is_ok)) return 0;
  if (std::any_of(peers.begin(), peers.end(), is_ok)) return exit_code(ErrorCode::failed);
  for (const ErrorCode code :
       {ErrorCode::denied, ErrorCode::untrusted, ErrorCode::invalid, ErrorCode::failed}) {
    if (std::all_of(peers.begin(), peers.end(), is(code))) return exit_code(code);
  }
  return exit_code(ErrorCode::unavailable);
}

int run(const command::Serve& serve, const Shell& shell) {
  StopSignals signals;
  Memory memory = open_memory(shell, LogLevel::info);
  std::string address = memory.serve(serve.options);
  if (!address.starts_with("wss://")) address = "ws://" + address;
  answer(shell, boost::json::object{{"listening", address}}, "listening on " + address + "\n");
  shell.out.flush();
  while (signals.wait() != StopSignals::Event::stop) {
  }
  memory.stop();
  return 0;
}

int run(const command::Sync& sync, const Shell& shell) {
  if (sync.watch) return keep_syncing(sync, shell);
  if (sync.every) return sync_every(sync, shell);
  Memory memory = open_memory(shell);
  return sync_once(memory, sync, shell);
}

}  // namespace loam::cli
