#pragma once

#include <boost/json/fwd.hpp>
#include <filesystem>
#include <string>

#include "apps/output.hpp"
#include "lib/memory.hpp"

namespace loam::cli {

/// Where a command runs and how it answers. Commands borrow it.
struct Shell {
  std::filesystem::path dir;
  bool json = false;
  Output& out;
};

/// Answers with the JSON, or with the text for people (whole lines).
void answer(const Shell& shell, const boost::json::object& json, const std::string& text);

/// A receipt: the id alone for people.
void answer(const Shell& shell, const Receipt& receipt);

}  // namespace loam::cli
