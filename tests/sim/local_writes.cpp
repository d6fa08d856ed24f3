#include <algorithm>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "tests/sim/world.hpp"

namespace loam::sim {
namespace {

const std::vector<std::string> names{"a", "b", "c", "d", "e", "f", "g", "h"};

// Types that name a shared segment, and where they ought to go.
const std::vector<std::pair<std::string, std::string>> shared_types{
    {"lesson", "lessons_learned"}, {"pattern", "org_patterns"}, {"failure", "common_failures"}};

Map payload_of(const std::string& type, const std::string& name) {
  if (type == "failure") return {{"error_signature", name}};
  return {{type == "pattern" ? "name" : "title", name}};
}

Bytes content_of(const std::string& type, const std::string& name) {
  return encode(Map{{"payload", payload_of(type, name)}, {"type", type}});
}

/// A set segment of a replica, and the type of what is written there.
struct SetTarget {
  std::string segment;
  std::string type;
};

SetTarget set_target(const Replica& replica, Gen& gen) {
  if (replica.has("extra_notes") && gen.one_in(3)) return {"extra_notes", "note"};
  const std::size_t which = gen.one_in(4) ? 1 + gen.index(2) : 0;
  return {shared_types[which].second, shared_types[which].first};
}

std::string map_target(const Replica& replica, Gen& gen) {
  return replica.has("extra_goals") && gen.coin() ? "extra_goals" : "governance_meta";
}

// Where a key may be assigned: rules too, where they are governed.
std::string put_target(const Replica& replica, Gen& gen) {
  return replica.root && gen.one_in(4) ? "approval_rules" : map_target(replica, gen);
}

PacketId packet_id(Gen& gen) {
  PacketId id;
  for (std::byte& octet : id.bytes) octet = static_cast<std::byte>(gen.below(256));
  return id;
}

// The next dot of a process in a segment. The store must have it: of the process's own actor, or of
// a new one that no process has written under. Of new ones there may be two, where a hostile member writes with
// this instance's key: then it is the one whose first record `fits`.
template <class Fits>
std::optional<Dot> next_dot(Judgement& judgement, const std::string& segment,
                            const std::map<ActorId, std::uint64_t>& known, Fits&& fits) {
  const Dots& stored = judgement.stored.model.segments.at(segment).covered;
  const Dots& model = judgement.shared.segments.at(segment).covered;
  if (judgement.actor) {
    const auto at = model.find(*judgement.actor);
    const std::uint64_t last = at == model.end() ? 0 : at->second.highest();
    const Dot dot{*judgement.actor, last + 1};
    if (contains(stored, dot)) {
      judgement.shared.authors.emplace(dot.actor, judgement.process.replica.instance);
      return dot;
    }
    if (!judgement.may_have_renewed) {
      judgement.problem = segment + ": a process gave its actor up for no reason";
    }
  }
  for (const auto& [actor, counters] : stored) {
    const auto author = judgement.stored.model.authors.find(actor);
    const bool is_own = author != judgement.stored.model.authors.end() &&
                        author->second == judgement.process.replica.instance;
    if (!is_own || known.contains(actor) || model.contains(actor) || !fits(Dot{actor, 1})) continue;
    judgement.actor = actor;
    judgement.shared.authors.emplace(actor, author->second);
    return contains(stored, Dot{actor, 1}) ? std::optional(Dot{actor, 1}) : std::nullopt;
  }
  return std::nullopt;
}

/// What a local write ought to lead to in a shared segment.
struct Change {
  std::string segment;
  std::vector<Dot> superseded;
  Bytes placeholder;  ///< a record that says the same, should the written one be gone already
};

bool says_the_same(Kind kind, BytesView left, BytesView right) {
  if (kind == Kind::set) return decode_set_record(left).content == decode_set_record(right).content;
  const MapRecord one = decode_map_record(left);
  const MapRecord other = decode_map_record(right);
  return one.key == other.key && (one.value == other.value || assigned_value(one) == assigned_value(other));
}

void supersede(Judgement& judgement, const std::string& segment, const std::vector<Dot>& dots) {
  Dots& changed = judgement.changes[{segment, StoreId{}}];
  for (const Dot& dot : dots) {
    judgement.shared.segments.at(segment).live.erase(dot);
    judgement.removed.emplace_back(segment, dot);
    insert(changed, dot);
  }
}

// The record that a write stored under a dot. A join of the same commit may have brought another
// content for it, of a copy of this process: then one of the two is kept aside.
Bytes written_record(const Judgement& judgement, const Change& change, const Dot& dot,
                     const Known& known) {
  const StoreModel& stored = judgement.stored.model;
  const SegmentModel& segment = stored.segments.at(change.segment);
  std::vector<Bytes> found;
  if (const auto live = segment.live.find(dot); live != segment.live.end()) {
    found.push_back(live->second);
  }
  for (const auto& [name, of, record] : stored.kept_aside) {
    if (name == change.segment && of == dot) found.push_back(record);
  }
  if (found.empty()) return change.placeholder;
  const auto truth = known.truth.find(change.segment);
  for (const bool may_be_known : {false, true}) {
    for (const Bytes& record : found) {
      const bool is_known = truth != known.truth.end() && truth->second.has(dot, record);
      if (is_known && !may_be_known) continue;
      if (says_the_same(segment.kind, record, change.placeholder)) return record;
    }
  }
  return found.front();
}

void write_dot(Judgement& judgement, const Change& change, const Known& known) {
  SegmentModel& segment = judgement.shared.segments.at(change.segment);
  const auto fits = [&](const Dot& first) {
    const Bytes record = written_record(judgement, change, first, known);
    return says_the_same(segment.kind, record, change.placeholder);
  };
  auto dot = next_dot(judgement, change.segment, known.actors, fits);
  if (!dot) {
    judgement.problem = change.segment + ": a write has no dot of its own";
    return;
  }
  Bytes record = written_record(judgement, change, *dot, known);
  const bool is_of_copy = !says_the_same(segment.kind, record, change.placeholder);
  if (is_of_copy && judgement.may_have_renewed && judgement.actor == dot->actor) {
    // The copy's record has come under that dot, after the actor was given up.
    judgement.actor.reset();
    if (const auto own = next_dot(judgement, change.segment, known.actors, fits)) {
      dot = own;
      record = written_record(judgement, change, *dot, known);
    }
  }
  if (!says_the_same(segment.kind, record, change.placeholder)) {
    judgement.problem = change.segment + ": a write stored another record";
  }
  if (segment.kind == Kind::map && record != change.placeholder) {
    const auto stamp = decode_map_record(record).stamp;
    for (const Dot& old : change.superseded) {
      if (stamp > decode_map_record(segment.live.at(old)).stamp) continue;
      judgement.problem = change.segment + ": a stamp is not greater than what it has seen";
    }
  }
  supersede(judgement, change.segment, change.superseded);
  segment.covered[dot->actor].insert(dot->counter);
  segment.live[*dot] = record;
  insert(judgement.changes[{change.segment, StoreId{}}], *dot);
  judgement.written.push_back({change.segment, {*dot, record}});
}

std::vector<Dot> own_dots(const Judgement& judgement, const std::string& segment,
                          BytesView content) {
  std::vector<Dot> dots = dots_with_content(judgement.shared.segments.at(segment), content);
  std::erase_if(dots, [&](const Dot& dot) {
    return judgement.shared.authors.at(dot.actor) != judgement.process.replica.instance;
  });
  return dots;
}

bool has_value(const SegmentModel& segment, const std::string& key) {
  const auto winner = winner_of(segment, key);
  return winner && decode_map_record(segment.live.at(*winner)).value;
}

}  // namespace

// A local write that is let through. In a governed segment nothing goes: what is superseded stands in what is signed.
void World::write_record(Judgement& now, const std::string& segment, const std::vector<Dot>& superseded,
                         const Bytes& placeholder) {
  if (!has_trust()) return write_dot(now, {segment, superseded, placeholder}, known());
  const auto rights = rights_of(now.shared);
  const bool is_governed = now.process.replica.table->find(segment).governed;
  const std::size_t before = now.written.size();
  Hlc seen;
  for (const Dot& dot : superseded) {
    if (!is_governed) break;
    seen = std::max(seen, decode_map_record(now.shared.segments.at(segment).live.at(dot)).stamp);
  }
  write_dot(now, {segment, is_governed ? std::vector<Dot>{} : superseded, placeholder}, known());
  if (now.written.size() == before) return;
  const auto& [dot, record] = now.written.back().second;
  Signed said{now.process.replica.instance, rights->oracle->frontier(), {}};
  if (is_governed) {
    for (const Dot& each : superseded) said.superseded.insert(each);
    const bool is_later = record == placeholder || seen < decode_map_record(record).stamp;
    if (!is_later) now.problem = segment + ": a stamp is not greater than what it supersedes";
  }
  signed_[{segment, dot, content_hash(record)}] = std::move(said);
}

void World::write(Step step, Gen& gen) {
  Replica& replica = *gen.pick(replicas_);
  if (replica.processes.empty() && gen.coin()) return;
  Process& process = process_of(replica, gen);
  switch (step) {
    case Step::add: return add(process, gen);
    case Step::bulk_add: {
      trace_.met("many writes in one commit");
      for (std::uint64_t left = gen.between(17, 40); left > 0; --left) add(process, gen);
      return commit(process, 100, Fate::normal, gen);
    }
    case Step::remove: return remove(process, gen);
    case Step::revise: return revise(process, gen);
    case Step::put: return put(process, gen);
    case Step::erase: return erase(process, gen);
    case Step::write_private: return write_private(process, gen);
    default: return retry(process, gen);
  }
}

void World::enqueue(Process& process, Job job, Effect effect, const std::string& what) {
  trace_.line("process " + std::to_string(process.number) + ": " + what);
  Todo todo;
  todo.job = std::move(job);
  todo.effect = std::move(effect);
  todo.what = what;
  process.queue.push_back(std::move(todo));
}

void World::add(Process& process, Gen& gen) {
  const SetTarget target = set_target(process.replica, gen);
  const std::string name = gen.one_in(3) ? "n" + std::to_string(gen.below(60)) : gen.pick(names);
  PacketEnvelope packet;
  packet.packet_type = target.type;
  if (target.segment == "extra_notes") packet.segment = target.segment;
  packet.payload = payload_of(target.type, name);
  if (gen.coin()) packet.packet_id = packet_id(gen);
  packet.metadata = {{"number", static_cast<std::int64_t>(++texts_made_)}};
  if (scenario_.setup.large_records && gen.one_in(scenario_.setup.small_maps ? 2 : 4)) {
    packet.metadata["padding"] = std::string(gen.between(1'000, 12'000), 'p');
  }
  hand_over(process, packet);
}

void World::put(Process& process, Gen& gen) {
  PacketEnvelope packet;
  packet.packet_type = "memory_write";
  packet.segment = put_target(process.replica, gen);
  const std::string key = gen.pick(names);
  const Value number = static_cast<std::int64_t>(gen.one_in(4) ? gen.below(2) : ++texts_made_);
  packet.payload = {{"key", key}, {"value", packet.segment == rules_segment ? some_rule(gen) : number}};
  if (gen.coin()) packet.packet_id = packet_id(gen);
  hand_over(process, packet);
}

// Everything private says the canary, in what is kept as in the key that it is kept under.
void World::write_private(Process& process, Gen& gen) {
  PacketEnvelope packet;
  const std::string text = std::string(canary) + " " + std::to_string(++texts_made_);
  const std::string key = std::string(canary) + "-" + gen.pick(names);
  static const std::vector<std::string> types{"event",        "insight", "trace", "observation",
                                              "memory_write", "lessons", "shared"};
  switch (gen.below(4)) {
    case 0:
      packet.packet_type = "memory_session_context";
      packet.payload = {{"key", key}, {"value", text}};
      break;
    case 1:
      packet.packet_type = "memory_drafts";
      packet.payload = {{"text", text}};
      break;
    default:
      packet.packet_type = gen.pick(types);
      packet.payload = {{"text", text}};
      if (gen.coin()) packet.thread_id = key;
  }
  if (gen.coin()) packet.packet_id = packet_id(gen);
  hand_over(process, packet);
}

// A host that heard nothing hands the same packet over again.
void World::retry(Process& process, Gen& gen) {
  const auto& packets = process.replica.packets;
  if (packets.empty()) return;
  auto at = packets.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(gen.index(packets.size())));
  trace_.met("a packet is handed over again");
  hand_over(process, PacketEnvelope(at->second));
}

