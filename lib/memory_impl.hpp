#pragma once

#include <memory>
#include <mutex>

#include "lib/core.hpp"
#include "lib/federation.hpp"
#include "lib/own_process.hpp"
#include "lib/search.hpp"

namespace loam {

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
  Status status();
  Coverage coverage();

  /// Enters the address that this instance listens on into the registry, unless it stands there.
  void publish_endpoint(const std::string& endpoint);

  Core core;
  ScanSearch search;

 private:
  OwnProcess process_;
  std::mutex mutex_;
  std::unique_ptr<Federation> federation_;
};

}  // namespace loam
