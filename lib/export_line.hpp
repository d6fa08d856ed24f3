#pragma once

#include <string>

#include "lib/memory.hpp"

namespace loam {

struct Core;

/// What an export has of a record: one JSON object, without a newline. `signed_by` is what `SignedTexts` says.
std::string export_line(const Record& record, Scope scope, const std::string& signed_by = {});

/// The same of an entry that has a value.
std::string export_line(const Entry& entry, const std::string& signed_by = {});

/// Hands out a line for each record, or entry, of a segment that can be read, and counts.
void export_segment(const Core& core, const Segment& segment, const std::function<void(std::string_view line)>& sink,
                    ExportReport& report);

}  // namespace loam