// The packet path of the product: the executor's rule, the checks, the plan, the jobs. Where it
// ought to go is told here once more.
void World::hand_over(Process& process, const PacketEnvelope& packet) {
  std::string segment = packet.segment;
  for (const auto& [type, named] : shared_types) {
    if (segment.empty() && packet.packet_type == type) segment = named;
  }
  const std::string& type = packet.packet_type;
  if (segment.empty() && type.starts_with("memory_") && type != "memory_write") {
    segment = type.substr(7);
  }
  if (segment.empty()) segment = packet.thread_id.empty() ? "project_history" : "task_traces";
  if (packet.packet_id) process.replica.packets.emplace(*packet.packet_id, packet);
  const PlannedWrite plan = plan_write(process.stores, packet);
  const std::string minted = plan.id.text();
  auto jobs = write_jobs(process.stores, {plan}, [](auto, auto) {});
  if (jobs.size() != 1) {
    trace_.expect(false, "one packet is other than one job");
    return;
  }
  const std::string named_type = !type.starts_with("memory_")   ? type
                                 : segment == "project_history" ? "event"
                                 : segment == "task_traces"     ? "trace"
                                                                : "record";
  const Bytes content = encode(Map{{"payload", packet.payload}, {"type", named_type}});
  Effect effect = [this, packet, segment, content, minted](Judgement& now) {
    const bool is_shared = now.shared.segments.contains(segment);
    auto& remembered = is_shared ? now.shared.packets : now.priv.packets;
    if (packet.packet_id && remembered.contains(*packet.packet_id)) {
      trace_.met("a packet that was stored already");
      return std::optional<ErrorCode>{};
    }
    std::string receipt;
    const Value* key = find(packet.payload, "key");
    const std::string name = key ? *key->get<std::string>() : "";
    const Bytes value = key ? encode(*find(packet.payload, "value")) : Bytes{};
    const bool is_rule = segment == rules_segment || segment == meta_segment;
    const auto denied = is_rule      ? take_rule(now, segment, name, *find(packet.payload, "value"))
                        : is_shared ? denial(now, segment)
                                    : std::nullopt;
    if (denied) return denied;
    if (is_rule) {
      receipt = name;
    } else if (is_shared && !key) {
      write_record(now, segment, own_dots(now, segment, content), encode(SetRecord{{}, content, encode(Map{})}));
      receipt = element_of(segment, content).text();
    } else if (is_shared) {
      write_record(now, segment, dots_with_key(now.shared.segments.at(segment), name),
                   encode(MapRecord{{}, name, value}));
      receipt = name;
    } else {
      receipt = key ? name : packet.packet_id ? packet.packet_id->text() : minted;
      now.priv.segments[segment][receipt] = key ? value : content;
    }
    if (packet.packet_id) remembered[*packet.packet_id] = receipt;
    return std::optional<ErrorCode>{};
  };
  enqueue(process, std::move(jobs.front()), std::move(effect), "write to " + segment);
}

