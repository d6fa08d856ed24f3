#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace test {

/// One strong operation on one segment, which is a set of writes that only grows. Times are numbers of events.
struct Operation {
  enum class Kind : std::uint8_t { read, write };

  Kind kind = Kind::read;
  int segment = 0;
  std::uint64_t begun = 0;
  std::optional<std::uint64_t> ended;  ///< absent: its outcome is unknown
  std::uint64_t writes = 0;            ///< a bit for each: of a write its own, of a read what it returned
};

/// What is wrong with a history; absent: there is an order of its operations in which each happens between its beginning
/// and its end, and each read returns the writes before it and nothing else. A write whose outcome is unknown may happen
/// at any time after its beginning, or never. Segments are judged one by one: a history is linearizable exactly if each
/// of its objects' is.
///
/// Wing and Gong, "Testing and verifying concurrent objects" (1993), with the memory of Lowe, "Testing for
/// linearizability" (2017): the same set of operations done leads to the same state, so each is tried once. Not to have
/// found out after `steps_max` is wrong too.
std::optional<std::string> what_is_wrong(const std::vector<Operation>& history, std::size_t steps_max = 1'000'000);

}  // namespace test
