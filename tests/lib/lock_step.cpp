#include "tests/lib/lock_step.hpp"

#include "tests/lib/store_walk.hpp"

namespace loam::test {
namespace {

struct Aborted {};

InstanceId own_instance() { return Site(1).instance; }

SigningKey own_key() {
  std::array<unsigned char, SigningKey::seed_octets> seed{};
  seed.fill(1);
  return SigningKey(seed);
}

// The delta with one of its records replaced by another: a dot with two contents.
Delta equivocated(Gen& gen, Delta delta, const std::string& segment) {
  if (delta.live.empty()) return delta;
  auto at = delta.live.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(gen.index(delta.live.size())));
  const Hlc stamp = Hlc::at_ms(static_cast<std::int64_t>(gen.below(1'000)));
  at->second = segment == set_segment
                   ? encode(SetRecord{stamp, content_of(random_name(gen)), meta_of("other")})
                   : encode(MapRecord{stamp, random_name(gen), random_value(gen)});
  return delta;
}

}  // namespace

LockStep::LockStep(std::uint64_t journal_entries_max) {
  config_.journal_entries_max = journal_entries_max;
  const StoreIdentity fresh{"alpha", id_of<FederationId>(9)};
  store_ =
      std::make_unique<SharedStore>(scratch_ / "shared", segments_, config_, own_instance(), fresh, own_key());
  for (const char* segment : {set_segment, map_segment}) {
    journals_[segment];
    positions_[segment];
  }
  // The second one is a clone: another store of our own instance.
  for (const unsigned instance : {2U, 1U}) {
    peers_.emplace_back(instance).become(id_of<ActorId>(10 + ++actors_made_));
  }
}

void LockStep::reopen() {
  store_.reset();
  store_ = std::make_unique<SharedStore>(scratch_ / "shared", segments_, config_, own_instance(),
                                         std::nullopt, own_key());
}

std::string LockStep::step(Gen& gen) {
  now_ms_ += static_cast<std::int64_t>(gen.below(3'000)) - 500;
  peers_go_on(gen);
  if (gen.one_in(10)) reopen();
  if (gen.one_in(8)) fold();
  model_.become(store_->own_actor(now_ms_));
  const Site before = model_;
  const auto positions_before = positions_;
  changes_.clear();
  const std::size_t operations = 1 + gen.index(5);
  const bool aborts = gen.one_in(6);
  const std::size_t aborts_after = gen.index(operations + 1);
  try {
    store_->env().write([&](lmdb::WriteTxn& txn) {
      SharedBatch batch(*store_, txn, now_ms_);
      for (std::size_t i = 0; i < operations; ++i) {
        if (aborts && i == aborts_after) throw Aborted{};
        operation(gen, batch);
      }
      batch.finish();
      if (aborts) throw Aborted{};
    });
    enter_journals();
  } catch (const Aborted&) {
    model_ = before;
    positions_ = positions_before;
  }
  return failure_.empty() ? compare() : failure_;
}

// What the writer does when it is idle: no change that anyone could see.
void LockStep::fold() {
  store_->env().write([&](lmdb::WriteTxn& txn) {
    SharedBatch batch(*store_, txn, now_ms_);
    batch.fold();
    batch.finish();
  });
  expect(compare() == "", "fold: changed something");
}

void LockStep::operation(Gen& gen, SharedBatch& batch) {
  if (gen.one_in(12)) {
    add_many(gen, batch);
  } else if (gen.coin()) {
    write(gen, batch);
  } else {
    receive(gen, batch);
  }
}

void LockStep::add(const std::string& text, const std::string& note, SharedBatch& batch) {
  const bool is_there = !model_.dots_of(text).empty();
  const auto result = batch.add(store_->number(set_segment), content_of(text), meta_of(note));
  expect(result.existing == is_there, "add: wrong about what was there");
  changed(set_segment, {}, model_.add(text, note, now_ms_));
}

// So many that the element index keeps them pending.
void LockStep::add_many(Gen& gen, SharedBatch& batch) {
  const std::size_t first = gen.index(many_names);
  for (std::size_t i = 0; i < pending_entries_min + 2; ++i) {
    add(many_name((first + i) % many_names), "", batch);
  }
}

void LockStep::write(Gen& gen, SharedBatch& batch) {
  const SegmentNumber set = store_->number(set_segment);
  const SegmentNumber map = store_->number(map_segment);
  const std::string name = random_name(gen);
  const bool is_there = !model_.dots_of(name).empty();
  switch (gen.below(5)) {
    case 0: return add(name, random_note(gen), batch);
    case 1: {
      const ElementId element = element_of(set_segment, content_of(name));
      const auto error = error_of([&] { batch.remove(set, element); });
      expect(is_there == !error, "remove: wrong about what was there");
      expect(!error || error->code() == ErrorCode::not_found, "remove: another error");
      if (error) throw Aborted{};  // as a job does
      return changed(set_segment, {}, model_.remove(name));
    }
    case 2: {
      const std::string next = random_name(gen);
      const bool is_next_there = !model_.dots_of(next).empty();
      if (!is_there) return;
      const ElementId element = element_of(set_segment, content_of(name));
      const auto result = batch.revise(set, element, content_of(next), meta_of(""));
      expect(result.existing == is_next_there, "revise: wrong about what was there");
      return changed(set_segment, {}, model_.revise(name, next, now_ms_));
    }
    default: {
      const std::optional<Bytes> value = random_value(gen);
      const bool had_value = model_.has_value(name);
      if (!value && !had_value) {
        expect(code_of([&] { batch.put(map, name, value); }) == ErrorCode::not_found,
               "erase: of a key without a value");
        throw Aborted{};
      }
      expect(batch.put(map, name, value) == had_value, "put: wrong about what was there");
      changed(map_segment, {}, model_.put(name, value, now_ms_));
    }
  }
}

void LockStep::receive(Gen& gen, SharedBatch& batch) {
  const std::string segment = gen.coin() ? set_segment : map_segment;
  const std::size_t from = gen.index(peers_.size());
  Delta delta = peers_[from].random_slice(gen, segment);
  const Authors authors = peers_[from].authors_of(delta);
  if (gen.one_in(20)) delta = equivocated(gen, std::move(delta), segment);
  const StoreId origin = peer(static_cast<unsigned>(from));
  for (int times = gen.one_in(5) ? 2 : 1; times > 0; --times) {
    const Applied stored = batch.join(store_->number(segment), delta, authors, {}, origin);
    // A clone of this session was seen: both go on under another actor.
    if (batch.saw_clone()) model_.become(store_->own_actor(now_ms_));
    const Applied applied = model_.join(segment, delta, authors, now_ms_);
    expect(stored == applied, "join: changed something else");
    changed(segment, origin, applied);
  }
  if (from != 0 || gen.coin()) return;
  positions_[segment] = {7, gen.number()};
  batch.set_position(store_->number(segment), origin, positions_[segment]);
}

void LockStep::changed(const std::string& segment, const StoreId& origin, const Applied& applied) {
  if (!applied.changed.empty()) changes_[{segment, origin}].insert(applied.changed);
}

void LockStep::enter_journals() {
  for (const auto& [where, context] : changes_) {
    journals_[where.first].entries.push_back({where.second, context});
  }
  for (auto& [segment, journal] : journals_) {
    const std::uint64_t keep = config_.journal_entries_max;
    journal.floor = std::max(journal.floor, journal.head() - std::min(journal.head(), keep));
  }
}

// The other sites write, hear of each other and of this one, and begin new sessions.
void LockStep::peers_go_on(Gen& gen) {
  for (Site& site : peers_) {
    if (gen.one_in(15)) site.become(id_of<ActorId>(10 + ++actors_made_));
    if (gen.coin()) site.random_write(gen, now_ms_ + static_cast<std::int64_t>(gen.below(99'000)));
    const Site& from = gen.coin() ? model_ : peers_.front();
    if (&from == &site || gen.coin()) continue;
    const std::string segment = gen.coin() ? set_segment : map_segment;
    const Delta delta = from.random_slice(gen, segment);
    site.join(segment, delta, from.authors_of(delta), now_ms_);
  }
}

void LockStep::expect(bool holds, const char* what) {
  if (!holds && failure_.empty()) failure_ = what;
}

std::string LockStep::compare() const {
  if (const std::string found = walk(*store_); !found.empty()) return found;
  const StoreSource source(*store_);
  for (const auto& [name, memory] : model_.stores) {
    const SegmentState state = source.state(name);
    if (state.roots != memory.roots()) return name + ": other roots than in memory";
    const JournalModel& journal = journals_.at(name);
    if (state.head != journal.head()) return name + ": the journal has another head";
    if (state.floor != journal.floor) return name + ": the journal has another floor";
    if (source.position(name, peer(0)) != positions_.at(name)) return name + ": another position";
    MemoryStore copy(name, memory.kind());
    Delta everything;
    for (const ActorState& actor : source.actors(name, std::nullopt, 1'000)) {
      everything.context.insert(actor.actor, actor.covered);
      Slice slice = source.slice(name, actor.actor, actor.covered, 1U << 30U, 1U << 30U);
      everything.live.merge(slice.delta.live);
    }
    apply(copy, everything);
    if (!(copy == memory)) return name + ": another state than in memory";
    if (kept_aside(name) != memory.aside()) return name + ": other contents kept aside";
  }
  return {};
}

std::map<Dot, std::set<Bytes>> LockStep::kept_aside(const std::string& segment) const {
  return store_->read([&](const SharedReader& reader) {
    std::map<Dot, std::set<Bytes>> found;
    for (const HeldItem& item : reader.held(HeldReason::equivocation)) {
      if (item.row.segment != store_->number(segment)) continue;
      const auto& [actor, counters] = item.row.dots.at(0);
      found[{reader.actor(actor).id, counters.highest()}].insert(item.row.record);
    }
    return found;
  });
}

}  // namespace loam::test
