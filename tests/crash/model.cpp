#include <algorithm>

#include "crdt/error.hpp"
#include "tests/crash/script.hpp"

namespace loam::test {
namespace {

PeerRow peer_row(const Action& action) {
  PeerRow row;
  row.name = action.name;
  row.instance = id_of<InstanceId>(2);
  row.last_seen_ms = static_cast<std::int64_t>(action.position->sequence >> 1);
  if (action.position->sequence % 2 == 1) row.refused[1] = action.position->sequence % 1'000;
  return row;
}

// Runs one job on a transaction of the store.
void run(const Action& action, SharedStore& store, SharedBatch& batch) {
  const SegmentNumber set = store.number(set_segment);
  const ElementId element = element_of(set_segment, content_of(action.name));
  switch (action.kind) {
    case Action::Kind::add: batch.add(set, content_of(action.name), meta_of(action.note)); return;
    case Action::Kind::remove: return batch.remove(set, element);
    case Action::Kind::revise:
      batch.revise(set, element, content_of(action.next), meta_of(""));
      return;
    case Action::Kind::put: batch.put(store.number(map_segment), action.name, action.value); return;
    case Action::Kind::join: {
      const SegmentNumber segment = store.number(action.segment);
      batch.join(segment, action.delta, action.authors, {}, action.origin);
      if (action.position) batch.set_position(segment, action.origin, *action.position);
      return;
    }
    case Action::Kind::packet: return batch.remember_packet(action.packet, action.name);
    case Action::Kind::peer: return batch.set_peer(action.origin, peer_row(action));
  }
}

void run(const PrivateAction& action, const PrivateStore& store, PrivateBatch& batch,
         std::int64_t now_ms) {
  const SegmentNumber set = store.number(private_set_segment);
  switch (action.kind) {
    case PrivateAction::Kind::add: batch.add(set, {action.id, action.record}); return;
    case PrivateAction::Kind::remove: return batch.remove(set, action.id);
    case PrivateAction::Kind::put:
      batch.put(store.number(private_map_segment), action.key, action.value, now_ms);
      return;
    case PrivateAction::Kind::packet: return batch.remember_packet(action.id, action.key);
  }
}

/// Runs jobs in one transaction; those that ask for what is not there are left out.
template <class Store, class Jobs, class Run>
void commit_group(Store& store, const Jobs& jobs, lmdb::Space space, Run&& run_all) {
  Jobs left = jobs;
  while (!left.empty()) {
    std::size_t current = left.size();
    try {
      store.env().write([&](lmdb::WriteTxn& txn) { run_all(txn, left, current); }, space);
      return;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found || current == left.size()) throw;
      left.erase(left.begin() + static_cast<std::ptrdiff_t>(current));
    }
  }
}

}  // namespace

void commit(SharedStore& store, const std::vector<Action>& actions, std::int64_t now_ms,
            lmdb::Space space) {
  const auto run_all = [&](lmdb::WriteTxn& txn, const auto& jobs, std::size_t& current) {
    SharedBatch batch(store, txn, now_ms);
    for (current = 0; current < jobs.size(); ++current) run(jobs[current], store, batch);
    batch.finish();
  };
  commit_group(store, actions, space, run_all);
}

void commit(PrivateStore& store, const std::vector<PrivateAction>& actions, std::int64_t now_ms) {
  const auto run_all = [&](lmdb::WriteTxn& txn, const auto& jobs, std::size_t& current) {
    PrivateBatch batch(store, txn);
    for (current = 0; current < jobs.size(); ++current) run(jobs[current], store, batch, now_ms);
  };
  commit_group(store, actions, lmdb::Space::normal, run_all);
}

SharedModel::SharedModel(std::uint64_t journal_entries_max)
    : journal_entries_max_(journal_entries_max) {}

void SharedModel::founded(const SharedState& found) {
  rest_.id = found.id;
  drop_journals(found);
}

