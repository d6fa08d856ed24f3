#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lib/core.hpp"
#include "lib/store_source.hpp"

namespace loam {

/// Follows the journals of some shared segments for one callback. Loop thread only.
class Watch {
 public:
  /// Starts from now.
  Watch(const Core& core, const StoreSource& source, std::vector<std::string> segments,
        std::function<void(const Change&)> callback);

  /// Calls back for everything that was committed since. What the callback throws is logged.
  void notify();

  /// No more calls, also when a notify() is under way.
  void end() noexcept { ended_ = true; }

 private:
  Change change_of(const std::string& segment, const Context& changed) const;
  void tell(const Change& change) const;

  const Core& core_;
  const StoreSource& source_;
  std::map<std::string, Position> positions_;
  std::function<void(const Change&)> callback_;
  bool ended_ = false;
};

}  // namespace loam
