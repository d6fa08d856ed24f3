#pragma once

#include <string>

#include "lib/memory.hpp"

namespace loam {

/// What an export has of a record: one JSON object, without a newline. `signed_by` is what `signed_text` says.
std::string export_line(const Record& record, Scope scope, const std::string& signed_by = {});

/// The same of an entry that has a value.
std::string export_line(const Entry& entry);

}  // namespace loam
