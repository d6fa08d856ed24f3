#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "transport/action.hpp"
#include "transport/strong_call.hpp"

namespace loam::sim {

/// Segments whose strong writes and reads are judged; every replica has them.
inline const std::array<std::string, 2> strong_segments{"lessons_learned", "org_patterns"};

/// Strong writes of each of those: a bit for each.
using StrongWrites = std::array<std::uint64_t, strong_segments.size()>;

/// A strong call of a process that goes on.
struct RunningCall {
  StrongCall call;
  std::vector<std::string> segments;      ///< whose states it reads; of a write: none
  std::vector<std::size_t> operations;    ///< in the history of the run
  std::map<std::uint64_t, StrongWrites> values;  ///< of a read, by question
  Time deadline{};
  bool seals = false;  ///< it reads all there is, and then ends a change of voters
};

/// A strong write, before and after anybody knows its dot.
struct StrongWrite {
  std::size_t operation = 0;
  std::size_t segment = 0;
  std::uint64_t bit = 0;
  std::optional<Dot> dot;
};

}  // namespace loam::sim
