#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "lib/rule_rows.hpp"
#include "lib/rules.hpp"

namespace loam {

struct Core;
class AuthorNames;

/// How long what was read of when peers were heard is used again.
inline constexpr std::chrono::milliseconds heard_reread{100};

/// All rules of a store as of one snapshot, folded again as far as their assignments or the registry have changed. Any
/// thread.
class RuleCache {
 public:
  explicit RuleCache(const Core& core);

  /// As of the last commit of any process. Looks at nothing but its number when it has been asked since.
  Rules now() const;

  /// Reads and folds everything again.
  Rules reloaded() const;

  /// The rules that had this digest here, by the rights of now; a digest may be shortened to what `content_digest`
  /// says. Absent: these were not rules that this replica had, one commit after the other.
  std::optional<Rules> with_digest(std::string_view digest) const;

  /// How old rules may be at most, for the action of the greatest risk. Absent: as old as they like, or nobody is there
  /// to be heard.
  std::optional<std::chrono::milliseconds> age_max() const;

  /// The peers at which rules change first: hubs and voters, other than this instance, that are active.
  std::vector<InstanceId> required_peers() const;

 private:
  struct Key {
    std::vector<std::uint64_t> sequences;
    FoldedRule folded;
  };
  struct Side {
    std::map<std::uint64_t, std::shared_ptr<const StoredRule>> stored;
    std::map<std::string, Key, std::less<>> keys;
    Fingerprint live;
  };

  void follow(const SharedReader& reader) const;
  void read_side(const SharedReader& reader, const Segment& segment, Side& side) const;
  bool is_lost(const SharedReader& reader, std::string_view segment) const;
  std::shared_ptr<const RuleSet> folded(const SharedReader& reader) const;
  void read_heard(const SharedReader& reader) const;
  Rules rules_of(std::shared_ptr<const RuleSet> set) const;

  const Core& core_;
  std::shared_ptr<const std::function<std::int64_t()>> now_ms_;
  mutable std::mutex mutex_;
  mutable std::optional<std::pair<std::uint64_t, std::uint64_t>> transaction_;  ///< that was looked at
  mutable std::shared_ptr<const Registry> registry_;
  mutable Side rules_;
  mutable Side meta_;
  mutable std::shared_ptr<const RuleSet> known_;
  mutable std::vector<InstanceId> required_;
  mutable std::optional<std::int64_t> heard_ms_;
  mutable std::optional<std::chrono::steady_clock::time_point> heard_read_;
};

}  // namespace loam
