#pragma once

#include <string>

#include "lib/commit_queue.hpp"
#include "lib/identity.hpp"
#include "lib/memory.hpp"
#include "lib/private_store.hpp"
#include "lib/rule_cache.hpp"
#include "lib/shared_store.hpp"

namespace loam {

/// One open instance without its network: what every part of Memory works on. Immutable but for the
/// stores and the queue, which look after themselves.
struct Core {
  explicit Core(const Options& options);

  std::int64_t now_ms() const { return options.now_ms(); }
  void log(LogLevel level, std::string_view text) const;

  /// The segment of a name, which must be of that kind. Throws Error(unknown_segment),
  /// Error(invalid).
  const Segment& segment(std::string_view name, Kind kind) const;

  /// Throws Error(denied) for an instance of before there were signed registries: it has no links and no members.
  void require_registry() const;

  Options options;
  Config config;
  SegmentTable segments;
  InstanceKey key;
  SharedStore shared;
  PrivateStore priv;
  Identity identity;
  RuleCache rules;
  std::function<void()> on_commit;  ///< set by the network part before it starts; may be empty
  std::mutex on_commit_mutex;
  CommitQueue queue;

 private:
  void put_under_quarantine();
  void learn_registry();
};

}  // namespace loam
