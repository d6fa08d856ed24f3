// A federation with a registry: who may do what, and how that changes in a run.
#include <algorithm>

#include "tests/sim/random_stream.hpp"
#include "tests/sim/world.hpp"

namespace loam::sim {
namespace {

using std::chrono_literals::operator""s;

const std::string registry(registry_name);
const std::vector<std::string> ordinary{"lessons_learned", "org_patterns", "common_failures", "extra_notes",
                                        "extra_goals"};
const std::vector<std::string> of_rules{"approval_rules", "governance_meta"};
constexpr int passes_max = 12;

// Mostly all rights; sometimes each segment its own.
std::map<std::string, Permissions> some_permissions(Gen& gen) {
  std::map<std::string, Permissions> permissions;
  const bool has_all = gen.one_in(3);
  for (const std::string& segment : ordinary) {
    const std::uint64_t draw = has_all ? 9 : gen.below(10);
    const char* letters = draw == 0 ? "" : draw < 4 ? "r" : draw == 4 ? "w" : "rw";
    const Permissions each = *Permissions::parse(letters);
    if (!each.empty()) permissions[segment] = each;
  }
  static const std::vector<std::string> letters_of_rules{"r", "rt", "rw", "rwtl", "rwtl"};
  for (const std::string& segment : of_rules) {
    permissions[segment] = *Permissions::parse(has_all ? "rwtl" : gen.pick(letters_of_rules));
  }
  return permissions;
}

}  // namespace

// A member with every right.
InstanceEntry World::entry_of(const Replica& replica) const {
  InstanceEntry entry;
  entry.name = replica.name();
  entry.key = replica.key.public_key();
  for (const std::string& segment : ordinary) entry.permissions[segment] = *Permissions::parse("rw");
  for (const std::string& segment : of_rules) entry.permissions[segment] = *Permissions::parse("rwtl");
  return entry;
}

// The first replica founds it and lets the others in, who hear of it before anything else happens.
void World::found_federation() {
  Gen gen(mixed(scenario_.seed, 8));
  Process& founder = *replicas_[0]->processes.front();
  for (const auto& replica : replicas_) {
    InstanceEntry entry = entry_of(*replica);
    entry.role = replica->index == 0 || gen.one_in(4) ? InstanceRole::governor : InstanceRole::member;
    if (replica->index > 0) entry.permissions = some_permissions(gen);
    if (may_vote(*replica)) entry.permissions = entry_of(*replica).permissions;
    if (changes_voters(*replica)) entry.role = InstanceRole::governor;
    assign(founder, replica->instance, entry);
  }
  while (!founder.queue.empty() && !trace_.has_failed()) commit(founder, 100, Fate::normal, gen);
  if (is_strong()) found_voters(founder, gen);
  const auto edges = edges_;
  lies_ = false;
  for (std::size_t i = 1; i < replicas_.size(); ++i) {
    edges_.emplace_back(0, i);
    trace_.expect(connect(edges_.size() - 1, gen, true) != nullptr, "a member cannot come in");
    (void)advance(now_ + 9s, gen);
    const auto& known = replicas_[i]->shared.segments.at(registry).live;
    trace_.expect(known == replicas_[0]->shared.segments.at(registry).live, "a member did not hear of the registry");
  }
  lies_ = true;
  edges_ = edges;
  std::erase_if(links_, [](const auto& link) { return link->is_over(); });
  for (const auto& replica : replicas_) {
    const bool may_be = scenario_.setup.skew && !replica->is_hostile;
    replica->is_ahead = may_be && Gen(mixed(scenario_.seed, 300 + replica->index)).one_in(3);
  }
}

void World::assign(Process& process, const InstanceId& subject, const InstanceEntry& entry) {
  const SegmentNumber number = process.shared.number(registry);
  const bool revokes = entry.status == InstanceStatus::revoked;
  Job job;
  job.shared = [=](SharedBatch& batch) {
    InstanceEntry said = entry;
    if (revokes) said.fence = batch.fence_of(subject);
    batch.put(number, subject.text(), encode(said));
  };
  Effect effect = [this, subject, entry, revokes](Judgement& now) -> std::optional<ErrorCode> {
    if (const auto denied = denial(now, registry)) return denied;
    InstanceEntry said = entry;
    for (const auto& [name, segment] : now.shared.segments) {
      for (const auto& [actor, counters] : segment.covered) {
        const auto author = now.shared.authors.find(actor);
        if (!revokes || author == now.shared.authors.end() || author->second != subject) continue;
        for (const auto& [first, last] : counters.spans()) said.fence[name].insert(actor, RangeSet(Range{first, last}));
      }
    }
    write_record(now, registry, dots_with_key(now.shared.segments.at(registry), subject.text()),
                 encode(MapRecord{{}, subject.text(), encode(said)}));
    return std::nullopt;
  };
  enqueue(process, std::move(job), std::move(effect),
          "registry: " + entry.name + " is " + std::string(name_of(entry.status)));
}

bool World::is_governor(const Replica& replica) {
  if (!has_trust()) return false;
  const auto rights = rights_of(replica.shared);
  return rights->oracle->governs(replica.instance, rights->oracle->all(), rights->oracle->all());
}

// Somebody, mostly a governor, changes what another may do. The founder stays what he is.
void World::change_rights(Step step, Gen& gen) {
  std::vector<Replica*> governors;
  std::vector<Replica*> subjects;
  for (const auto& replica : replicas_) {
    if (is_governor(*replica)) governors.push_back(replica.get());
    const bool is_kept = changes_voters(*replica) || (may_vote(*replica) && step != Step::grant);
    if (replica->instance != replicas_[0]->instance && !is_kept) subjects.push_back(replica.get());
  }
  if (governors.empty() || subjects.empty()) return;
  Replica& author = gen.one_in(6) ? *gen.pick(replicas_) : *gen.pick(governors);
  const Replica& subject = *gen.pick(subjects);
  if (author.instance == subject.instance || (author.processes.empty() && gen.coin())) return;
  InstanceEntry entry = entry_of(subject);
  entry.permissions = some_permissions(gen);
  if (gen.one_in(3)) entry.role = InstanceRole::governor;
  if (step == Step::suspend) entry.status = InstanceStatus::suspended;
  if (step == Step::revoke) {
    trace_.met("an instance was revoked");
    entry.status = InstanceStatus::revoked;
  }
  Process& process = process_of(author, gen);
  const bool is_twin = process.actor && twins_.contains(*process.actor);
  if (!is_twin) assign(process, subject.instance, entry);
}

// The founder gives everybody every right again, and everybody hears of it, but who was revoked: those are left
// out from here on. What one pass tells him of other governors' assignments the next one supersedes.
void World::reconcile_rights(Gen& gen) {
  std::set<std::pair<std::size_t, std::size_t>> known(edges_.begin(), edges_.end());
  for (std::size_t i = 1; i < replicas_.size(); ++i) {
    const bool is_new = !known.contains({0, i}) && !known.contains({i, 0});
    if (is_new && !replicas_[i]->is_hostile) edges_.emplace_back(0, i);
  }
  const auto is_settled = [&](const Replica& replica) {
    const auto rights = rights_of(replicas_[0]->shared);
    if (rights->oracle->status(replica.instance) == InstanceStatus::revoked) return true;
    const auto full = entry_of(replica).permissions;
    return rights_of(replica.shared) == rights && std::all_of(full.begin(), full.end(), [&](const auto& each) {
      return rights->oracle->may(replica.instance, each.first, each.second.bits);
    });
  };
  for (int pass = 0; pass < passes_max && !trace_.has_failed(); ++pass) {
    Process& founder = *replicas_[0]->processes.front();
    bool is_done = true;
    for (const auto& replica : replicas_) {
      if (replica->is_hostile || is_settled(*replica)) continue;
      is_done = false;
      InstanceEntry entry = entry_of(*replica);
      if (replica->instance == replicas_[0]->instance) entry.role = InstanceRole::governor;
      assign(founder, replica->instance, entry);
    }
    if (is_done) break;
    while (!founder.queue.empty() && !trace_.has_failed()) commit(founder, 100, Fate::normal, gen);
    for (std::size_t edge = 0; edge < edges_.size(); ++edge) {
      if (edges_[edge].first != 0 && edges_[edge].second != 0) continue;
      (void)connect(edge, gen, true);
      (void)advance(now_ + 9s, gen);
    }
  }
  for (const auto& replica : replicas_) {
    const auto status = rights_of(replicas_[0]->shared)->oracle->status(replica->instance);
    replica->is_out = status == InstanceStatus::revoked;
    if (replica->is_out) trace_.met("a revoked instance was left out");
    trace_.expect(replica->is_hostile || is_settled(*replica), "the registry does not settle");
  }
  std::erase_if(edges_, [&](const auto& edge) {
    return replicas_[edge.first]->is_out || replicas_[edge.second]->is_out;
  });
  std::erase_if(links_, [](const auto&) { return true; });
}

}  // namespace loam::sim
