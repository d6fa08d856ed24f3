#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "crdt/bytes.hpp"

namespace loam {

/// RFC 4648, with padding, on one line.
std::string base64_of(BytesView octets);

/// Absent: the text is none, or cut short. White space in it does not count.
std::optional<Bytes> octets_of_base64(std::string_view text);

}  // namespace loam
