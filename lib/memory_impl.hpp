#pragma once

#include <memory>
#include <mutex>

#include "lib/core.hpp"
#include "lib/federation.hpp"
#include "lib/search.hpp"

namespace loam {

/// What stands behind a Memory.
class Memory::Impl {
 public:
  explicit Impl(const Options& options) : core(options), search(core) {}

  /// The network half, started by the first call.
  Federation& federation();

  /// Ends the network half; a later call starts it again.
  void stop();

  Receipt assign(std::string_view segment, std::string_view key, std::optional<Bytes> value);
  Status status();
  Coverage coverage();

  /// Enters the address that this instance listens on into the registry, unless it stands there.
  void publish_endpoint(const std::string& endpoint);

  Core core;
  ScanSearch search;

 private:
  std::mutex mutex_;
  std::unique_ptr<Federation> federation_;
};

}  // namespace loam
