#pragma once

#include <any>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "crdt/invitation.hpp"
#include "lib/core.hpp"
#include "lib/strong.hpp"
#include "transport/address.hpp"

namespace loam {

/// What a strong call asks of the voters.
struct StrongRequest {
  enum class Kind {
    reach,  ///< that a majority of them can be asked at all
    read,   ///< that a majority has these segments as they are here
    write,  ///< that a majority covers these dots
  };
  Kind kind = Kind::read;
  std::vector<std::string> segments = {};      ///< of a read; shared ones
  std::function<std::any()> body = {};         ///< of a read: what it returns; called on the loop thread, more than once
  std::string segment = {};                    ///< of a write
  Context dots = {};
  std::vector<std::string> endpoints = {};     ///< to be dialled besides those that are known
  std::chrono::steady_clock::time_point deadline = {};
  std::exception_ptr failure = {};             ///< what `body` has thrown
};

struct StrongOutcome {
  StrongReport report;
  VoterView view;  ///< by which it was decided
  std::any value;  ///< of a read that is done
};

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

  /// Asks the voters until a majority says yes, or until the deadline. Dials those that say where they listen, and keeps
  /// these links. The future throws what `body` threw.
  std::future<StrongOutcome> strong(StrongRequest request);

  /// Says goodbye to everyone; returns when all links are closed, after 3 s at the latest.
  void stop();

  /// Stores that this process has a link with now.
  std::set<StoreId> linked() const;

  class Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace loam
