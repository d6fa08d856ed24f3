#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "crdt/registry.hpp"

namespace test {

/// The registry by its definition (crdt/registry.hpp): over sets of dots, from the log in any order. Shares no code with
/// what it judges. What is asked twice is remembered, or it would take for ever.
class RegistryOracle {
 public:
  using Dots = std::set<loam::Dot>;
  using Assignment = loam::RegistryAssignment;

  /// The log outlives it.
  RegistryOracle(const loam::InstanceId& founder, const std::vector<Assignment>& log) : founder_(founder) {
    for (const Assignment& each : log) log_.emplace(each.dot, &each);
    for (bool more = true; more;) {
      more = false;
      for (const auto& [dot, assignment] : log_) {
        if (seen_.contains(dot) || !knows(assignment->frontier)) continue;
        seen_.emplace(dot, closed(assignment->frontier));
        all_.insert(dot);
        more = true;
      }
    }
  }

  /// Those that have seen only what is here, and not themselves.
  const Dots& all() const { return all_; }
  bool knows(const std::vector<loam::Dot>& frontier) const {
    return std::all_of(frontier.begin(), frontier.end(), [&](const loam::Dot& dot) { return seen_.contains(dot); });
  }

  const Dots& seen_by(const loam::Dot& dot) const { return seen_.at(dot); }

  /// The dots and all that they have seen.
  Dots closed(const std::vector<loam::Dot>& frontier) const {
    Dots dots;
    for (const loam::Dot& dot : frontier) {
      dots.insert(dot);
      dots.insert(seen_.at(dot).begin(), seen_.at(dot).end());
    }
    return dots;
  }

  std::vector<loam::Dot> frontier() const {
    Dots left = all_;
    for (const auto& [dot, seen] : seen_) {
      for (const loam::Dot& each : seen) left.erase(each);
    }
    return {left.begin(), left.end()};
  }

  bool is_revocation(const loam::Dot& dot) const {
    return log_.at(dot)->entry.status == loam::InstanceStatus::revoked;
  }

  /// Of a revocation: its author was governor by what he had seen.
  bool stands(const loam::Dot& dot) const {
    const auto [at, is_new] = stands_.emplace(dot, false);
    if (!is_new) return at->second;
    const Assignment& revocation = *log_.at(dot);
    const Dots& seen = seen_.at(dot);
    const bool is_sound = loam::instance_of(revocation.entry.key) == revocation.subject;
    return stands_[dot] = is_sound && governs(revocation.author, seen, seen);
  }

  /// Whether fences of `world` make what an author wrote void.
  bool is_fenced(const loam::InstanceId& author, const std::string& segment, const loam::Dot& dot,
                 const Dots& world) const {
    const auto is_of_him = [&](const loam::Dot& other) {
      return is_revocation(other) && log_.at(other)->subject == author && stands(other);
    };
    const auto leaves = [&](const loam::Dot& other) {
      const auto left = log_.at(other)->entry.fence.find(segment);
      return left != log_.at(other)->entry.fence.end() && left->second.of(dot.actor).contains(dot.counter);
    };
    return std::any_of(world.begin(), world.end(), [&](const loam::Dot& other) {
      return is_of_him(other) && std::none_of(world.begin(), world.end(), [&](const loam::Dot& mate) {
               return is_of_him(mate) && is_one_revocation(mate, other) && leaves(mate);
             });
    });
  }

  /// Whether these are parts of one: as far apart as their numbers, under one actor.
  bool is_one_revocation(const loam::Dot& one, const loam::Dot& other) const {
    const auto begin = [&](const loam::Dot& dot) {
      const std::uint64_t part = log_.at(dot)->entry.fence_part;
      return part < dot.counter ? dot.counter - part : dot.counter;
    };
    return one.actor == other.actor && begin(one) == begin(other);
  }

  /// With the fences of `world`.
  bool in_force(const loam::Dot& dot, const Dots& world) const {
    auto& known = in_force_[world];
    if (const auto at = known.find(dot); at != known.end()) return at->second;
    const Assignment& it = *log_.at(dot);
    const bool is_sound = loam::instance_of(it.entry.key) == it.subject;
    bool is_it = is_sound && stands(dot);
    if (!is_revocation(dot)) {
      is_it = is_sound && !is_fenced(it.author, std::string(loam::registry_name), dot, world) &&
              governs(it.author, seen_.at(dot), world);
    }
    return in_force_[world][dot] = is_it;
  }

  /// What stands about an instance of what is in `seen`.
  struct Standing {
    std::vector<const Assignment*> heads;
    bool is_revoked = false;
  };
  Standing standing(const loam::InstanceId& who, const Dots& seen, const Dots& world) const {
    std::vector<const Assignment*> there;
    for (const loam::Dot& dot : seen) {
      if (log_.at(dot)->subject == who && in_force(dot, world)) there.push_back(log_.at(dot));
    }
    Standing standing;
    for (const Assignment* each : there) {
      standing.is_revoked = standing.is_revoked || each->entry.status == loam::InstanceStatus::revoked;
      const bool is_superseded = std::any_of(there.begin(), there.end(), [&](const Assignment* other) {
        return seen_.at(other->dot).contains(each->dot) &&
               other->superseded.of(each->dot.actor).contains(each->dot.counter);
      });
      if (!is_superseded) standing.heads.push_back(each);
    }
    return standing;
  }

  bool governs(const loam::InstanceId& who, const Dots& seen, const Dots& world) const {
    const Standing of = standing(who, seen, world);
    if (of.heads.empty()) return who == founder_;
    return !of.is_revoked && std::all_of(of.heads.begin(), of.heads.end(), [](const Assignment* head) {
      return head->entry.role == loam::InstanceRole::governor && is_active(*head);
    });
  }

  /// Whether all that stand about him let him do that.
  bool may(const loam::InstanceId& who, const std::string& segment, std::uint8_t permission, const Dots& seen,
           const Dots& world) const {
    const Standing of = standing(who, seen, world);
    return !of.heads.empty() && !of.is_revoked &&
           std::all_of(of.heads.begin(), of.heads.end(), [&](const Assignment* head) {
             const auto letters = head->entry.permissions.find(segment);
             return is_active(*head) && letters != head->entry.permissions.end() && letters->second.has(permission);
           });
  }
  bool may(const loam::InstanceId& who, const std::string& segment, std::uint8_t permission) const {
    return may(who, segment, permission, all_, all_);
  }

  /// Absent: nothing stands about it.
  std::optional<loam::InstanceStatus> status(const loam::InstanceId& who) const {
    const Standing of = standing(who, all_, all_);
    if (of.heads.empty()) return std::nullopt;
    loam::InstanceStatus strictest = loam::InstanceStatus::active;
    for (const Assignment* head : of.heads) strictest = std::max(strictest, head->entry.status);
    return of.is_revoked ? loam::InstanceStatus::revoked : strictest;
  }

 private:
  static bool is_active(const Assignment& assignment) {
    return assignment.entry.status == loam::InstanceStatus::active;
  }

  loam::InstanceId founder_;
  std::map<loam::Dot, const Assignment*> log_;
  std::map<loam::Dot, Dots> seen_;  ///< of those that are complete
  Dots all_;
  mutable std::map<loam::Dot, bool> stands_;
  mutable std::map<Dots, std::map<loam::Dot, bool>> in_force_;
};

}  // namespace test
