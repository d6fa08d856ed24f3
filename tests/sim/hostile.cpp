#include <algorithm>
#include <utility>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "tests/sim/world.hpp"

namespace loam::sim {
namespace {

constexpr std::size_t said_max = 64;

// Something else of the same type, somewhere inside of a frame.
void distort(Value& value, Gen& gen, unsigned depth) {
  if (auto* array = std::get_if<Array>(&value.data)) {
    if (array->empty()) return;
    if (depth > 0 && gen.one_in(8)) {
      switch (gen.below(3)) {
        case 0: array->pop_back(); return;
        case 1: array->push_back(gen.pick(*array)); return;
        default: std::swap((*array)[gen.index(array->size())], (*array)[gen.index(array->size())]);
      }
      return;
    }
    const std::size_t first = depth == 0 && array->size() > 1 ? 1 : 0;  // mostly not the type
    return distort((*array)[first + gen.index(array->size() - first)], gen, depth + 1);
  }
  if (auto* number = std::get_if<std::int64_t>(&value.data)) {
    static const std::vector<std::int64_t> some{0, 1, 2, 3, 100, 65'536, std::int64_t{1} << 62};
    *number = gen.coin() ? *number + static_cast<std::int64_t>(gen.below(3)) - 1 : gen.pick(some);
  } else if (auto* octets = std::get_if<Bytes>(&value.data)) {
    if (octets->empty() || gen.one_in(6)) {
      *octets = gen.bytes(40);
    } else {
      (*octets)[gen.index(octets->size())] ^= static_cast<std::byte>(1U << gen.below(8));
    }
  } else if (auto* flag = std::get_if<bool>(&value.data)) {
    *flag = !*flag;
  } else if (auto* text = std::get_if<std::string>(&value.data)) {
    *text = gen.text(80);
  }
}

}  // namespace

// What a hostile side sends instead: the same, something like it, something that it said before,
// twice the same, any octets, or nothing.
Bytes World::corrupted(Link& link, int side, const Bytes& frame) {
  End& from = link.ends[static_cast<std::size_t>(side)];
  End& to = link.ends[static_cast<std::size_t>(1 - side)];
  if (from.said.size() < said_max) from.said.push_back(frame);
  Gen& gen = setup_gen_;
  if (!lies_) return frame;
  const Frame said = decode_frame(frame);
  const bool is_opening = std::holds_alternative<Hello>(said) || std::holds_alternative<Proof>(said);
  if (is_opening && !gen.one_in(20)) return frame;
  switch (gen.below(14)) {
    case 0: return {};
    case 1: return gen.pick(from.said);
    case 2: to.inbox.push_back(frame); return frame;
    case 3: return gen.bytes(200);
    case 4: return to.inbox.empty() ? frame : std::exchange(to.inbox.back(), frame);
    case 5:
    case 6:
    case 7: break;
    default: return frame;
  }
  trace_.met("a hostile peer distorted a frame");
  Value value = decode(frame);
  for (std::uint64_t left = gen.between(1, 3); left > 0; --left) distort(value, gen, 0);
  try {
    Bytes lie = encode(value);
    const Frame read = decode_frame(lie);
    if (const auto* delta = std::get_if<DeltaFrame>(&read)) {
      if (!may_be_claimed(delta->delta, delta->authors)) return frame;
    }
    return lie;
  } catch (const Error&) {
    return encode(value);
  }
}

// Two lies are left out where nothing is signed, for there nothing in the product can stand them: an actor
// that is claimed for another instance than its own, and counters that an honest actor has yet to
// use.
bool World::may_be_claimed(const Delta& delta, const Authors& authors) const {
  if (switches_.false_claims || has_trust()) return true;
  const InstanceId& liar = replicas_.back()->instance;
  for (const auto& [actor, claim] : authors) {
    const auto honest = honest_authors_.find(actor);
    if (claim.author != (honest == honest_authors_.end() ? liar : honest->second)) return false;
  }
  for (const auto& [actor, ranges] : delta.context) {
    if (!honest_authors_.contains(actor)) continue;
    std::uint64_t last = 0;
    for (const auto& [name, truth] : truth_) {
      const auto end = truth.written.upper_bound({actor, counter_max});
      if (end != truth.written.begin() && std::prev(end)->first.actor == actor) {
        last = std::max(last, std::prev(end)->first.counter);
      }
    }
    if (ranges.highest() > last) return false;
  }
  return true;
}

// A frame out of the blue: a record under a dot that has another, or a death that never happened.
void World::inject(Gen& gen) {
  if (gen.coin()) {
    for (std::size_t edge = 0; edge < edges_.size(); ++edge) {
      if (replicas_[edges_[edge].second]->is_hostile) (void)connect(edge, gen, false);
    }
    lies_ = false;
    settle(gen);
    lies_ = true;
  }
  std::vector<std::pair<Link*, int>> ways;
  for (const auto& link : links_) {
    for (int side = 0; side < 2; ++side) {
      const End& end = link->ends[static_cast<std::size_t>(side)];
      if (replicas_[end.replica]->is_hostile && end.is_up() && !end.segments.empty()) {
        ways.emplace_back(link.get(), side);
      }
    }
  }
  if (ways.empty()) return;
  const auto [link, side] = gen.pick(ways);
  End& from = link->ends[static_cast<std::size_t>(side)];
  End& to = link->ends[static_cast<std::size_t>(1 - side)];
  auto at = from.segments.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(gen.index(from.segments.size())));
  const auto& [index, name] = *at;
  if (has_trust() && gen.coin()) return forge(*link, side, index, name, gen);
  const auto& written = truth_[name].written;
  if (written.empty() || !to.is_up() || link->is_broken) return;
  auto victim = written.begin();
  std::advance(victim, static_cast<std::ptrdiff_t>(gen.index(written.size())));
  DeltaFrame lie;
  lie.index = index;
  if (gen.one_in(4)) lie.upto = gen.below(50);
  lie.delta.context.insert(victim->first);
  const auto claim = claims_.find(victim->first.actor);
  lie.authors.emplace(victim->first.actor, claim != claims_.end() ? claim->second
                                                                  : ActorClaim(honest_authors_.at(victim->first.actor)));
  const InstanceId& liar = replicas_[from.replica]->instance;
  if ((switches_.false_claims || has_trust()) && gen.one_in(3)) lie.authors.begin()->second = ActorClaim(liar);
  const bool is_set = replicas_[from.replica]->shared.segments.at(name).kind == Kind::set;
  switch (gen.below(3)) {
    case 0:
      trace_.met("a hostile peer equivocated");
      lie.delta.live[victim->first] =
          is_set
              ? encode(SetRecord{Hlc{gen.bits() >> 1}, encode(Map{{"lie", true}}), encode(Map{})})
              : encode(MapRecord{Hlc{gen.bits() >> 1}, "a", encode(Value(gen.coin()))});
      break;
    case 1:
      trace_.met("a hostile peer sent a record again");
      lie.delta.live[victim->first] = victim->second;
      break;
    default: trace_.met("a hostile peer claimed a death");
  }
  const Bytes frame = encode_frame(lie);
  trace_.octets(frame);
  to.inbox.push_back(frame);
}

}  // namespace loam::sim