void SharedModel::drop_journals(const SharedState& found) {
  for (const auto& [name, contents] : found.segments) {
    SegmentContents& ours = rest_.segments[name];
    ours.journal = contents.journal;
    ours.floor = ours.head;
    ours.entries.clear();
  }
}

void SharedModel::commit(const std::vector<Action>& actions, std::int64_t now_ms) {
  Changes changes;
  for (const Action& action : actions) run(action, now_ms, changes);
  enter(changes);
  rest_.clock = site_.clock.last();
}

void SharedModel::run(const Action& action, std::int64_t now_ms, Changes& changes) {
  const bool is_there = !site_.dots_of(action.name).empty();
  switch (action.kind) {
    case Action::Kind::add:
      return wrote(site_.add(action.name, action.note, now_ms), set_segment, changes);
    case Action::Kind::remove:
      if (!is_there) return;
      changes[{set_segment, {}}].insert(site_.remove(action.name).changed);
      return;
    case Action::Kind::revise:
      if (!is_there) return;
      return wrote(site_.revise(action.name, action.next, now_ms), set_segment, changes);
    case Action::Kind::put:
      if (!action.value && !site_.has_value(action.name)) return;
      return wrote(site_.put(action.name, action.value, now_ms), map_segment, changes);
    case Action::Kind::join: {
      const Applied applied = site_.join(action.segment, action.delta, action.authors, now_ms);
      for (const auto& [actor, claim] : action.authors) rest_.authors.emplace(actor, claim.author);
      if (!applied.changed.empty()) {
        changes[{action.segment, action.origin}].insert(applied.changed);
      }
      if (action.position) rest_.positions[{action.origin, action.segment}] = *action.position;
      return;
    }
    case Action::Kind::packet: rest_.packets[action.packet] = action.name; return;
    case Action::Kind::peer: return note(action.origin, peer_row(action));
  }
}

// What is refused adds up.
void SharedModel::note(const StoreId& peer, PeerRow row) {
  Bytes& noted = rest_.peers[peer];
  if (!noted.empty()) {
    for (const auto& [segment, count] : decode_peer_row(noted).refused) row.refused[segment] += count;
  }
  noted = encode(row);
}

void SharedModel::wrote(const Applied& applied, const std::string& segment, Changes& changes) {
  rest_.authors[site_.actor] = site_.instance;
  changes[{segment, {}}].insert(applied.changed);
}

// A commit is one entry for each origin; the journal is kept to its limit.
void SharedModel::enter(const Changes& changes) {
  for (const auto& [where, context] : changes) {
    SegmentContents& segment = rest_.segments.at(where.first);
    segment.entries[++segment.head] = {where.second, context};
    while (segment.head - segment.floor > journal_entries_max_) {
      segment.entries.erase(++segment.floor);
    }
  }
}

SharedState SharedModel::state() const {
  SharedState state = rest_;
  for (const auto& [name, store] : site_.stores) {
    state.segments.at(name).context = store.context();
    state.segments.at(name).live = store.live();
  }
  return state;
}

void PrivateModel::commit(const std::vector<PrivateAction>& actions, std::int64_t now_ms) {
  for (const PrivateAction& action : actions) {
    const std::pair record{std::string(private_set_segment), action.id};
    const std::pair entry{std::string(private_map_segment), action.key};
    switch (action.kind) {
      case PrivateAction::Kind::add: state_.records.emplace(record, action.record); break;
      case PrivateAction::Kind::remove: state_.records.erase(record); break;
      case PrivateAction::Kind::packet: state_.packets[action.id] = action.key; break;
      case PrivateAction::Kind::put: {
        const auto at = state_.entries.find(entry);
        const Hlc after = at == state_.entries.end() ? Hlc{} : decode_map_record(at->second).stamp;
        if (!action.value) {
          state_.entries.erase(entry);
        } else {
          const Hlc stamp = Clock().next(now_ms, after);
          state_.entries[entry] = encode(MapRecord{stamp, action.key, action.value});
        }
      }
    }
  }
}

}  // namespace loam::test
