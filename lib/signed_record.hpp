#pragma once

#include <string>
#include <string_view>

#include "lib/segment.hpp"
#include "lib/shared_store.hpp"
#include "transport/frame.hpp"

namespace loam {

/// What an export has beside a record of a shared set segment, so that its authors stay its authors: the record's dots
/// with what was signed, as a chunk would bring them, in base64. Empty: not all of it is signed, or it is too large.
std::string signed_text(const SharedStore& store, const std::string& segment, const ElementId& element);

/// Throws Error(invalid) for what `signed_text` does not make, Error(limit).
DeltaFrame parse_signed_text(std::string_view text);

}  // namespace loam
