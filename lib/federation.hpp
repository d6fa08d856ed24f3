#pragma once

#include <functional>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "crdt/invitation.hpp"
#include "lib/core.hpp"
#include "transport/address.hpp"

namespace loam {

/// The network half of an open instance: the loop thread with its listener, dialled links and watches.
/// Of the core it uses the shared store and the queue only; what sessions read is a StoreSource, which
/// holds no handle to the private store.
/// Thread-safe: every call is carried out on the loop thread.
class Federation {
 public:
  /// Starts the loop thread. The core outlives it.
  explicit Federation(Core& core);

  /// Stops as `stop` does.
  ~Federation();

  Address serve(const ServeOptions& options);
  void connect(const std::string& endpoint);
  std::future<SyncReport> sync(const SyncOptions& options);
  std::future<SyncReport> join(const Invitation& invitation, std::chrono::milliseconds timeout);
  Subscription watch(std::vector<std::string> segments,
                     std::function<void(const Change&)> callback);

  /// Says goodbye to everyone; returns when all links are closed, after 3 s at the latest.
  void stop();

  /// Stores that this process has a link with now.
  std::set<StoreId> linked() const;

  class Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace loam
