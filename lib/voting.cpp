#include "lib/voting.hpp"

#include <algorithm>

#include "lib/peers.hpp"
#include "planted.hpp"

namespace loam {
namespace {

std::optional<SegmentNumber> number_of(const SharedStore& store, const std::string& segment) {
  const auto& numbers = store.numbers();
  const auto at = std::find_if(numbers.begin(), numbers.end(),
                               [&](SegmentNumber number) { return store.name(number) == segment; });
  return at == numbers.end() ? std::nullopt : std::optional(*at);
}

bool covers(const SharedStore& store, const SharedReader& reader, const VoteFrame& question) {
  if (question.segment.empty() || planted(Bug::vote_without_dots)) return true;
  const auto number = number_of(store, question.segment);
  if (!number) return false;
  return std::all_of(question.dots.begin(), question.dots.end(), [&](const auto& each) {
    const auto index = reader.actor_index(each.first);
    const auto row = index ? reader.context(*number, *index) : std::nullopt;
    if (!row || !row->covered.contains(each.second)) return false;
    return !question.dead || std::none_of(each.second.begin(), each.second.end(), [&](const Range& range) {
      return !reader.live_in(*number, *index, range).empty();
    });
  });
}

}  // namespace

Voter voter_of(const SharedStore& store) { return {store.instance(), store.id()}; }

VoteMoment StoreVoting::look(const VoteFrame& question) const {
  return store_.read([&](const SharedReader& reader) {
    VoteMoment moment;
    const auto registry = store_.registry(reader);
    if (!registry) return moment;
    moment.view = registry->voters().id;
    moment.has_vote = has_vote(registry->voters(), voter_of(store_));
    std::vector<SaidDigest> states;
    for (const SaidDigest& said : question.states) {
      const auto number = number_of(store_, said.segment);
      if (number) states.push_back({said.segment, digest_of(reader.segment(*number).state.roots)});
    }
    moment.states = all_of(states);
    moment.covers = covers(store_, reader, question);
    return moment;
  });
}

std::optional<StrongState> strong_state(const SharedStore& store, const std::vector<std::string>& segments) {
  return store.read([&](const SharedReader& reader) -> std::optional<StrongState> {
    const auto registry = store.registry(reader);
    if (!registry) return std::nullopt;
    StrongState state{registry->voters(), {}};
    for (const std::string& segment : segments) {
      state.states.push_back({segment, digest_of(reader.segment(store.number(segment)).state.roots)});
    }
    return state;
  });
}

Context written_by(const SharedStore& store, const std::string& segment, const ActorId& actor) {
  return store.read([&](const SharedReader& reader) {
    Context written;
    const auto index = reader.actor_index(actor);
    const auto row = index ? reader.context(store.number(segment), *index) : std::nullopt;
    if (row) written.insert(actor, row->covered);
    return written;
  });
}

std::string name_of(const Registry& registry, const Voter& voter) {
  const auto entry = registry.find(voter.instance);
  return entry ? entry->name : voter.instance.text();
}

VoterStatus voter_status(const SharedStore& store) {
  return store.read([&](const SharedReader& reader) {
    VoterStatus status;
    const auto registry = store.registry(reader);
    if (!registry) return status;
    const VoterView& view = registry->voters();
    status.epoch = view.epoch;
    status.sealed = view.is_sealed();
    status.disputed = view.is_disputed;
    std::map<InstanceId, Voter> stores{{store.instance(), voter_of(store)}};
    std::map<InstanceId, std::int64_t> seen;
    for (const KnownPeer& peer : known_peers(reader)) {
      const bool is_later = !seen.contains(peer.row.instance) || seen[peer.row.instance] < peer.row.last_seen_ms;
      if (!is_later || peer.row.instance == store.instance()) continue;
      seen[peer.row.instance] = peer.row.last_seen_ms;
      stores[peer.row.instance] = {peer.row.instance, peer.store};
    }
    for (const Voter& voter : view.newest) {
      status.voters.push_back(name_of(*registry, voter));
      const auto known = stores.find(voter.instance);
      const auto entry = registry->find(voter.instance);
      const bool is_active = entry && entry->status == InstanceStatus::active;
      const bool has_other = known != stores.end() && known->second != voter;
      if (!is_active || has_other) status.lost.push_back(status.voters.back());
    }
    std::sort(status.voters.begin(), status.voters.end());
    std::sort(status.lost.begin(), status.lost.end());
    return status;
  });
}

}  // namespace loam
