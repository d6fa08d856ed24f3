#include "lib/removals.hpp"

#include <memory>
#include <utility>

#include "crdt/error.hpp"
#include "lib/peers.hpp"
#include "lib/write_plan.hpp"

namespace loam {
namespace {

std::string name_of(const std::vector<KnownPeer>& peers, const StoreId& store) {
  for (const KnownPeer& peer : peers) {
    if (peer.store == store) return peer.row.name;
  }
  return store.text();
}

std::vector<HeldItem> waiting_of(const SharedReader& reader, std::string_view peer) {
  const std::vector<KnownPeer> peers = known_peers(reader);
  std::vector<HeldItem> found;
  for (HeldItem& item : reader.held(HeldReason::removal)) {
    const bool is_it = name_of(peers, item.row.peer) == peer || item.row.peer.text() == peer;
    if (is_it) found.push_back(std::move(item));
  }
  return found;
}

}  // namespace

Job hold_job(const SharedStore& store, const StoreId& peer, Hold removal) {
  Job job;
  job.space = lmdb::Space::removal;
  job.shared = [segment = store.number(removal.segment), peer,
                dots = std::move(removal.dots)](SharedBatch& batch) {
    batch.hold_removal(segment, peer, dots);
  };
  return job;
}

std::vector<HeldRemoval> held_removals(const Core& core) {
  return core.shared.read([&](const SharedReader& reader) {
    const std::vector<KnownPeer> peers = known_peers(reader);
    std::vector<HeldRemoval> found;
    for (const HeldItem& item : reader.held(HeldReason::removal)) {
      HeldRemoval removal{name_of(peers, item.row.peer), reader.segment(item.row.segment).name, 0,
                          item.row.at_ms};
      for (const auto& [actor, counters] : item.row.dots) removal.records += counters.count();
      found.push_back(std::move(removal));
    }
    return found;
  });
}

Job confirm_job(const std::string& peer, std::shared_ptr<std::uint64_t> removed) {
  Job job;
  job.space = lmdb::Space::removal;
  job.shared = [removed = std::move(removed), peer](SharedBatch& batch) {
    const std::vector<HeldItem> waiting = waiting_of(batch.reader(), peer);
    if (waiting.empty()) {
      throw Error(ErrorCode::not_found, "removals of " + peer + ": none waits to be confirmed");
    }
    *removed = 0;
    for (const HeldItem& item : waiting) *removed += batch.confirm_removal(item);
  };
  return job;
}

std::uint64_t confirm_removals(Core& core, std::string_view peer) {
  const auto removed = std::make_shared<std::uint64_t>(0);
  run_job(core, confirm_job(std::string(peer), removed));
  return *removed;
}

}  // namespace loam
