#include "lib/registry_rows.hpp"

#include "crdt/error.hpp"

namespace loam {
namespace {

// Absent: it is not signed.
std::optional<KnownAssignments::Known> stored_assignment(const SharedReader& reader, SegmentNumber segment,
                                                         const RecordRow& record, KnownAssignments& known) {
  const auto placed = reader.txn().get(table::dot, dot_key(segment, record.actor, record.counter));
  if (!placed) return std::nullopt;
  const DotRow row = decode_dot_row(*placed);
  if (!row.batch.is_signed()) return std::nullopt;
  const auto octets = reader.txn().get(
      table::dot, batch_key(segment, record.actor, record.counter - row.batch.place, row.batch.variant));
  if (!octets) return std::nullopt;
  const BatchRow batch = decode_batch_row(*octets);
  if (auto before = known.by_dot.extract({record.actor, record.counter});
      !before.empty() && before.mapped().content == row.content && before.mapped().signature == batch.signature) {
    return std::move(before.mapped());
  }
  const ActorRow by = reader.actor(record.actor);
  std::vector<Dot> frontier;
  Context superseded;
  for (const auto& [actor, counter] : batch.frontier) frontier.push_back({reader.actor(actor).id, counter});
  for (const auto& [actor, counters] : batch.superseded) superseded.insert(reader.actor(actor).id, counters);
  return KnownAssignments::Known{row.content, batch.signature,
                                 assignment_of({by.id, record.counter}, by.author, record.record, std::move(frontier),
                                               std::move(superseded))};
}

}  // namespace

std::shared_ptr<const Registry> read_registry(const SharedReader& reader, SegmentNumber segment,
                                              const FederationRoot& root, KnownAssignments& known) {
  std::vector<RegistryAssignment> assignments;
  KnownAssignments now;
  const TableKey prefix = segment_key(segment);
  lmdb::Cursor cursor = reader.txn().cursor(table::reg);
  for (bool on = cursor.seek(prefix); on && starts_with(cursor.key(), prefix); on = cursor.next()) {
    if (cursor.value().size() != 8) throw Error(ErrorCode::damaged, "table reg: a row does not decode");
    const auto record = reader.sound_record(load_u64(cursor.value().data()));
    if (!record) continue;  // under quarantine soon, and fetched again
    auto made = stored_assignment(reader, segment, *record, known);
    if (!made) continue;
    if (made->assignment) assignments.push_back(*made->assignment);
    now.by_dot.emplace(std::pair(record->actor, record->counter), std::move(*made));
  }
  known = std::move(now);
  return std::make_shared<const Registry>(root, std::move(assignments));
}

std::shared_ptr<const Registry> RegistryCache::of(const SharedReader& reader, const Fingerprint& live) const {
  const std::lock_guard lock(mutex_);
  if (!known_ || live != live_) {
    known_ = read_registry(reader, segment_, root_, assignments_);
    live_ = live;
  }
  return known_;
}

std::shared_ptr<const Registry> RegistryCache::of(const SharedReader& reader) const {
  return of(reader, reader.segment(segment_).state.roots.live);
}

std::shared_ptr<const Registry> RegistryCache::fences(const SharedReader& reader) const {
  const std::pair transaction{reader.txn().number(), reader.txn().reopenings()};
  {
    const std::lock_guard lock(fences_mutex_);
    if (fences_of_ == transaction) return fences_;
  }
  std::shared_ptr<const Registry> registry = of(reader);
  if (!registry->has_fences()) registry.reset();
  const std::lock_guard lock(fences_mutex_);
  fences_of_ = transaction;
  fences_ = registry;
  return registry;
}

}  // namespace loam
