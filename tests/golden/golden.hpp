#pragma once

#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <string>

#include "tests/support/hex.hpp"

namespace test {

/// The entries of a golden file: lines of `name hex`; lines that start with # are comments. The
/// tests run in the root of the source.
inline std::map<std::string, loam::Bytes> read_golden(const std::string& file) {
  std::ifstream in("tests/golden/" + file);
  REQUIRE_MESSAGE(in.good(), "cannot read tests/golden/", file, ": run in the root of the source");
  std::map<std::string, loam::Bytes> entries;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line.front() == '#') continue;
    const auto blank = line.find(' ');
    REQUIRE(blank != std::string::npos);
    entries[line.substr(0, blank)] = from_hex(std::string_view(line).substr(blank + 1));
  }
  return entries;
}

}  // namespace test
