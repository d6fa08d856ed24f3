#pragma once

#include <memory>
#include <mutex>

#include "lib/core.hpp"
#include "lib/federation.hpp"
#include "lib/own_process.hpp"
#include "lib/search.hpp"

namespace loam {

/// When a call with that timeout gives up.
std::chrono::steady_clock::time_point deadline_after(std::chrono::milliseconds timeout);

/// What stands behind a Memory.
class Memory::Impl {
 public:
  explicit Impl(const Options& options) : core(options), search(core) {}

  /// The network half, started by the first call; it lives as long as this.
  Federation& federation();

  /// Ends serving and all links. Watches go on.
  void stop();

  const OwnProcess& process() const noexcept { return process_; }

  Receipt assign(std::string_view segment, std::string_view key, std::optional<Bytes> value);

  /// Runs `write`, which writes in these segments, as strongly as the options and the segments say. A write that removes
  /// records is waited for until a majority has the same state; any other until a majority covers it.
  template <class Write>
  auto as_strongly(const std::vector<const Segment*>& segments, const CallOptions& options, bool removes, Write&& write) {
    const std::vector<std::string> strong = strong_ones(segments, options);
    if (strong.empty()) return write();
    const auto deadline = deadline_after(options.timeout);
    require_reached(deadline, options.report);
    auto result = write();
    confirm(strong, removes, deadline, options.report);
    return result;
  }

  /// Runs `read` on a map segment as strongly as the options and the segment say.
  template <class Read>
  auto read_as(const Segment& segment, const CallOptions& options, Read&& read) {
    using Result = decltype(read());
    const std::vector<std::string> strong = strong_ones({&segment}, options);
    if (strong.empty()) return read();
    return std::any_cast<Result>(read_strongly(strong, [&] { return std::any(read()); }, options));
  }

  std::any read_strongly(std::vector<std::string> segments, std::function<std::any()> body, const CallOptions& options);
  SyncReport sync(const SyncOptions& options);
  Status status();
  Coverage coverage();

  /// Enters the address that this instance listens on into the registry, unless it stands there.
  void publish_endpoint(const std::string& endpoint);

  Core core;
  ScanSearch search;

 private:
  std::vector<std::string> strong_ones(const std::vector<const Segment*>& segments, const CallOptions& options) const;
  void require_reached(std::chrono::steady_clock::time_point deadline, StrongReport* report);
  void confirm(const std::vector<std::string>& segments, bool removes, std::chrono::steady_clock::time_point deadline,
               StrongReport* report);

  OwnProcess process_;
  std::mutex mutex_;
  std::unique_ptr<Federation> federation_;
};

}  // namespace loam
