#pragma once

#include <map>
#include <string>

#include "crdt/bytes.hpp"

namespace loam::sim {

/// How often each rare situation was met.
using Markers = std::map<std::string, std::uint64_t>;

/// What a run leaves behind: a hash over everything that happened, what it met, and the first rule
/// that was broken.
class Trace {
 public:
  /// With `is_shown`, every line is printed as it happens.
  explicit Trace(bool is_shown = false) : is_shown_(is_shown) {}

  void line(const std::string& text);
  void octets(BytesView octets);
  void met(const std::string& marker) { ++markers_[marker]; }

  /// Notes the first rule that was broken; says whether it holds.
  bool expect(bool holds, const std::string& what);

  const std::string& failure() const noexcept { return failure_; }
  bool has_failed() const noexcept { return !failure_.empty(); }
  std::uint64_t hash() const noexcept { return hash_; }
  const Markers& markers() const noexcept { return markers_; }

 private:
  bool is_shown_;
  std::uint64_t hash_ = 0xcbf29ce484222325U;
  Markers markers_;
  std::string failure_;
};

}  // namespace loam::sim
