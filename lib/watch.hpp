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

  /// Calls back for everything that was committed since.
  void notify();

 private:
  Change change_of(const std::string& segment, const Context& changed) const;

  const Core& core_;
  const StoreSource& source_;
  std::map<std::string, Position> positions_;
  std::function<void(const Change&)> callback_;
};

}  // namespace loam
