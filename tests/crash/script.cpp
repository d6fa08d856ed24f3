#include "tests/crash/script.hpp"

namespace loam::test {
namespace {

constexpr std::size_t many = 150;

std::string some_name(Gen& gen) {
  return gen.one_in(3) ? "lesson " + std::to_string(gen.index(many)) : random_name(gen);
}

template <class IdType>
IdType random_id(Gen& gen) {
  IdType id;
  for (std::byte& octet : id.bytes) octet = static_cast<std::byte>(gen.below(256));
  return id;
}

}  // namespace

Script::Script() {
  // The second one is a clone: another store of our own instance.
  for (const unsigned instance : {2U, 1U}) {
    peers_.emplace_back(instance).become(id_of<ActorId>(10 + ++actors_made_));
  }
}

Step Script::next(Gen& gen, const Site& ours) {
  now_ms_ += static_cast<std::int64_t>(gen.below(3'000)) - 500;
  peers_go_on(gen, ours);
  Step step;
  step.now_ms = now_ms_;
  if (gen.one_in(12)) {
    step.kind = Step::Kind::fold;
  } else if (gen.one_in(25)) {
    step.kind = Step::Kind::drop_journals;
  } else if (gen.one_in(15)) {
    step.kind = Step::Kind::reopen;
  } else {
    const bool adds_many = gen.one_in(6);  // so many that the element index keeps them pending
    const std::size_t first = gen.index(many);
    for (std::size_t i = 0; adds_many && i < pending_entries_min + gen.index(30); ++i) {
      step.shared.push_back({.name = "lesson " + std::to_string((first + i) % many)});
    }
    for (std::size_t left = 1 + gen.index(6); left > 0; --left) step.shared.push_back(action(gen));
    if (gen.one_in(3)) {
      for (std::size_t left = 1 + gen.index(4); left > 0; --left) {
        step.priv.push_back(private_action(gen));
      }
    }
    if (gen.one_in(8)) step.shared.clear();
  }
  return step;
}

Action Script::action(Gen& gen) {
  using Kind = Action::Kind;
  switch (gen.below(12)) {
    case 0:
    case 1:
    case 2: return {.kind = Kind::add, .name = some_name(gen), .note = random_note(gen)};
    case 3:
    case 4: return {.kind = Kind::remove, .name = some_name(gen)};
    case 5: return {.kind = Kind::revise, .name = some_name(gen), .next = some_name(gen)};
    case 6:
    case 7: return {.kind = Kind::put, .name = some_name(gen), .value = random_value(gen)};
    case 8:
      return {.kind = Kind::packet,
              .name = "receipt " + gen.ascii(20),
              .packet = random_id<PacketId>(gen)};
    case 9:
      return {.kind = Kind::peer,
              .name = "peer-" + std::to_string(gen.index(9)),
              .origin = peer(gen.index(5)),
              .position = Position{0, gen.number()}};
    default: return join(gen);
  }
}

Action Script::join(Gen& gen) {
  const std::size_t from = gen.index(peers_.size());
  Action action{.kind = Action::Kind::join, .segment = gen.coin() ? set_segment : map_segment};
  action.delta = peers_[from].random_slice(gen, action.segment);
  action.authors = peers_[from].authors_of(action.delta);
  action.origin = peer(from);
  action.position = Position{7, ++entry_};
  return action;
}

PrivateAction Script::private_action(Gen& gen) {
  using Kind = PrivateAction::Kind;
  switch (gen.below(6)) {
    case 0:
    case 1: {
      private_ids_.push_back(random_id<PacketId>(gen));
      const Hlc stamp = Hlc::at_ms(now_ms_);
      return {.kind = Kind::add,
              .id = private_ids_.back(),
              .record =
                  encode(SetRecord{stamp, content_of(some_name(gen)), meta_of(random_note(gen))})};
    }
    case 2:
      return {.kind = Kind::remove,
              .id = private_ids_.empty() ? PacketId{} : gen.pick(private_ids_)};
    case 3:
      return {
          .kind = Kind::packet, .id = random_id<PacketId>(gen), .key = "receipt " + gen.ascii(20)};
    default: return {.kind = Kind::put, .key = some_name(gen), .value = random_value(gen)};
  }
}

// The other sites write, hear of each other and of this one, and begin new sessions.
void Script::peers_go_on(Gen& gen, const Site& ours) {
  for (Site& site : peers_) {
    if (gen.one_in(15) && actors_made_ < 200) site.become(id_of<ActorId>(10 + ++actors_made_));
    if (gen.coin()) site.random_write(gen, now_ms_ + static_cast<std::int64_t>(gen.below(99'000)));
    const Site& from = gen.coin() ? ours : peers_.front();
    if (&from == &site || gen.coin()) continue;
    const std::string segment = gen.coin() ? set_segment : map_segment;
    const Delta delta = from.random_slice(gen, segment);
    site.join(segment, delta, from.authors_of(delta), now_ms_);
  }
}

}  // namespace loam::test
