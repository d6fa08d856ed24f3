// What ought to be let in, sent and shown, by what was written and by the definition of the registry.
#include <algorithm>

#include "crdt/admission.hpp"
#include "lib/governed.hpp"
#include "tests/sim/world.hpp"

namespace loam::sim {
namespace {

const std::string registry_segment(registry_name);
constexpr std::size_t views_max = 24;

}  // namespace

const Signed* World::signed_with(const std::string& segment, const Dot& dot, BytesView record) const {
  const auto at = signed_.find({segment, dot, content_hash(record)});
  return at == signed_.end() ? nullptr : &at->second;
}

std::shared_ptr<const RightsView> World::rights_of(const StoreModel& store) {
  return rights_of(store.segments.at(registry_segment).live);
}

std::shared_ptr<const RightsView> World::rights_of(const std::map<Dot, Bytes>& live) {
  for (auto at = views_.begin(); at != views_.end(); ++at) {
    if ((*at)->live != live) continue;
    std::rotate(views_.begin(), at, at + 1);
    return views_.front();
  }
  auto view = std::make_shared<RightsView>();
  view->live = live;
  for (const auto& [dot, record] : live) {
    const Signed* said = signed_with(registry_segment, dot, record);
    if (!trace_.expect(said != nullptr, "the registry holds what nobody signed")) continue;
    auto made = assignment_of(dot, said->author, record, said->frontier, said->superseded);
    if (made) view->log.push_back(std::move(*made));
  }
  const InstanceId founder = loam::instance_of(replicas_[0]->root->founder);
  view->oracle = std::make_unique<::test::RegistryOracle>(founder, view->log);
  views_.push_front(view);
  if (views_.size() > views_max) views_.pop_back();
  return view;
}

bool World::may_write(const ::test::RegistryOracle& oracle, const InstanceId& author, const std::string& segment,
                      const std::vector<Dot>& frontier, bool with_all_fences) const {
  const auto seen = oracle.closed(frontier);
  const auto& world = with_all_fences ? oracle.all() : seen;
  if (segment == registry_segment) return oracle.governs(author, seen, world);
  const auto may = [&](std::uint8_t letter) { return oracle.may(author, segment, letter, seen, world); };
  const bool is_rule = segment == rules_segment || segment == meta_segment;
  return may(Permissions::write) || (is_rule && (may(Permissions::tighten) || may(Permissions::loosen)));
}

// Why a local write ought to be denied.
std::optional<ErrorCode> World::denial(const Judgement& now, const std::string& segment) {
  if (!has_trust()) return std::nullopt;
  const auto rights = rights_of(now.shared);
  const InstanceId& author = now.process.replica.instance;
  if (may_write(*rights->oracle, author, segment, rights->oracle->frontier(), true)) return std::nullopt;
  trace_.met("a write was denied");
  return ErrorCode::denied;
}

// What of an honest peer's change ought to be let in: all records whose authors had the right by what they had seen,
// once that is here; and removals of whoever may write.
Apply World::as_admitted(const Judgement& now, const Apply& change, std::size_t from, std::uint64_t& left_out) {
  const std::string& name = change.segment;
  const auto rights = rights_of(now.shared);
  auto known = rights;
  if (name == registry_segment) {
    auto together = rights->live;
    for (const auto& [dot, record] : change.delta.live) together.emplace(dot, record);
    known = rights_of(together);
  }
  const bool is_governed = now.process.replica.table->find(name).governed;
  const bool may_remove = !is_governed && rights->oracle->may(replicas_[from]->instance, name, Permissions::write);
  Apply admitted = change;
  admitted.delta = {};
  admitted.authors.clear();
  for (const auto& [actor, counters] : dots_of(change.delta.context)) {
    const auto claimed = change.authors.find(actor);
    const auto author = now.shared.authors.find(actor);
    const bool is_known = claimed != change.authors.end() || author != now.shared.authors.end();
    if (!is_known) {
      ++left_out;
      continue;
    }
    for (const auto& [first, last] : counters.spans()) {
      for (std::uint64_t counter = first; counter <= last; ++counter) {
        const Dot dot{actor, counter};
        const auto live = change.delta.live.find(dot);
        const Signed* said = live == change.delta.live.end() ? nullptr : signed_with(name, dot, live->second);
        bool may = live == change.delta.live.end() && may_remove;
        if (said != nullptr) {
          may = known->oracle->knows(said->frontier);
          if (!may) trace_.met("a record waits for the registry");
          const bool had_right = may && may_write(*known->oracle, said->author, name, said->frontier, false);
          trace_.expect(had_right || !may || is_tainted(), "an honest write had no right");
          may = had_right;
        } else if (!may && live == change.delta.live.end()) {
          trace_.met("a removal was not believed");
        }
        if (!may) {
          ++left_out;
          continue;
        }
        admitted.delta.context.insert(dot);
        if (live != change.delta.live.end()) admitted.delta.live.insert(*live);
        admitted.authors.emplace(actor, claimed != change.authors.end() ? claimed->second : ActorClaim(author->second));
      }
    }
  }
  return admitted;
}

// What a hostile peer says may be let in where it is signed: what the product makes of it is taken, and each part of it
// must be somebody's who had the right.
Apply World::as_hostile_is_admitted(const Judgement& now, const Apply& change, std::size_t from,
                                    std::uint64_t& left_out) {
  const std::string& name = change.segment;
  const auto rights = rights_of(now.shared);
  const bool is_governed = now.process.replica.table->find(name).governed;
  const bool may_remove = rights->oracle->may(replicas_[from]->instance, name, Permissions::write);
  Authors authors = change.authors;
  for (const auto& [actor, counters] : change.delta.context) {
    const auto claim = claims_.find(actor);
    if (now.shared.authors.contains(actor) && claim != claims_.end()) authors.emplace(actor, claim->second);
  }
  const Registry product(*replicas_[0]->root, rights->log);
  const AdmissionPlace place{federation_of(*replicas_[0]->root), name, is_governed};
  const CheckedDelta checked = check(&product, place, change.delta, change.authors, change.batches);
  AdmittedDelta let_in = admit(product, place, change.delta, authors, change.batches, checked, may_remove);
  if (let_in.is_whole) let_in.delta = change.delta;
  left_out = let_in.refused + let_in.parked;
  Apply admitted = change;
  admitted.delta = let_in.delta;
  admitted.authors = let_in.authors;
  auto known = rights;
  for (const auto& [dot, record] : let_in.delta.live) {
    const Signed* said = signed_with(name, dot, record);
    if (!trace_.expect(said != nullptr, name + ": a forged record was let in")) return admitted;
  }
  if (name == registry_segment) {
    auto together = rights->live;
    for (const auto& [dot, record] : let_in.delta.live) together.emplace(dot, record);
    known = rights_of(together);
  }
  for (const auto& [dot, record] : let_in.delta.live) {
    const Signed* said = signed_with(name, dot, record);
    const bool may = known->oracle->knows(said->frontier) &&
                     may_write(*known->oracle, said->author, name, said->frontier, false);
    trace_.expect(may, name + ": a record was let in that its author had no right to write");
    trace_.expect(let_in.authors.at(dot.actor).author == said->author, name + ": a record got another author");
    trace_.met("a hostile peer's record was let in");
  }
  if (left_out > 0) trace_.met("of a hostile peer something was refused");
  const bool removes = let_in.delta.context.count() > let_in.delta.live.size();
  trace_.expect(!removes || (may_remove && !is_governed), name + ": a removal of somebody who may not write");
  return admitted;
}

// Whatever is said of a segment is said to somebody who may read it, by the registry as the sender has it.
void World::check_egress(const Link& link, int side, const std::string& segment) {
  const Replica& from = *replicas_[link.ends[static_cast<std::size_t>(side)].replica];
  const Replica& to = *replicas_[link.ends[static_cast<std::size_t>(1 - side)].replica];
  if (!has_trust() || from.is_hostile) return;
  const auto rights = rights_of(from.shared);
  const auto status = rights->oracle->status(to.instance);
  const bool is_in = status == InstanceStatus::active || (!status && to.instance == replicas_[0]->instance);
  const bool may_read = segment == registry_segment || rights->oracle->may(to.instance, segment, Permissions::read);
  trace_.expect(is_in, segment + ": told to an instance that is not in");
  trace_.expect(may_read, segment + ": told to an instance that may not read it");
}

// Only who is not in is refused.
void World::check_refusal(const Link& link, int side) {
  trace_.met("an instance was refused");
  const Replica& by = *replicas_[link.ends[static_cast<std::size_t>(side)].replica];
  const Replica& other = *replicas_[link.ends[static_cast<std::size_t>(1 - side)].replica];
  const auto status = rights_of(by.shared)->oracle->status(other.instance);
  trace_.expect(status != InstanceStatus::active, "a member was refused");
}

bool World::is_void(const RightsView& rights, const std::string& segment, const Dot& dot, BytesView record) const {
  const Signed& said = *signed_with(segment, dot, record);
  const auto& oracle = *rights.oracle;
  if (segment == registry_segment) return !oracle.all().contains(dot) || !oracle.in_force(dot, oracle.all());
  return oracle.is_fenced(said.author, segment, dot, oracle.all()) ||
         !may_write(oracle, said.author, segment, said.frontier, true);
}

// Whether a governed key has a value: the newest of what counts and is superseded by nothing that counts says so.
bool World::has_standing_value(const StoreModel& store, const std::string& name, const std::string& key) {
  const auto rights = rights_of(store);
  const SegmentModel& segment = store.segments.at(name);
  SegmentModel counting{segment.kind, {}, {}};
  Context superseded;
  for (const Dot& dot : dots_with_key(segment, key)) {
    const Bytes& record = segment.live.at(dot);
    if (is_void(*rights, name, dot, record)) continue;
    counting.live.emplace(dot, record);
    superseded.insert(signed_with(name, dot, record)->superseded);
  }
  std::erase_if(counting.live, [&](const auto& each) { return superseded.contains(each.first); });
  const auto winner = winner_of(counting, key);
  return winner && decode_map_record(counting.live.at(*winner)).value;
}

// What is shown is what lives and is not void; of a governed key, what no other that counts supersedes.
void World::check_visible(Process& process) {
  const auto rights = rights_of(process.replica.shared);
  for (const auto& each : process.replica.shared.segments) {
    const std::string& name = each.first;
    const SegmentModel& segment = each.second;
    const SegmentNumber number = process.shared.number(name);
    const bool is_governed = process.replica.table->find(name).governed;
    std::map<Bytes, std::set<Dot>> wanted;  // by content or key
    std::map<Bytes, Context> superseded;      // by others of the same key
    for (const auto& [dot, record] : segment.live) {
      const bool is_set = segment.kind == Kind::set;
      const Bytes what = is_set ? decode_set_record(record).content : copy_of(bytes_of(decode_map_record(record).key));
      auto& dots = wanted[what];
      if (is_void(*rights, name, dot, record)) {
        trace_.met("a void record is not shown");
        continue;
      }
      dots.insert(dot);
      if (is_governed) superseded[what].insert(signed_with(name, dot, record)->superseded);
    }
    process.shared.read([&](const SharedReader& reader) {
      for (auto& of : wanted) {
        const Bytes& what = of.first;
        std::set<Dot>& dots = of.second;
        std::erase_if(dots, [&](const Dot& dot) { return superseded[what].contains(dot); });
        auto found = segment.kind == Kind::set ? reader.dots_of(number, element_of(name, what))
                                               : reader.dots_of(number, loam::text_of(what));
        if (is_governed) {
          found = standing_dots(reader, *process.shared.registry(reader), process.shared.place(number), number, found);
        }
        std::set<Dot> shown;
        for (const StoredDot& dot : found) shown.insert(dot.dot);
        trace_.expect(shown == dots, name + ": other records are shown than count");
      }
    });
  }
}

}  // namespace loam::sim
