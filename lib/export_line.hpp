#pragma once

#include <string>

#include "lib/memory.hpp"

namespace loam {

/// What an export has of a record: one JSON object, without a newline.
std::string export_line(const Record& record, Scope scope);

/// The same of an entry that has a value.
std::string export_line(const Entry& entry);

}  // namespace loam
