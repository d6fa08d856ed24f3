#include "crdt/voters.hpp"

#include <algorithm>

#include "crdt/hash.hpp"

namespace loam {
namespace {

VoterViewId id_of(const Voter& first, const std::vector<VoterStep>& steps) {
  std::vector<Dot> dots;
  for (const VoterStep& step : steps) dots.push_back(step.dot);
  std::sort(dots.begin(), dots.end());
  Bytes octets;
  for (const Dot& dot : dots) {
    octets.insert(octets.end(), dot.actor.bytes.begin(), dot.actor.bytes.end());
    for (int shift = 56; shift >= 0; shift -= 8) octets.push_back(static_cast<std::byte>(dot.counter >> shift));
  }
  return {hash128("loam voters 1", {first.instance.view(), first.store.view(), octets})};
}

// Of the changes among these those that no other one of them has seen.
std::vector<std::size_t> heads_of(const std::vector<VoterStep>& steps, const std::vector<std::size_t>& places) {
  std::vector<std::size_t> heads;
  for (const std::size_t place : places) {
    const bool is_seen = std::any_of(places.begin(), places.end(), [&](std::size_t other) {
      const auto& seen = steps[other].seen;
      return !steps[other].change.sealed && std::find(seen.begin(), seen.end(), place) != seen.end();
    });
    if (!steps[place].change.sealed && !is_seen) heads.push_back(place);
  }
  return heads;
}

// Two that end two changes at once could each choose another one: only what was one change for its author is ended.
bool is_sound_seal(const std::vector<VoterStep>& steps, const VoterStep& seal) {
  const auto heads = heads_of(steps, seal.seen);
  return heads.size() == 1 && steps[heads.front()].change.voters == seal.change.voters;
}

}  // namespace

bool VoterView::is_voter(const Voter& voter) const noexcept {
  return std::any_of(open.begin(), open.end(),
                     [&](const VoterSet& set) { return std::binary_search(set.begin(), set.end(), voter); });
}

bool VoterView::is_quorum(const std::set<Voter>& votes) const {
  return !open.empty() && std::all_of(open.begin(), open.end(), [&](const VoterSet& set) {
    const auto count = std::count_if(set.begin(), set.end(), [&](const Voter& voter) { return votes.contains(voter); });
    return 2 * static_cast<std::size_t>(count) > set.size();
  });
}

VoterView view_of(const Voter& first, const std::vector<VoterStep>& steps) {
  VoterView view;
  view.id = id_of(first, steps);
  std::vector<bool> counts(steps.size());
  std::vector<bool> is_closed(steps.size());
  std::vector<std::size_t> all;
  bool is_first_closed = false;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    all.push_back(i);
    view.epoch += steps[i].change.sealed ? 0 : 1;
    counts[i] = !steps[i].change.sealed || is_sound_seal(steps, steps[i]);
    if (!steps[i].change.sealed || !counts[i]) continue;
    is_first_closed = true;
    for (const std::size_t place : steps[i].seen) is_closed[place] = true;
  }
  const auto open = [&](const VoterSet& voters) {
    if (std::find(view.open.begin(), view.open.end(), voters) == view.open.end()) view.open.push_back(voters);
  };
  if (!is_first_closed) open({first});
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (counts[i] && !is_closed[i]) open(steps[i].change.voters);
  }
  view.newest = {first};
  const Dot* newest = nullptr;
  const auto heads = heads_of(steps, all);
  view.is_disputed = heads.size() > 1;
  for (const std::size_t head : heads) {
    if (newest != nullptr && steps[head].dot < *newest) continue;
    newest = &steps[head].dot;
    view.newest = steps[head].change.voters;
  }
  return view;
}

}  // namespace loam
