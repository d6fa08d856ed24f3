#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "crdt/id.hpp"
#include "crdt/value.hpp"

/// From the text of an argument to its value. Pure; each throws Error(invalid) naming the option.
namespace loam::cli {

/// Both ends included.
struct Bounds {
  std::uint64_t least = 0;
  std::uint64_t most = 0;
};

std::uint64_t parse_number(std::string_view option, std::string_view text, Bounds bounds);

/// A score from 0 to 1.
double parse_score(std::string_view option, std::string_view text);

/// SEGMENT=LETTERS, several with commas, into what was given before; the letters are not looked at.
void add_allowed(std::map<std::string, std::string>& allowed, std::string_view text);

/// `K=TEXT`, or `K:=JSON` for anything but text.
std::pair<std::string, Value> parse_field(std::string_view text);

}  // namespace loam::cli