void World::remove(Process& process, Gen& gen) {
  const SetTarget target = set_target(process.replica, gen);
  const Bytes content = content_of(target.type, gen.pick(names));
  const SegmentNumber number = process.shared.number(target.segment);
  Job job;
  job.space = lmdb::Space::removal;
  job.shared = [=](SharedBatch& batch) {
    batch.remove(number, element_of(target.segment, content));
  };
  Effect effect = [this, target, content](Judgement& now) -> std::optional<ErrorCode> {
    const auto dots = dots_with_content(now.shared.segments.at(target.segment), content);
    if (const auto denied = denial(now, target.segment)) return denied;
    if (dots.empty()) return ErrorCode::not_found;
    if (dots.size() > 1) trace_.met("a removal of several dots");
    supersede(now, target.segment, dots);
    return std::nullopt;
  };
  enqueue(process, std::move(job), std::move(effect), "remove from " + target.segment);
}

void World::revise(Process& process, Gen& gen) {
  const SetTarget target = set_target(process.replica, gen);
  const Bytes old = content_of(target.type, gen.pick(names));
  const Bytes content = content_of(target.type, "revised " + gen.pick(names));
  const Bytes meta = encode(Map{{"number", static_cast<std::int64_t>(++texts_made_)}});
  const SegmentNumber number = process.shared.number(target.segment);
  Job job;
  job.shared = [=](SharedBatch& batch) {
    batch.revise(number, element_of(target.segment, old), content, meta);
  };
  Effect effect = [this, target, old, content, meta](Judgement& now) -> std::optional<ErrorCode> {
    const auto dots = dots_with_content(now.shared.segments.at(target.segment), old);
    if (const auto denied = denial(now, target.segment)) return denied;
    if (dots.empty()) return ErrorCode::not_found;
    write_record(now, target.segment, dots, encode(SetRecord{{}, content, meta}));
    return std::nullopt;
  };
  enqueue(process, std::move(job), std::move(effect), "revise in " + target.segment);
}

void World::erase(Process& process, Gen& gen) {
  const std::string segment = put_target(process.replica, gen);
  const std::string key = gen.pick(names);
  if (segment == rules_segment || segment == meta_segment) return put_rule(process, segment, key, std::nullopt);
  const SegmentNumber number = process.shared.number(segment);
  Job job;
  job.shared = [=](SharedBatch& batch) { batch.put(number, key, std::nullopt); };
  Effect effect = [this, segment, key](Judgement& now) -> std::optional<ErrorCode> {
    const SegmentModel& held = now.shared.segments.at(segment);
    if (const auto denied = denial(now, segment)) return denied;
    const bool is_governed = has_trust() && now.process.replica.table->find(segment).governed;
    const bool is_there = is_governed ? has_standing_value(now.shared, segment, key) : has_value(held, key);
    if (!is_there) return ErrorCode::not_found;
    write_record(now, segment, dots_with_key(held, key), encode(MapRecord{{}, key, std::nullopt}));
    return std::nullopt;
  };
  enqueue(process, std::move(job), std::move(effect), "erase from " + segment);
}

}  // namespace loam::sim
