#include "crdt/rules/heads.hpp"

#include <algorithm>
#include <map>

#include "crdt/bits.hpp"
#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "planted.hpp"

namespace loam {
namespace {

/// Works out what each version has seen, each once, however deep the history is.
class SeenVersions {
 public:
  explicit SeenVersions(const std::vector<RuleVersion>& versions) : seen_(versions.size()), links_(versions.size()) {
    std::map<SeenAssignment, std::size_t> places;
    for (std::size_t i = 0; i < versions.size(); ++i) places.emplace(SeenAssignment{versions[i].dot, versions[i].content}, i);
    for (std::size_t i = 0; i < versions.size(); ++i) {
      for (const SeenAssignment& link : versions[i].seen) {
        if (const auto at = places.find(link); at != places.end() && at->second != i) links_[i].push_back(at->second);
      }
    }
    std::vector<std::uint8_t> state(versions.size());
    for (std::size_t i = 0; i < versions.size(); ++i) follow(i, state);
  }

  const Bits& of(std::size_t version) const { return seen_[version]; }

  /// Those that it names, as far as they are there.
  const std::vector<std::size_t>& links(std::size_t version) const { return links_[version]; }

  /// All, each after what it has seen.
  const std::vector<std::size_t>& order() const noexcept { return order_; }

 private:
  // Depth first without recursion: the history of a rule may be long. A hash stands for what was there before it, so
  // there is no circle; one that somebody found all the same is cut where it closes.
  void follow(std::size_t first, std::vector<std::uint8_t>& state) {
    std::vector<std::pair<std::size_t, std::size_t>> path;
    const auto enter = [&](std::size_t version) {
      state[version] = 1;
      seen_[version] = Bits(seen_.size());
      path.emplace_back(version, 0);
    };
    if (state[first] == 0) enter(first);
    while (!path.empty()) {
      auto& [version, next] = path.back();
      if (next == links_[version].size()) {
        state[version] = 2;
        order_.push_back(version);
        path.pop_back();
        continue;
      }
      const std::size_t other = links_[version][next];
      if (state[other] == 0) {
        enter(other);
        continue;
      }
      ++next;
      if (state[other] != 2) continue;
      seen_[version].insert(other);
      seen_[version].insert(seen_[other]);
    }
  }

  std::vector<Bits> seen_;
  std::vector<std::vector<std::size_t>> links_;
  std::vector<std::size_t> order_;
};

// What LWW alone would have in force: a mistake on demand.
std::vector<RuleHead> newest_alone(const std::vector<RuleVersion>& versions) {
  std::vector<RuleHead> heads;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    const auto key = [&](std::size_t at) { return std::pair(versions[at].stamp, versions[at].dot); };
    if (heads.empty()) heads.push_back({i, versions[i].may_loosen});
    if (key(heads.front().version) < key(i)) heads.front() = {i, versions[i].may_loosen};
  }
  return heads;
}

}  // namespace

Bytes encode(const RuleAssignment& assignment) {
  if (assignment.seen.size() > seen_assignments_max) {
    throw Error(ErrorCode::limit, "assignment: names " + std::to_string(assignment.seen.size()) + " others, limit " +
                                      std::to_string(seen_assignments_max));
  }
  Array seen;
  for (const SeenAssignment& each : assignment.seen) {
    seen.emplace_back(Array{copy_of(each.dot.actor.view()), each.dot.counter, copy_of(each.content.view())});
  }
  return encode(Map{{"is", assignment.value.value_or(Value())},
                    {"removed", !assignment.value.has_value()},
                    {"salt", assignment.salt},
                    {"seen", std::move(seen)}});
}

std::optional<RuleAssignment> decode_rule_assignment(BytesView octets) {
  try {
    const Value decoded = decode(octets);
    const Value* removed = decoded.find("removed");
    const Value* seen = decoded.find("seen");
    const Value* value = decoded.find("is");
    const Value* salt = decoded.find("salt");
    if (!removed || !seen || !value || !salt || !removed->get<bool>()) return std::nullopt;
    RuleAssignment assignment;
    assignment.salt = as_number(*salt, "salt");
    if (!*removed->get<bool>()) assignment.value = *value;
    const Array& links = as_array(*seen, "seen");
    if (links.size() > seen_assignments_max) return std::nullopt;
    for (const Value& each : links) {
      const Array& link = as_array(each, "seen");
      if (link.size() != 3) return std::nullopt;
      assignment.seen.push_back({{as_id<ActorId>(link[0], "seen"), as_number(link[1], "seen")},
                                 as_id<ContentHash>(link[2], "seen")});
    }
    return assignment;
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::vector<RuleHead> heads_of(const std::vector<RuleVersion>& versions, const CompareRules& compare) {
  if (planted(Bug::unseen_displaces)) return newest_alone(versions);
  const SeenVersions seen(versions);
  std::vector<std::vector<std::size_t>> displaced_by(versions.size());
  std::vector<std::vector<std::size_t>> in_force(versions.size());  // of each and what it had seen
  std::vector<bool> lifts(versions.size());
  for (const std::size_t version : seen.order()) {
    // What is in force of all that it had seen is in force of what one of those that it names had seen.
    std::vector<std::size_t> before;
    for (const std::size_t link : seen.links(version)) {
      for (const std::size_t other : in_force[link]) {
        const auto& by = displaced_by[other];
        const bool is_displaced = std::any_of(by.begin(), by.end(), [&](std::size_t each) { return seen.of(version)[each]; });
        const bool is_known = std::find(before.begin(), before.end(), other) != before.end();
        if (!is_displaced && !is_known && seen.of(version)[other]) before.push_back(other);
      }
    }
    const bool may_loosen = versions[version].may_loosen || planted(Bug::loosening_displaces);
    std::vector<std::size_t>& after = in_force[version];
    bool is_heir = !before.empty();
    for (const std::size_t other : before) {
      const RuleComparison found = may_loosen ? RuleComparison{true, true} : compare(version, other);
      is_heir = is_heir && lifts[other] && found.restricts && found.lifts_no_more;
      found.restricts ? displaced_by[other].push_back(version) : after.push_back(other);
    }
    lifts[version] = may_loosen || is_heir;
    after.push_back(version);
  }
  std::vector<RuleHead> heads;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    if (displaced_by[i].empty()) heads.push_back({i, lifts[i]});
  }
  std::sort(heads.begin(), heads.end(), [&](const RuleHead& left, const RuleHead& right) {
    const RuleVersion& a = versions[left.version];
    const RuleVersion& b = versions[right.version];
    return std::pair(b.stamp, b.dot) < std::pair(a.stamp, a.dot);
  });
  return heads;
}

}  // namespace loam
